"""YAML text as a tree in which everything knows its place; and problems, shown as people want them.

Only plain data is read: no tags, anchors, aliases or second documents, so that a file cannot make objects
or grow while it is read. Scalars stay text: what they mean is decided by the type that is wanted.
"""

from collections.abc import Iterator

import msgspec
import yaml

from qstrata.core.errors import InputError

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 12
MAX_PROBLEMS = 100
_SHOWN_COLUMNS = 160

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CURES = (
    ("that cannot start any token", "indent with spaces, and put text with special characters in quotes"),
    ("mapping values are not allowed", "put text that contains ': ' in quotes, or mend the indentation"),
    ("did not find expected key", "keys of one table must start in the same column"),
    ("did not find expected '-' indicator", "items of one list must start in the same column"),
    ("while scanning a quoted scalar", "close the quote"),
    ("expected ',' or", "close the bracket, or put a comma between the items"),
    ("could not find expected ':'", "a key is followed by ': ' and its value"),
)


class Place(msgspec.Struct, frozen=True, order=True, gc=False):
    """A position in the text; lines and columns count from 1."""

    line: int
    column: int


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong, where, and how to mend it; `meant` is what to write there, if known."""

    place: Place
    message: str
    meant: str = ""


class DescriptionError(InputError):
    """A network file is wrong; `problems` has everything that was found, `source` is the file's name."""

    def __init__(self, source: str, text: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(set(problems)))
        self._text = text
        super().__init__(show(source, text, self.problems))

    def of(self, source: str) -> "DescriptionError":
        """Return the same of a file that is called otherwise."""
        return DescriptionError(source, self._text, list(self.problems))


class Scalar(msgspec.Struct, frozen=True):
    """A word of the file, as written; `plain` tells that it was not quoted."""

    place: Place
    text: str
    plain: bool


class Sequence(msgspec.Struct, frozen=True):
    """A list."""

    place: Place
    items: "tuple[Tree, ...]"


class Mapping(msgspec.Struct, frozen=True):
    """A table: keys with their values, in the order of the file; a doubled key is in it twice."""

    place: Place
    entries: "tuple[tuple[Scalar, Tree], ...]"


Tree = Scalar | Sequence | Mapping


class View:
    """Look into a tree whose shape may be wrong: what is not there, or is not so, looks empty."""

    def __init__(self, tree: Tree | None) -> None:
        self.tree = tree

    def get(self, key: str) -> "View":
        """Return the value of a key."""
        if isinstance(self.tree, Mapping):
            for name, value in self.tree.entries:
                if name.text == key:
                    return View(value)
        return View(None)

    def tables(self) -> "list[tuple[Scalar, View]]":
        """Return the entries of a table: keys with their values."""
        return (
            [(key, View(value)) for key, value in self.tree.entries] if isinstance(self.tree, Mapping) else []
        )

    def items(self) -> "list[View]":
        """Return the items of a list."""
        return [View(item) for item in self.tree.items] if isinstance(self.tree, Sequence) else []

    @property
    def text(self) -> str | None:
        """Return the text of a scalar."""
        return self.tree.text if isinstance(self.tree, Scalar) else None

    @property
    def place(self) -> Place:
        """Return where it is; the start of the file for what is not there."""
        return self.tree.place if self.tree is not None else Place(1, 1)


def show(source: str, text: str, problems: tuple[Problem, ...]) -> str:
    """Return the problems as `source:line:column: message`, each with its line and a mark under the place."""
    lines = text.split("\n")
    shown: list[str] = []
    for problem in problems:
        line, column = problem.place.line, problem.place.column
        shown.append(f"{source}:{line}:{column}: {_printable(problem.message)}")
        code = _printable(lines[line - 1] if line <= len(lines) else "")
        start = max(0, column - _SHOWN_COLUMNS // 2) if len(code) > _SHOWN_COLUMNS else 0
        shown.append(f"{line:>6} | {code[start : start + _SHOWN_COLUMNS]}")
        shown.append(f"       | {'^':>{column - start}}")
    if len(problems) >= MAX_PROBLEMS:
        shown.append("there may be more problems; mend these first")
    return "\n".join(shown)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def parse(text: str) -> tuple[Tree | None, list[Problem]]:
    """Read YAML text of at most MAX_FILE_BYTES; what breaks the syntax ends it, as the one problem."""
    try:
        return _Composer(yaml.parse(text, Loader=_Loader)).compose(), []
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
        words = " ".join(part for part in (fault.context, fault.problem) if part)
        cure = next((f"; {cure}" for sign, cure in _CURES if sign in words), "")
        return None, [Problem(place, f"this is not YAML: {words}{cure}")]
    except yaml.reader.ReaderError as fault:
        before = text[: fault.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        return None, [Problem(place, f"character {fault.character!r} is not allowed here; remove it")]
    except _StopError as stop:
        return None, [stop.problem]


class _StopError(Exception):
    def __init__(self, event: yaml.Event, message: str) -> None:
        self.problem = Problem(_place(event), message)


class _Composer:
    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self.events = events

    def compose(self) -> Tree:
        next(self.events)
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            raise _StopError(event, "the file is empty; begin with `name: ...`")
        tree = self.value(next(self.events), 0)
        next(self.events)
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _StopError(event, "a second document begins; write one network per file")
        return tree

    def value(self, event: yaml.Event, depth: int) -> Tree:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _StopError(
                event, "anchors and aliases are not used; write the value out, or use `defaults`"
            )
        if tag := getattr(event, "tag", None):
            raise _StopError(event, f"tag {tag!r} is not used; remove it")
        if depth > MAX_DEPTH:
            raise _StopError(event, f"nested deeper than {MAX_DEPTH} levels; no table goes that deep")
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(_place(event), event.value, event.style in (None, ""))
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(_place(event), tuple(self.items(depth)))
        return Mapping(_place(event), tuple(self.entries(depth)))

    def items(self, depth: int) -> Iterator[Tree]:
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self.value(event, depth + 1)

    def entries(self, depth: int) -> Iterator[tuple[Scalar, Tree]]:
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.value(event, depth + 1)
            if not isinstance(key, Scalar):
                raise _StopError(event, "a key must be a word")
            yield key, self.value(next(self.events), depth + 1)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)

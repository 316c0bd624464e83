"""A file as a tree in which everything knows its place; and problems, shown as people want them.

Scalars stay text: what they mean is decided by the type that is wanted. `parsing` makes the tree of YAML.
"""

import msgspec

from qstrata.core.errors import InputError

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_PROBLEMS = 100
_SHOWN_COLUMNS = 160


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
    """A network or scenario file is wrong; `problems` has all that was found, `source` is its name."""

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

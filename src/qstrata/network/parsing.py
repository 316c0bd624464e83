"""YAML text as a tree of `document`.

Only plain data is read: no tags, anchors, aliases or second documents, so that a file cannot make objects
or grow while it is read.
"""

from collections.abc import Iterator

import yaml

from qstrata.network.document import Mapping, Place, Problem, Scalar, Sequence, Tree

MAX_DEPTH = 12

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
            raise _StopError(event, "a second document begins; keep one in each file")
        return tree

    def value(self, event: yaml.Event, depth: int) -> Tree:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _StopError(event, "anchors and aliases are not used; write the value out")
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

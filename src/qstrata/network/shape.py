"""Hold a tree of YAML against the types of a struct, and say what does not fit, in one pass."""

from typing import Any

from msgspec import inspect

from qstrata.network.document import MAX_PROBLEMS, Mapping, Place, Problem, Scalar, Sequence, Tree
from qstrata.network.mending import alternative
from qstrata.network.suggestion import asked, did_you_mean
from qstrata.network.values import meant_by, meant_list, meant_order, meant_table, reads_as_no_text, value_of
from qstrata.network.wording import in_words

_NOTHING = ("", "~", "null", "Null", "NULL")


def read(tree: Tree, wanted: inspect.Type) -> tuple[Any, list[Problem]]:
    """Convert a tree to plain data of the type `wanted`; the data counts only if there is no problem.

    At most MAX_PROBLEMS problems are returned.

    `wanted` is of structs, tables by name, tuples, literals, text, numbers, booleans, and unions of one of
    these with a word. Unknown keys are passed over: `mend` has told of them.
    """
    reader = _Reader()
    try:
        return reader.read(tree, wanted, {}, "the file"), reader.problems
    except _EnoughError:
        return None, reader.problems


class _EnoughError(Exception):
    pass


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, place: Place, message: str, meant: str = "") -> None:
        self.problems.append(Problem(place, message, meant))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _EnoughError

    def read(self, tree: Tree, wanted: inspect.Type, notes: dict[str, Any], what: str) -> Any:
        if isinstance(wanted, inspect.Metadata):
            return self.read(tree, wanted.type, {**notes, **(wanted.extra or {})}, what)
        if isinstance(wanted, inspect.UnionType):
            return self.read(tree, alternative(tree, wanted), notes, what)
        if isinstance(wanted, inspect.StructType):
            return self.table(tree, wanted, what)
        if isinstance(wanted, inspect.DictType):
            return self.named(tree, wanted, what)
        if isinstance(wanted, inspect.TupleType | inspect.VarTupleType):
            return self.items(tree, wanted, what)
        if not isinstance(tree, Scalar) or (tree.plain and tree.text in _NOTHING):
            found = "nothing is given" if isinstance(tree, Scalar) else f"a {_kind(tree)} is given"
            self.refuse(tree.place, f"{what} must be {in_words(wanted, notes)}, but {found}")
            return None
        return self.scalar(tree, wanted, notes, what)

    def table(self, tree: Tree, wanted: inspect.StructType, what: str) -> Any:
        if not isinstance(tree, Mapping):
            known = ", ".join(f"`{field.encode_name}`" for field in wanted.fields)
            meant = meant_table(tree, wanted)
            self.refuse(tree.place, f"{what} must be a table with the keys {known}{asked(meant)}", meant)
            return None
        fields = {field.encode_name: field for field in wanted.fields}
        given: dict[str, Any] = {}
        for key, value in tree.entries:
            name = key.text
            if name in given:
                self.refuse(key.place, f"key `{name}` is given twice in {what}; keep one")
            elif name in fields:
                given[name] = self.read(value, fields[name].type, {}, f"`{name}`")
        for name, field in fields.items():
            if field.required and name not in given:
                self.refuse(tree.place, f"{what} lacks `{name}`: add {in_words(field.type)}", f"{name}: ...")
        return given

    def named(self, tree: Tree, wanted: inspect.DictType, what: str) -> Any:
        if not isinstance(tree, Mapping):
            self.refuse(
                tree.place, f"{what} must be a table of names, each with {in_words(wanted.value_type)}"
            )
            return None
        most = wanted.max_length
        if most is not None and len(tree.entries) > most:
            self.refuse(tree.place, f"{what} has {len(tree.entries)} names; give at most {most}")
            return None
        given: dict[str, Any] = {}
        for key, value in tree.entries:
            if key.text in given:
                self.refuse(key.place, f"the name `{key.text}` is given twice in {what}; keep one")
                continue
            name = Scalar(key.place, key.text, plain=False)
            self.read(name, wanted.key_type, {}, f"a name in {what}")
            given[key.text] = self.read(value, wanted.value_type, {}, f"`{key.text}`")
        return given

    def items(self, tree: Tree, wanted: inspect.TupleType | inspect.VarTupleType, what: str) -> Any:
        if not isinstance(tree, Sequence):
            meant = meant_list(tree, wanted)
            self.refuse(tree.place, f"{what} must be {in_words(wanted)}{asked(meant)}", meant)
            return None
        if isinstance(wanted, inspect.TupleType):
            return self.fixed(tree, wanted, what)
        low, high = wanted.min_length or 0, wanted.max_length
        if len(tree.items) < low or (high is not None and len(tree.items) > high):
            bound = f"at least {low}" if len(tree.items) < low else f"at most {high}"
            self.refuse(tree.place, f"{what} has {len(tree.items)} items; give {bound}")
            return None
        return [self.read(item, wanted.item_type, {}, f"an item of {what}") for item in tree.items]

    def fixed(self, tree: Sequence, wanted: inspect.TupleType, what: str) -> Any:
        if len(tree.items) != len(wanted.item_types):
            self.refuse(tree.place, f"{what} has {len(tree.items)} items; give {in_words(wanted)}")
            return None
        if meant := meant_order(tree, wanted):
            self.refuse(tree.place, f"{what} must be {in_words(wanted)}{asked(meant)}", meant)
            return None
        pairs = zip(tree.items, wanted.item_types, strict=True)
        return [self.read(item, kind, {}, f"an item of {what}") for item, kind in pairs]

    def scalar(self, tree: Scalar, wanted: inspect.Type, notes: dict[str, Any], what: str) -> Any:
        value = value_of(tree, wanted)
        if value is not None:
            return value
        meant = meant_by(tree, wanted, str(notes.get("unit", "")))
        hint = asked(meant)
        if isinstance(wanted, inspect.LiteralType):
            hint = did_you_mean(tree.text, [str(choice) for choice in wanted.values])
        if isinstance(wanted, inspect.StrType) and reads_as_no_text(tree):
            self.refuse(
                tree.place, f"{what} is `{_short(tree.text)}`, which is no text; quote it{hint}", meant
            )
            return None
        given = _short(tree.text) if tree.plain else f'"{_short(tree.text)}"'
        source = f" ({notes['source']})" if "source" in notes and tree.plain else ""
        needed = f"must be {in_words(wanted, notes)}{source}"
        self.refuse(tree.place, f"{what} is `{given}`, but {needed}{hint}", meant)
        return None


def _kind(tree: Tree) -> str:
    return "list" if isinstance(tree, Sequence) else "table"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."

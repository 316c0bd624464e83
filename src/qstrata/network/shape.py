"""Hold a tree of YAML against the types of a struct, and say what does not fit, in one pass."""

import difflib
import math
import re
from collections.abc import Iterable
from typing import Any

from msgspec import inspect

from qstrata.network.document import MAX_PROBLEMS, Mapping, Place, Problem, Scalar, Sequence, Tree

_INTEGER = re.compile(r"[-+]?[0-9][0-9_]{0,30}")
_NUMBER = re.compile(r"[-+]?([0-9][0-9_]{0,30}\.?[0-9_]{0,30}|\.[0-9][0-9_]{0,30})([eE][-+]?[0-9]{1,4})?")
_BOOLEANS = {"true": True, "false": False}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` for the nearest of the words known, or a list of them."""
    choices = list(known)
    close = difflib.get_close_matches(word[:100], choices, n=1, cutoff=0.6)
    if close:
        return f"; did you mean `{close[0]}`?"
    shown = ", ".join(f"`{choice}`" for choice in choices[:20])
    return f"; there is {shown}{', ...' if len(choices) > 20 else ''}" if choices else "; there is none"


def read(tree: Tree, wanted: inspect.Type) -> tuple[Any, list[Problem]]:
    """Convert a tree to plain data of the type `wanted`; the data counts only if there is no problem.

    At most MAX_PROBLEMS problems are returned.

    `wanted` is of structs, tuples, literals, text, numbers, booleans, and unions of one of these with a word.
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

    def refuse(self, place: Place, message: str) -> None:
        self.problems.append(Problem(place, message))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _EnoughError

    def read(self, tree: Tree, wanted: inspect.Type, notes: dict[str, Any], what: str) -> Any:
        if isinstance(wanted, inspect.Metadata):
            return self.read(tree, wanted.type, {**notes, **(wanted.extra or {})}, what)
        if isinstance(wanted, inspect.UnionType):
            return self.read(tree, _alternative(tree, wanted), notes, what)
        if isinstance(wanted, inspect.StructType):
            return self.table(tree, wanted, what)
        if isinstance(wanted, inspect.TupleType | inspect.VarTupleType):
            return self.items(tree, wanted, what)
        if not isinstance(tree, Scalar) or (tree.plain and tree.text in ("", "~", "null")):
            found = "nothing is given" if isinstance(tree, Scalar) else f"a {_kind(tree)} is given"
            self.refuse(tree.place, f"{what} must be {_meant(wanted, notes)}, but {found}")
            return None
        return self.scalar(tree, wanted, notes, what)

    def table(self, tree: Tree, wanted: inspect.StructType, what: str) -> Any:
        if not isinstance(tree, Mapping):
            known = ", ".join(f"`{field.encode_name}`" for field in wanted.fields)
            self.refuse(tree.place, f"{what} must be a table with the keys {known}")
            return None
        fields = {field.encode_name: field for field in wanted.fields}
        given: dict[str, Any] = {}
        missing = [f.encode_name for f in wanted.fields if f.required]
        for key, value in tree.entries:
            name = key.text
            if name in given:
                self.refuse(key.place, f"key `{name}` is given twice in {what}; keep one")
            elif name in fields:
                given[name] = self.read(value, fields[name].type, {}, f"`{name}`")
            else:
                self.refuse(key.place, f"unknown key `{name}` in {what}{did_you_mean(name, fields)}")
                missing = [m for m in missing if not difflib.get_close_matches(name[:100], [m], cutoff=0.6)]
        for name in missing:
            if name not in given:
                self.refuse(tree.place, f"{what} lacks `{name}`: add {_meant(fields[name].type, {})}")
        return given

    def items(self, tree: Tree, wanted: inspect.TupleType | inspect.VarTupleType, what: str) -> Any:
        if not isinstance(tree, Sequence):
            self.refuse(tree.place, f"{what} must be {_meant(wanted, {})}")
            return None
        if isinstance(wanted, inspect.TupleType):
            if len(tree.items) != len(wanted.item_types):
                self.refuse(tree.place, f"{what} has {len(tree.items)} items; give {_meant(wanted, {})}")
                return None
            pairs = zip(tree.items, wanted.item_types, strict=True)
            return [self.read(item, kind, {}, f"an item of {what}") for item, kind in pairs]
        low, high = wanted.min_length or 0, wanted.max_length
        if len(tree.items) < low or (high is not None and len(tree.items) > high):
            bound = f"at least {low}" if len(tree.items) < low else f"at most {high}"
            self.refuse(tree.place, f"{what} has {len(tree.items)} items; give {bound}")
            return None
        return [self.read(item, wanted.item_type, {}, f"an item of {what}") for item in tree.items]

    def scalar(self, tree: Scalar, wanted: inspect.Type, notes: dict[str, Any], what: str) -> Any:
        value = _value(tree, wanted)
        if value is not None:
            return value
        hint = ""
        if isinstance(wanted, inspect.LiteralType):
            hint = did_you_mean(tree.text, [str(choice) for choice in wanted.values])
        elif isinstance(wanted, inspect.IntType | inspect.FloatType):
            hint = _number_hint(tree)
        meant = _meant(wanted, notes)
        self.refuse(tree.place, f"{what} is `{_short(tree.text)}`, but must be {meant}{hint}")
        return None


def _alternative(tree: Tree, wanted: inspect.UnionType) -> inspect.Type:
    kinds = [kind for kind in wanted.types if not isinstance(kind, inspect.NoneType)]
    words = [kind for kind in kinds if isinstance(kind, inspect.LiteralType)]
    others = [kind for kind in kinds if not isinstance(kind, inspect.LiteralType)]
    return words[0] if words and (isinstance(tree, Scalar) or not others) else others[0]


def _value(tree: Scalar, wanted: inspect.Type) -> str | int | float | bool | None:
    text = tree.text
    if isinstance(wanted, inspect.LiteralType):
        return text if text in wanted.values else None
    if isinstance(wanted, inspect.StrType):
        return text if wanted.pattern is None or re.fullmatch(wanted.pattern, text) else None
    if isinstance(wanted, inspect.BoolType):
        return _BOOLEANS.get(text) if tree.plain else None
    if isinstance(wanted, inspect.IntType):
        number = int(text.replace("_", "")) if tree.plain and _INTEGER.fullmatch(text) else None
        return number if number is not None and _within(number, wanted) else None
    if isinstance(wanted, inspect.FloatType):
        plain = tree.plain and _NUMBER.fullmatch(text)
        real = float(text.replace("_", "")) if plain else math.nan
        return real if math.isfinite(real) and _within(real, wanted) else None
    raise NotImplementedError(f"no reader for {wanted}")


def _within(value: float, wanted: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (wanted.ge is None or value >= wanted.ge)
        and (wanted.gt is None or value > wanted.gt)
        and (wanted.le is None or value <= wanted.le)
        and (wanted.lt is None or value < wanted.lt)
        and (wanted.multiple_of is None or value % wanted.multiple_of == 0)
    )


def _number_hint(tree: Scalar) -> str:
    if not tree.plain and _NUMBER.fullmatch(tree.text):
        return "; remove the quotes"
    number, _, unit = tree.text.partition(" ")
    if not unit:
        number = tree.text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/")
        unit = tree.text[len(number) :]
    if unit and _NUMBER.fullmatch(number.replace(",", ".")):
        return f"; write the number alone: {number.replace(',', '.')}"
    if _NUMBER.fullmatch(tree.text.replace(",", ".")) and "," in tree.text:
        return f"; write a point: {tree.text.replace(',', '.')}"
    return ""


def _meant(wanted: inspect.Type, notes: dict[str, Any]) -> str:
    if isinstance(wanted, inspect.Metadata):
        return _meant(wanted.type, {**notes, **(wanted.extra or {})})
    if "meant" in notes:
        return str(notes["meant"])
    if isinstance(wanted, inspect.UnionType):
        kinds = (kind for kind in wanted.types if not isinstance(kind, inspect.NoneType))
        return " or ".join(_meant(kind, notes) for kind in kinds)
    if isinstance(wanted, inspect.LiteralType):
        return " or ".join(f"`{choice}`" for choice in wanted.values)
    if isinstance(wanted, inspect.StructType):
        return "a table with " + ", ".join(f"`{field.encode_name}`" for field in wanted.fields)
    if isinstance(wanted, inspect.TupleType):
        return "[" + ", ".join(_meant(kind, {}) for kind in wanted.item_types) + "]"
    if isinstance(wanted, inspect.VarTupleType):
        return "a list"
    if isinstance(wanted, inspect.BoolType):
        return "`true` or `false`"
    if isinstance(wanted, inspect.IntType | inspect.FloatType):
        return _range(wanted, str(notes.get("unit", "")))
    return "a text"


def _range(wanted: inspect.IntType | inspect.FloatType, unit: str) -> str:
    words = ["a whole number" if isinstance(wanted, inspect.IntType) else "a number"]
    if wanted.multiple_of is not None:
        words.append(f"divisible by {wanted.multiple_of}")
    if wanted.gt is not None:
        words.append(f"above {_shown(wanted.gt)}")
    if wanted.ge is not None:
        words.append(f"from {_shown(wanted.ge)}")
    if wanted.le is not None:
        words.append(f"{'to' if wanted.ge is not None else 'and at most'} {_shown(wanted.le)}")
    if unit and unit != "1":
        words.append(unit)
    return " ".join(words)


def _shown(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


def _kind(tree: Tree) -> str:
    return "list" if isinstance(tree, Sequence) else "table"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."

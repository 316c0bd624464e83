"""Types of a network file in words: what may be written, from where to where, in which unit."""

from typing import Any

from msgspec import inspect


def in_words(wanted: inspect.Type, notes: dict[str, Any] | None = None) -> str:
    """Return what may be written where this type is wanted; `notes` are those around it."""
    notes = notes or {}
    if isinstance(wanted, inspect.Metadata):
        return in_words(wanted.type, {**notes, **(wanted.extra or {})})
    if "meant" in notes:
        return str(notes["meant"])
    if isinstance(wanted, inspect.UnionType):
        kinds = (kind for kind in wanted.types if not isinstance(kind, inspect.NoneType))
        return " or ".join(in_words(kind, notes) for kind in kinds)
    if isinstance(wanted, inspect.LiteralType):
        return " or ".join(f"`{choice}`" for choice in wanted.values)
    if isinstance(wanted, inspect.StructType):
        return "a table with " + ", ".join(f"`{field.encode_name}`" for field in wanted.fields)
    if isinstance(wanted, inspect.TupleType):
        return "[" + ", ".join(in_words(kind) for kind in wanted.item_types) + "]"
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

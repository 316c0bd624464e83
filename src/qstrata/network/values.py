"""What a scalar says where a type is wanted, and what one that does not fit was meant to say."""

import math
import re

from msgspec import inspect

from qstrata.network.document import Mapping, Scalar, Sequence, Tree
from qstrata.network.suggestion import in_unit, nearest

_INTEGER = re.compile(r"[-+]?[0-9][0-9_]{0,30}")
_NUMBER = re.compile(r"[-+]?([0-9][0-9_]{0,30}\.?[0-9_]{0,30}|\.[0-9][0-9_]{0,30})([eE][-+]?[0-9]{1,4})?")
_WITH_UNIT = re.compile(r"([-+]?[0-9][0-9_.,]{0,30}(?:[eE][-+]?[0-9]{1,4})?) ?([A-Za-z\u00b5/]{0,10})")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_OTHER_BOOLEANS = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
_NO_TEXT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|true|True|TRUE|false|False|FALSE"
)
_BETWEEN_NAMES = re.compile(r"\s*(?:,|<?-+>|\s-+\s|\s)\s*")

_METRES = 1000
"""A length in km from here on was written in metres."""

Number = inspect.IntType | inspect.FloatType


def value_of(tree: Scalar, wanted: inspect.Type) -> str | int | float | bool | None:
    """Return what a scalar says as the type that is wanted, None where it does not fit."""
    text = tree.text
    if isinstance(wanted, inspect.LiteralType):
        return text if text in wanted.values else None
    if isinstance(wanted, inspect.StrType):
        return text if not reads_as_no_text(tree) and _matches(text, wanted) else None
    if isinstance(wanted, inspect.BoolType):
        return _BOOLEANS.get(text) if tree.plain else None
    if isinstance(wanted, Number):
        return _number(text, wanted) if tree.plain else None
    raise NotImplementedError(f"no reader for {wanted}")


def reads_as_no_text(tree: Scalar) -> bool:
    """Tell whether YAML 1.2 (10.3.2) reads this as a number or a truth value, because it is not quoted."""
    return tree.plain and _NO_TEXT.fullmatch(tree.text) is not None


def meant_by(tree: Scalar, wanted: inspect.Type, unit: str) -> str:
    """Return what a scalar that does not fit was meant to be, empty if nobody can tell."""
    text = tree.text.strip()
    if isinstance(wanted, inspect.LiteralType):
        return nearest(text, (str(choice) for choice in wanted.values))
    if isinstance(wanted, inspect.BoolType):
        return str(_BOOLEANS[text]).lower() if text in _BOOLEANS else _OTHER_BOOLEANS.get(text.lower(), "")
    if isinstance(wanted, Number):
        return _meant_number(text, wanted, unit)
    if isinstance(wanted, inspect.StrType) and _matches(text, wanted):
        return f'"{text}"'
    plain = re.sub(r"[\s_.]+", "-", text.lower()).strip("-")
    fits = isinstance(wanted, inspect.StrType) and plain and _matches(plain, wanted)
    return (
        (f'"{plain}"' if reads_as_no_text(Scalar(tree.place, plain, plain=True)) else plain) if fits else ""
    )


def meant_list(tree: Tree, wanted: inspect.TupleType | inspect.VarTupleType) -> str:
    """Return the list that something else was meant to be, or how its first item begins."""
    if isinstance(wanted, inspect.TupleType):
        items = _items_of(tree)
        return f"[{', '.join(items)}]" if len(items) == len(wanted.item_types) else ""
    item = wanted.item_type
    while isinstance(item, inspect.Metadata):
        item = item.type
    if not isinstance(tree, Mapping) or not isinstance(item, inspect.StructType) or not tree.entries:
        return ""
    fields = {field.encode_name for field in item.fields}
    first = tree.entries[0][0].text
    if first in fields:
        return f"- {first}: ..."
    return f"- name: {first}" if "name" in fields else ""


def meant_table(tree: Tree, wanted: inspect.StructType) -> str:
    """Return the table that a scalar was meant to be, if it fits only one of the table's keys.

    A key that has this very word among its few is more likely than one that takes many.
    """
    if not isinstance(tree, Scalar) or not tree.text:
        return ""
    kinds = {field.encode_name: _scalar_type(field.type) for field in wanted.fields}
    fitting = [name for name, kind in kinds.items() if kind is not None and value_of(tree, kind) is not None]
    words = [name for name in fitting if isinstance(kinds[name], inspect.LiteralType)]
    likely = words or fitting
    return f"{{{likely[0]}: {tree.text}}}" if len(likely) == 1 else ""


def meant_order(tree: Sequence, wanted: inspect.TupleType) -> str:
    """Return the items of a list of numbers the other way round, if they fit so and not as written."""
    turned = tuple(reversed(tree.items))
    kinds = tuple(_unnoted(kind) for kind in wanted.item_types)

    def fit(items: tuple[Tree, ...]) -> bool:
        pairs = zip(items, kinds, strict=True)
        return all(isinstance(item, Scalar) and value_of(item, kind) is not None for item, kind in pairs)

    if len(turned) != len(kinds) or not all(isinstance(kind, Number) for kind in kinds):
        return ""
    texts = (item.text for item in turned if isinstance(item, Scalar))
    return f"[{', '.join(texts)}]" if fit(turned) and not fit(tree.items) else ""


def _matches(text: str, wanted: inspect.StrType) -> bool:
    return wanted.pattern is None or re.fullmatch(wanted.pattern, text) is not None


def _number(text: str, wanted: Number) -> int | float | None:
    if isinstance(wanted, inspect.IntType) and _INTEGER.fullmatch(text):
        whole = int(text.replace("_", ""))
        return whole if _within(whole, wanted) else None
    if not _NUMBER.fullmatch(text):
        return None
    real = float(text.replace("_", ""))
    if not math.isfinite(real) or not _within(real, wanted):
        return None
    if isinstance(wanted, inspect.IntType):
        return int(real) if real.is_integer() else None
    return real


def _within(value: float, wanted: Number) -> bool:
    return (
        (wanted.ge is None or value >= wanted.ge)
        and (wanted.gt is None or value > wanted.gt)
        and (wanted.le is None or value <= wanted.le)
        and (wanted.lt is None or value < wanted.lt)
        and (wanted.multiple_of is None or value % wanted.multiple_of == 0)
    )


def _meant_number(text: str, wanted: Number, unit: str) -> str:
    found = _WITH_UNIT.fullmatch(text)
    if found is None:
        return ""
    digits, given_unit = found[1].replace("_", ""), found[2]
    is_whole = isinstance(wanted, inspect.IntType)
    digits = digits.replace(",", "" if is_whole or digits.count(",") > 1 or "." in digits else ".")
    try:
        value = in_unit(float(digits), given_unit, unit)
    except ValueError:
        return ""
    if value is None or not math.isfinite(value):
        return ""
    candidates = [value, -value]
    if unit == "km" and value >= _METRES:
        candidates.append(value / 1000)
    step = wanted.multiple_of or 1
    if is_whole:
        candidates.append(round(value / step) * step)
    for candidate in candidates:
        if _within(candidate, wanted) and (not is_whole or float(candidate).is_integer()):
            return f"{candidate:.12g}"
    return ""


def _items_of(tree: Tree) -> list[str]:
    if isinstance(tree, Scalar):
        text = tree.text.strip()
        parts = [part for part in _BETWEEN_NAMES.split(text) if part]
        return parts if len(parts) > 1 or text.count("-") != 1 else text.split("-")
    if isinstance(tree, Mapping):
        texts = [(key.text, value.text) for key, value in tree.entries if isinstance(value, Scalar)]
        places = {key[:3].lower(): text for key, text in texts}
        return (
            [places["lon"], places["lat"]] if {"lon", "lat"} <= set(places) else [text for _, text in texts]
        )
    return []


def _scalar_type(wanted: inspect.Type) -> inspect.Type | None:
    kind = _unnoted(wanted)
    if isinstance(kind, inspect.UnionType):
        return next((found for member in kind.types if (found := _scalar_type(member)) is not None), None)
    scalar = inspect.LiteralType | inspect.StrType | inspect.BoolType | inspect.IntType | inspect.FloatType
    return kind if isinstance(kind, scalar) else None


def _unnoted(wanted: inspect.Type) -> inspect.Type:
    while isinstance(wanted, inspect.Metadata):
        wanted = wanted.type
    return wanted

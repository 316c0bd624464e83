"""The JSON Schema (draft 2020-12) of a network file, made of the types that the loader reads it with."""

from typing import Any

import msgspec
from msgspec import inspect

from qstrata.network.entries import NetworkFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Node = dict[str, Any]
"""A part of a schema, as JSON."""

LOADER_ONLY = (
    "The file is YAML of plain data: no anchors, aliases, tags or second documents, at most 12 levels deep "
    "and 4 MiB long; no key stands twice in a table.",
    "Numbers are decimal. Text that YAML would read as a number or a truth value is quoted.",
    "The names of nodes are unlike each other, and so are those of SAEs and the ports above 0; `control` is "
    "no node and `lifecycle` no domain. Every node, SAE, kind, protocol, profile, engine and script that "
    "is named exists; links on `sequence` send at most 1000000 pulses a second.",
    "A link joins two different nodes; two nodes have one link; no two links get the same name.",
    "Every link has `channels`, from itself, its kind or `defaults: link`; a channel has a delay or a "
    "length, not both.",
    "The name of an SAE is a URN of the namespace `qkd` and of the network's domain, in canonical spelling, "
    "without q-part, of at most 64 characters; `urn:qkd:<domain>:kme` and what stands below it is kept for "
    "KMEs. A prefix in `routes` is such a URN too, each prefix stands once, and the longest one that fits "
    "an SAE leads to its node.",
    "A pair names two different SAEs. Sessions and demands are pairs that `policy` allows; a pair has at "
    "most one session.",
    "`rate` of the clock stands with `mode: scaled`, and only there.",
    "The smallest key size of a KME is not above its largest; sessions and demands keep to the limits of "
    "both their KMEs.",
    "The device figures of a link obey signal intensity > weak + vacuum intensity and weak > vacuum "
    "intensity, and its three probabilities of intensities add up to 1.",
    "The profile and the figures of a link are those of its protocol; only `decoy-bb84` has another level "
    "than `counts` or another engine than `native` and `trace`. A trace is of the protocol and the pulse "
    "rate of its link.",
    "The classical light of a link causes at most 1e7 clicks per second.",
    "A link with `protocol: barrett-kok` or `single-click` makes pairs: it has `heralding`, the channel "
    "`pairs`, and none of the keys of links for keys. T2 of a memory is at most 2 T1.",
    "A circuit has a `path`, or `between`, for which the routing policy of `policy` finds one within what "
    "others leave. It passes each of its nodes once; links for pairs join them, and each serves one circuit; "
    "every node has `memories` with a cell for each link of the circuits through it, and one more for each "
    "circuit with `distil` that ends there. What a circuit wants can be expected of its links and memories. "
    "Names of circuits are unlike each other.",
    "A link of `level: clicks` has engine `native`, 8192 initial key bits or more, and blocks of at most "
    "16777216 clicks.",
)
"""What the loader demands and a schema cannot say."""


def json_schema() -> Node:
    """Return the schema of a network file."""
    walk = _Walk()
    root = walk.node(inspect.type_info(NetworkFile))
    return {
        "$schema": DIALECT,
        "title": "qstrata network file",
        "description": "A network: sites, quantum links, and the applications that fetch keys.",
        **root,
        "$defs": walk.tables,
    }


def schema_text() -> str:
    """Return the schema of a network file as JSON text."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"


class _Walk:
    def __init__(self) -> None:
        self.tables: dict[str, Node] = {}

    def node(self, kind: inspect.Type) -> Node:
        if isinstance(kind, inspect.Metadata):
            return self.noted(kind)
        if isinstance(kind, inspect.UnionType):
            members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
            nodes = [self.node(member) for member in members]
            return nodes[0] if len(nodes) == 1 else {"anyOf": nodes}
        if isinstance(kind, inspect.StructType):
            return self.table(kind)
        if isinstance(kind, inspect.TupleType):
            items = [self.node(item) for item in kind.item_types]
            count = len(items)
            return {
                "type": "array",
                "prefixItems": items,
                "items": False,
                "minItems": count,
                "maxItems": count,
            }
        if isinstance(kind, inspect.VarTupleType):
            bounds = (("minItems", kind.min_length), ("maxItems", kind.max_length))
            return {"type": "array", "items": self.node(kind.item_type), **_given(bounds)}
        if isinstance(kind, inspect.DictType):
            return {
                "type": "object",
                "propertyNames": self.node(kind.key_type),
                "additionalProperties": self.node(kind.value_type),
                **_given((("maxProperties", kind.max_length),)),
            }
        return _scalar(kind)

    def noted(self, kind: inspect.Metadata) -> Node:
        node = self.node(kind.type)
        unit = str((kind.extra or {}).get("unit", ""))
        meaning = (kind.extra_json_schema or {}).get("description")
        if meaning is None:
            return {**node, **_unit(unit)}
        unit = unit or str(node.get("x-unit", ""))
        shown = meaning if unit in ("", "1") else f"{meaning} ({unit})"
        return {
            "description": shown,
            **{key: at for key, at in node.items() if key != "description"},
            **_unit(unit),
        }

    def table(self, kind: inspect.StructType) -> Node:
        name = kind.cls.__name__
        if name not in self.tables:
            self.tables[name] = {}
            self.tables[name] = {
                "type": "object",
                "description": " ".join((kind.cls.__doc__ or "").split()),
                "properties": {field.encode_name: self.field(field) for field in kind.fields},
                "required": [field.encode_name for field in kind.fields if field.required],
                "additionalProperties": False,
            }
        return {"$ref": f"#/$defs/{name}"}

    def field(self, field: inspect.Field) -> Node:
        default = default_of(field)
        return {**self.node(field.type), **({} if default is None else {"default": default})}


def default_of(field: inspect.Field) -> Any:
    """Return the default of a key as JSON has it, None for none and for tables."""
    if field.default is msgspec.NODEFAULT or field.default is None:
        return None
    plain = msgspec.to_builtins(field.default)
    if isinstance(plain, dict):
        return None
    return list(plain) if isinstance(plain, tuple) else plain


def _unit(unit: str) -> Node:
    return {"x-unit": unit} if unit else {}


def _given(pairs: tuple[tuple[str, Any], ...]) -> Node:
    return {key: value for key, value in pairs if value is not None}


def _scalar(kind: inspect.Type) -> Node:
    if isinstance(kind, inspect.LiteralType):
        return {"enum": list(kind.values)}
    if isinstance(kind, inspect.StrType):
        return {"type": "string", **_given((("pattern", kind.pattern),))}
    if isinstance(kind, inspect.BoolType):
        return {"type": "boolean"}
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        bounds = (
            ("minimum", kind.ge),
            ("exclusiveMinimum", kind.gt),
            ("maximum", kind.le),
            ("exclusiveMaximum", kind.lt),
            ("multipleOf", kind.multiple_of),
        )
        return {"type": "integer" if isinstance(kind, inspect.IntType) else "number", **_given(bounds)}
    raise NotImplementedError(f"no schema for {kind}")

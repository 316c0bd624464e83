"""The reference page of the network file, made of its schema."""

from collections.abc import Iterator
from typing import Any

from qstrata.network.schema import LOADER_ONLY, Node, json_schema
from qstrata.network.shipped import shipped_names

_REFERENCE = "#/$defs/"
_INTRODUCTION = (
    "One YAML file describes a network. `qstrata init` writes one to start from, `qstrata validate FILE` "
    "tells everything that is wrong with it, and `qstrata schema FILE` writes the JSON Schema that lets an "
    "editor complete and check it while you type: begin the file with "
    "`# yaml-language-server: $schema=qstrata.schema.json`. Shipped networks: {shipped}.",
    "Units are part of a key's name. A link may leave figures to its kind, and both to the defaults: what "
    "the link says itself wins, then its kind, then `defaults: link`, then the default shown there. The "
    "limits of a node's KME go the same way: the node, its kind, `defaults: limits`. `parameters` and "
    "`limits` are taken key by key, `channels` whole.",
)
_EXAMPLE = """```text
kinds:
  links:
    metro: {channels: default, block-s: 30}
  nodes:
    hub: {limits: {max-stored-keys: 200000}}
links:
  - {ends: [north, south], length-km: 12.5, loss-db: 2.9, kind: metro}
```"""


def page_parts() -> list[str]:
    """Return the paragraphs, tables and headings of the page, in Markdown."""
    schema = json_schema()
    tables: dict[str, Node] = schema["$defs"]
    shipped = ", ".join(f"`{name}`" for name in shipped_names())
    parts = [_INTRODUCTION[0].format(shipped=shipped), _INTRODUCTION[1], _EXAMPLE]
    for name, places in _places(tables).items():
        heading = ", ".join(f"`{place}`" for place in places)
        parts += [f"## {heading}" if places != [""] else "## The file", tables[name]["description"]]
        parts.append(_rows(tables[name]))
    parts += ["## What only the loader checks", "A file that the schema accepts may still be wrong:"]
    return [*parts, "\n".join(f"- {rule}" for rule in LOADER_ONLY)]


def _places(tables: dict[str, Node]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    ahead = [("NetworkFile", "")]
    while ahead:
        name, place = ahead.pop(0)
        found.setdefault(name, []).append(place)
        for key, node in tables[name]["properties"].items():
            for inner, suffix in _tables_in(node):
                ahead.append((inner, f"{place}.{key}{suffix}".removeprefix(".")))
    return found


def _tables_in(node: Node) -> Iterator[tuple[str, str]]:
    if "$ref" in node:
        yield str(node["$ref"]).removeprefix(_REFERENCE), ""
    for option in node.get("anyOf", ()):
        yield from _tables_in(option)
    if isinstance(node.get("items"), dict):
        yield from ((name, f"[]{suffix}") for name, suffix in _tables_in(node["items"]))
    if isinstance(node.get("additionalProperties"), dict):
        yield from ((name, f".NAME{suffix}") for name, suffix in _tables_in(node["additionalProperties"]))


def _rows(table: Node) -> str:
    required = table["required"]
    rows = [("key", "default", "what may be written", "meaning"), ("---",) * 4]
    properties = sorted(table["properties"].items(), key=lambda item: item[0] not in required)
    for key, node in properties:
        default = (
            "required" if key in required else f"`{_plain(node['default'])}`" if "default" in node else ""
        )
        rows.append((f"`{key}`", default, allowed(node), node["description"]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def allowed(node: Node) -> str:
    """Return what a part of the schema allows, in words."""
    if "anyOf" in node:
        return " or ".join(allowed(option) for option in node["anyOf"])
    if "enum" in node:
        return " or ".join(f"`{value}`" for value in node["enum"])
    if "$ref" in node:
        return "a table"
    match node["type"]:
        case "array" if "prefixItems" in node:
            return f"[{', '.join(allowed(item) for item in node['prefixItems'])}]"
        case "array":
            return f"a list of {_bounds(node, 'minItems', 'maxItems')} items"
        case "object":
            return f"a table of at most {node['maxProperties']} names"
        case "string":
            return f"a text like `{node['pattern']}`" if "pattern" in node else "a text"
        case "boolean":
            return "`true` or `false`"
        case kind:
            return _number(node, str(kind))


def _number(node: Node, kind: str) -> str:
    words = ["a whole number" if kind == "integer" else "a number"]
    if "multipleOf" in node:
        words.append(f"divisible by {node['multipleOf']}")
    low = f"above {_plain(node['exclusiveMinimum'])}" if "exclusiveMinimum" in node else ""
    words.append(low or f"from {_plain(node['minimum'])}")
    return " ".join([*words, f"to {_plain(node['maximum'])}"])


def _bounds(node: Node, low: str, high: str) -> str:
    return f"{node.get(low, 0)} to {node[high]}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)

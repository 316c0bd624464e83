"""Generated network files: right ones that use every key of the schema, and the same with a few changes."""

import itertools
import json
import random
import re
import string
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from msgspec import inspect

from qstrata.network.document import Mapping, Problem, Sequence, Tree
from qstrata.network.entries import NetworkFile
from qstrata.network.mending import mend
from qstrata.network.parsing import parse
from qstrata.network.protocols import BUILT_IN
from qstrata.network.schema import json_schema
from qstrata.network.shape import read
from qstrata.planes.pair_policies import BUILT_IN_NAMES

WANTED = inspect.type_info(NetworkFile)
WHOLE = ("quadratures", "trusted-receiver")
"""Figures of which the schema does not say that they are whole numbers."""
PROBABILITIES = {"signal-probability": 0.5, "weak-probability": 0.3, "vacuum-probability": 0.2}
PROFILES = {protocol.name: protocol.profile().name for protocol in BUILT_IN}
FIGURES = {
    protocol.name: [parameter.name.replace("_", "-") for parameter in protocol.table] for protocol in BUILT_IN
}
INTENSITIES = {"signal-intensity": 0.5, "weak-intensity": 0.1, "vacuum-intensity": 0.001}

OF_PAIRS = ("ends", "length-km", "loss-db", "medium", "heralding")
PAIR_PROTOCOLS = ("barrett-kok", "single-click")

Path = tuple[Any, ...]


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def as_text(document: Any, *, as_json: bool) -> str:
    """Return a document as YAML, or as JSON, which is YAML too."""
    if as_json:
        return json.dumps(document, ensure_ascii=False, indent=1)
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True)


def shape_problems(text: str) -> list[Problem]:
    """Return what the loader finds wrong with the shape of a file, before it looks at meanings."""
    tree, problems = parse(text)
    if tree is None:
        return problems
    tree, misspelt = mend(tree, WANTED)
    return [*misspelt, *read(tree, WANTED)[1]]


_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def core_data(tree: Tree) -> Any:
    """Return what editors make of a file: the core schema of YAML 1.2, 10.3.2."""
    if isinstance(tree, Mapping):
        return {key.text: core_data(value) for key, value in tree.entries}
    if isinstance(tree, Sequence):
        return [core_data(item) for item in tree.items]
    if not tree.plain:
        return tree.text
    if tree.text in ("", "~", "null", "Null", "NULL"):
        return None
    if tree.text.lower() in ("true", "false") and not tree.text[1:].isupper() ^ tree.text.isupper():
        return tree.text.lower() == "true"
    if _INTEGER.fullmatch(tree.text):
        return int(tree.text)
    return float(tree.text) if _FLOAT.fullmatch(tree.text) else tree.text


class Documents:
    """Draw documents from a seed; equal seeds give equal documents."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.protocol = "decoy-bb84"
        self.tables = json_schema()["$defs"]

    def draw(self) -> tuple[Any, list[str]]:
        """Return a document and the changes that were made to it: none in four of ten."""
        document = self.right()
        count = self.random.choice((0, 0, 1, 1, 2))
        return document, [self.change(document) for _ in range(count)]

    def right(self) -> dict[str, Any]:
        """Return a document that the loader accepts."""
        self.protocol = self.random.choice(sorted(PROFILES))
        nodes = [f"n{index}" for index in range(self.random.randint(2, 5))]
        saes = [f"urn:qkd:dom:{node}:{word}" for node in nodes for word in ("x", "y")]
        document: dict[str, Any] = self.table("NetworkFile", skip=("clock", "policy", "routes"))
        document |= {"name": self.name(), "domain": "dom"}
        kinds = document.setdefault("kinds", {"links": {"metro": {}}, "nodes": {"hub": {}}})
        document["nodes"] = [self.node(name, port, kinds) for port, name in enumerate(nodes, 9000)]
        for name, kind in kinds.get("links", {}).items():
            kinds["links"][name] = self.of_sort(kind, pairs=self.coin())
        pairs = self.coin()
        document["links"] = [
            self.link(a, b, kinds, pairs and b == nodes[-1]) for a, b in itertools.pairwise(nodes)
        ]
        document.pop("circuits", None)
        if pairs:
            ends = {"between": nodes[-2:]} if self.coin() else {}
            circuit = {key: value for key, value in self.table("Circuit").items() if key != "between"}
            # Nothing is wanted of it that links cannot give, and a cell is left to distil in.
            modest = {"fidelity": 0.25, "within-ms": 1e9, "cutoff-ms": 1e6}
            circuit |= {key: value for key, value in modest.items() if key in circuit}
            document["links"][-1] |= {"loss-db": 1, "heralding": {"bright-population": 0.1}}
            document["circuits"] = [{**circuit, "path": nodes[-2:], **ends}]
            for node in document["nodes"]:
                node["memories"] = self.table("Memories")
        document["saes"] = [{**self.table("Sae"), "name": sae, "node": sae.split(":")[3]} for sae in saes]
        for table, struct in (("sessions", "Session"), ("demands", "Demand")):
            if table in document:
                document[table] = [{**self.pairwise(struct), "between": [saes[0], saes[2]]}]
        if self.coin():
            rate = {"rate": self.random.choice((1, 10.5))}
            document["clock"] = {"mode": "scaled", **rate} if self.coin() else {"mode": "virtual"}
        if self.coin():
            document["policy"] = {"pairs": "all" if self.coin() else [[saes[0], saes[2]], [saes[1], saes[3]]]}
            if self.coin():
                document["policy"]["admission"] = self.coin()
                document["policy"]["pair-routing"] = self.random.choice(BUILT_IN_NAMES)
        if self.coin():
            document["routes"] = [{"prefix": f"urn:qkd:dom:{node}", "node": node} for node in nodes]
        return document

    def node(self, name: str, port: int, kinds: dict[str, Any]) -> dict[str, Any]:
        node = {**self.table("NodeEntry"), "name": name}
        node.get("kme", {}).update({"port": port})
        return self.of_kind(node, kinds.get("nodes", {}))

    def link(self, a: str, b: str, kinds: dict[str, Any], pairs: bool) -> dict[str, Any]:
        link = {**self.of_sort(self.table("LinkEntry"), pairs), "ends": [a, b]}
        if pairs:
            link["channels"] = "default" if self.coin() else {"pairs": {}}
        else:
            # Longer blocks of good links fit into no pool.
            link |= {"channels": self.channels(), "protocol": self.protocol, "block-s": 1}
        alike = {
            name: kind
            for name, kind in kinds.get("links", {}).items()
            if (kind.get("protocol") in PAIR_PROTOCOLS) is pairs
        }
        return self.of_kind(link, alike)

    def of_sort(self, link: dict[str, Any], pairs: bool) -> dict[str, Any]:
        """Return what there is of a link, or of a kind of them, if it makes pairs, or if it makes key."""
        if not pairs:
            return {key: value for key, value in link.items() if key != "heralding"}
        kept = {key: value for key, value in link.items() if key in OF_PAIRS}
        return {**kept, "protocol": self.random.choice(PAIR_PROTOCOLS)}

    def of_kind(self, entry: dict[str, Any], kinds: dict[str, Any]) -> dict[str, Any]:
        if kinds and self.coin():
            entry["kind"] = self.random.choice(sorted(kinds))
        else:
            entry.pop("kind", None)
        return entry

    def pairwise(self, struct: str) -> dict[str, Any]:
        figures = self.table(struct)
        return {**figures, **{key: 256 for key in figures if key == "key-size-bits"}}

    def channels(self) -> Any:
        return "default" if self.coin() else self.table("Channels")

    def table(self, struct: str, skip: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a table with its required keys and about half of the others."""
        if struct == "DeviceFigures":
            return self.devices()
        if struct in ("Limits", "OwnLimits"):
            return self.limits()
        if struct == "Channel":
            return self.random.choice(
                ({}, {"delay-us": self.figure(0, 1e6)}, {"length-km": self.figure(1, 20_000)})
            )
        if struct == "Memories":
            return self.memories()
        table = self.tables[struct]
        keys = [key for key in table["properties"] if key in table["required"] or self.coin()]
        return {key: self.value(table["properties"][key], key) for key in keys if key not in skip}

    def devices(self) -> dict[str, Any]:
        others = {
            key: self.value(node, key)
            for key, node in self.tables["DeviceFigures"]["properties"].items()
            if key not in (*PROBABILITIES, *INTENSITIES) and key in FIGURES[self.protocol] and self.coin()
        }
        if self.protocol != "decoy-bb84":
            return others
        return {**others, **(PROBABILITIES if self.coin() else {}), **(INTENSITIES if self.coin() else {})}

    def memories(self) -> dict[str, Any]:
        others = {
            key: self.value(node, key)
            for key, node in self.tables["Memories"]["properties"].items()
            if key not in ("t1-s", "t2-s") and self.coin()
        }
        times = {"t1-s": 10.0, "t2-s": self.random.choice((5.0, 20.0))}
        return {**others, **{key: value for key, value in times.items() if self.coin()}}

    def limits(self) -> dict[str, Any]:
        figures = {
            "max-key-per-request": 1024,
            "min-key-size-bits": self.random.choice((8, 64, 128)),
            "max-key-size-bits": self.random.choice((256, 8192)),
            "max-stored-keys": self.random.choice((100_000, 1_000_000)),
            "max-sae-ids": self.random.choice((0, 8)),
            "max-session-life-s": self.random.choice((60, 86_400)),
            "max-session-rate-keys-per-s": self.random.choice((0.5, 100)),
        }
        return {key: value for key, value in figures.items() if self.coin() or key == "max-key-per-request"}

    def value(self, node: dict[str, Any], key: str) -> Any:
        """Return something that a part of the schema accepts."""
        if "anyOf" in node:
            return self.value(self.random.choice(node["anyOf"]), key)
        if "$ref" in node:
            return self.table(node["$ref"].rpartition("/")[2])
        if key == "level":
            return "counts"  # the other one needs figures that no schema asks for
        if "enum" in node:
            return self.random.choice(node["enum"])
        match node["type"]:
            case "array" if "prefixItems" in node:
                return [self.value(item, key) for item in node["prefixItems"]]
            case "array":
                return [self.value(node["items"], key) for _ in range(node.get("minItems", 0) or 1)]
            case "object":
                return {self.name(): self.value(node["additionalProperties"], key) for _ in range(2)}
            case "string":
                known = {"profile": PROFILES[self.protocol], "protocol": self.protocol, "engine": "native"}
                return known.get(key) or self.name()
            case "boolean":
                return self.coin()
            case _:
                return self.number(node, key)

    def number(self, node: dict[str, Any], key: str) -> float:
        low, high = node.get("minimum", node.get("exclusiveMinimum")), node["maximum"]
        if key in ("key-size-bits",):
            return 256
        if key == "launch-power-dbm":
            return self.random.choice((-60, -40.5))
        if key in WHOLE:
            return self.random.choice((low, high))
        if key == "filter-nm":
            return self.random.choice((0.1, 1.0))
        if key == "number":
            return self.random.randint(1, 128)
        if node["type"] == "integer":
            step = node.get("multipleOf", 1)
            return self.random.randint(-(-low // step), high // step) * step
        within = self.figure(low, high)
        return within if within > low or "minimum" in node else high

    def figure(self, low: float, high: float) -> float:
        drawn = (high, round(self.random.uniform(low, high), 9), float(int(high)))
        return self.random.choice([figure for figure in drawn if low <= figure <= high])

    def name(self) -> str:
        return "m" + "".join(self.random.choices(string.ascii_lowercase + string.digits, k=5))

    def coin(self) -> bool:
        return self.random.random() < 0.5

    def keys_of(self, document: dict[str, Any]) -> set[tuple[str, str]]:
        """Return (table, key) of everything that is used in a document."""
        return set(self._keys(document, {"$ref": "#/$defs/NetworkFile"}))

    def _keys(self, value: Any, node: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for option in node.get("anyOf", ()):
            if isinstance(value, dict | list) and "enum" not in option:
                yield from self._keys(value, option)
        if isinstance(value, dict) and "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            for key, inner in value.items():
                yield name, key
                yield from self._keys(inner, self.tables[name]["properties"][key])
        elif isinstance(value, dict) and "additionalProperties" in node:
            for inner in value.values():
                yield from self._keys(inner, node["additionalProperties"])
        elif isinstance(value, list) and isinstance(node.get("items"), dict):
            for inner in value:
                yield from self._keys(inner, node["items"])

    def change(self, document: Any) -> str:
        """Change a document somewhere, so that it is most often wrong, and say what was done."""
        places = [place for place in _places(document) if place]
        *path, last = self.random.choice(places)
        holder = document
        for step in path:
            holder = holder[step]
        action: Callable[[Any, Any], str] = self.random.choice(
            (self.replace, self.replace, self.remove, self.rename, self.add, self.shift, self.shift)
        )
        return f"{[*path, last]}: {action(holder, last)}"

    def replace(self, holder: Any, last: Any) -> str:
        junk = (
            None,
            True,
            False,
            0,
            1,
            -1,
            3.0,
            0.5,
            1e-9,
            12345678,
            10**25,
            "",
            "all",
            "default",
            "7",
            "no",
        )
        more: tuple[Any, ...] = ("two words", "ab_c", [], [1], {}, {"a": 1}, [["a", "b"]], {"length-km": 1})
        holder[last] = self.random.choice((*junk, *more))
        return f"replaced by {holder[last]!r}"

    def remove(self, holder: Any, last: Any) -> str:
        del holder[last]
        return "removed"

    def rename(self, holder: Any, last: Any) -> str:
        if not isinstance(last, str):
            return self.remove(holder, last)
        new = self.random.choice(
            (last.replace("-", "_"), last[:-1], last.upper(), "x" + last, last[::-1], "kind")
        )
        holder[new] = holder.pop(last)
        return f"renamed {new}"

    def add(self, holder: Any, last: Any) -> str:
        if isinstance(holder, list):
            holder.insert(last, holder[last])
            return "doubled"
        key = self.random.choice(("kind", "name", "port", "channels", "block-s", "limits", "", "1", "Metro"))
        holder[key] = holder[last]
        return f"given as {key} too"

    def shift(self, holder: Any, last: Any) -> str:
        value = holder[last]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self.replace(holder, last)
        new = (value + 1, -value, value * 1000, value / 7, float(value), str(value), f"{value} km", -0.0)
        holder[last] = self.random.choice(new)
        return f"from {value!r} to {holder[last]!r}"


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from _places(inner, (*path, key))

"""Random edits of a network file: each kind changes one thing, and may touch anything but the core.

The core is two sites, their link, their SAEs and the session between them: keys are to flow there throughout.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from numpy.random import Generator

from qstrata.core.randomness import stream
from qstrata.network.description import Description
from qstrata.network.loader import load_text

File = dict[str, Any]

CORE = ("core-a", "core-b")
CORE_SAES = tuple(f"urn:qkd:lab:{node}:sae" for node in CORE)
NODES = 9
SAES = 14


def base() -> File:
    """Return the file to start from: a ring of six sites, two of them the core."""
    nodes = [*CORE, "n0", "n1", "n2", "n3"]
    pairs = list(zip(nodes, [*nodes[1:], nodes[0]], strict=True))
    return {
        "name": "changing",
        "domain": "lab",
        "nodes": [{"name": node, "site": [index, 0]} for index, node in enumerate(nodes)],
        "links": [
            {"ends": list(ends), "length-km": 10, "loss-db": 2, "initial-key-bits": 4_000_000 * (not index)}
            for index, ends in enumerate(pairs)
        ],
        "saes": [{"name": f"urn:qkd:lab:{node}:sae", "node": node} for node in nodes],
        "defaults": {
            "link": {"channels": "default", "block-s": 20, "initial-key-bits": 200_000},
            "session": {"depth-keys": 16, "rate-keys-per-s": 4},
        },
        "sessions": [{"between": list(CORE_SAES)}],
        "demands": [{"between": list(CORE_SAES), "keys-per-s": 1}],
    }


def loaded(file: File) -> Description:
    """Load a file; raises DescriptionError for what is wrong with it."""
    return load_text(json.dumps(file, indent=1), "changing.yaml")


class Editor:
    """Draw edits: `kinds` are those that may be accepted, `wrong` those that must be refused, by name."""

    def __init__(self, seed: int) -> None:
        self._draws = stream(seed, "edits")
        self._made = 0
        self.kinds: dict[str, Callable[[File], bool]] = {
            "add node": self._add_node,
            "remove node": self._remove_node,
            "add link": self._add_link,
            "remove link": self._remove_link,
            "add sae": self._add_sae,
            "remove sae": self._remove_sae,
            "add session": self._add_session,
            "remove session": self._remove_session,
            "change length": self._change_length,
            "change policy": self._change_policy,
            "change limit": self._change_limit,
            "change session": self._change_session,
            "change delay": self._change_delay,
            "move sae": self._move_sae,
            "change channels": self._change_channels,
        }
        self.wrong: dict[str, Callable[[File], bool]] = {
            "rename network": lambda file: _set(file, "name", "other"),
            "change domain": lambda file: _set(file, "domain", "elsewhere"),
            "change clock": lambda file: _set(file, "clock", {"mode": "scaled", "rate": 2}),
            "change seed": lambda file: _set(file, "seed", 7),
            "unknown node": lambda file: _add(file, "links", {"ends": ["core-a", "nowhere"]}),
            "doubled sae": lambda file: _add(file, "saes", dict(file["saes"][0])),
            "length out of range": lambda file: _set(file["links"][0], "length-km", -1),
        }

    def draw(self, file: File, kind: str) -> File | None:
        """Return an edited copy, None where this kind of edit has nothing to change."""
        copy = deepcopy(file)
        return copy if {**self.kinds, **self.wrong}[kind](copy) else None

    def choose(self, kinds: dict[str, Any]) -> str:
        """Choose a kind."""
        kind: str = self._one(list(kinds))
        return kind

    def seconds(self) -> float:
        """Draw how long the network runs before the next edit."""
        return float(self._draws.uniform(0.0, 3.0))

    @property
    def draws(self) -> Generator:
        """Return the generator of the draws."""
        return self._draws

    def _one(self, items: list[Any]) -> Any:
        return items[int(self._draws.integers(len(items)))]

    def _fresh(self, prefix: str) -> str:
        """Return a name that was never used, or one that may have been."""
        self._made += 1
        number = int(self._draws.integers(4, 12)) if self._draws.random() < 0.7 else 100 + self._made
        return f"{prefix}{number}"

    def _add_node(self, file: File) -> bool:
        names = _names(file)
        name = self._fresh("n")
        if name in names or len(names) >= NODES:
            return False
        others = self._draws.choice(names, size=min(2, len(names)), replace=False)
        file["nodes"].append({"name": name, "site": [1, 1]})
        file["links"] += [{"ends": [name, str(other)], "length-km": 10, "loss-db": 2} for other in others]
        file["saes"].append({"name": f"urn:qkd:lab:{name}:sae", "node": name})
        return True

    def _remove_node(self, file: File) -> bool:
        names = [name for name in _names(file) if name not in CORE]
        if len(names) < 2:
            return False
        name = self._one(names)
        file["nodes"] = [node for node in file["nodes"] if node["name"] != name]
        file["links"] = [link for link in file["links"] if name not in link["ends"]]
        for sae in [sae["name"] for sae in file["saes"] if sae["node"] == name]:
            _drop_sae(file, sae)
        return True

    def _add_link(self, file: File) -> bool:
        a, b = (str(name) for name in self._draws.choice(_names(file), size=2, replace=False))
        if any({a, b} == set(link["ends"]) for link in file["links"]):
            return False
        return _add(file, "links", {"ends": [a, b], "length-km": 15, "loss-db": 3})

    def _remove_link(self, file: File) -> bool:
        links = _edges(file)
        return bool(links) and (file["links"].remove(self._one(links)) is None)

    def _add_sae(self, file: File) -> bool:
        node, name = self._one(_names(file)), f"urn:qkd:lab:app:{self._fresh('a')}"
        if len(file["saes"]) >= SAES or any(sae["name"] == name for sae in file["saes"]):
            return False
        return _add(file, "saes", {"name": name, "node": node})

    def _remove_sae(self, file: File) -> bool:
        names = _saes(file)
        if not names:
            return False
        _drop_sae(file, self._one(names))
        return True

    def _add_session(self, file: File) -> bool:
        a, b = (str(n) for n in self._draws.choice([s["name"] for s in file["saes"]], size=2, replace=False))
        if any({a, b} == set(row["between"]) for row in file["sessions"]) or not _allows(file, a, b):
            return False
        return _add(file, "sessions", {"between": [a, b]})

    def _remove_session(self, file: File) -> bool:
        rows = file["sessions"][1:]
        return bool(rows) and (file["sessions"].remove(self._one(rows)) is None)

    def _change_length(self, file: File) -> bool:
        links = _edges(file)
        if not links:
            return False
        key, low, high = self._one([("length-km", 5, 40), ("loss-db", 1, 8), ("block-s", 15, 30)])
        self._one(links)[key] = int(self._draws.integers(low, high))
        return True

    def _change_policy(self, file: File) -> bool:
        if file.get("policy", {}).get("pairs", "all") != "all":
            return _set(file, "policy", {"pairs": "all"})
        names = _saes(file)
        pairs = [list(row["between"]) for row in file["sessions"]]
        pairs += [[a, b] for a in CORE_SAES for b in names if self._draws.random() < 0.5]
        unique = {tuple(sorted(pair)): sorted(pair) for pair in pairs}
        return _set(file, "policy", {"pairs": list(unique.values())})

    def _change_limit(self, file: File) -> bool:
        node = self._one([node for node in file["nodes"] if node["name"] not in CORE])
        most = int(self._draws.integers(1, 128))
        if self._draws.random() < 0.2:
            return _set(file["defaults"], "limits", {"max-key-per-request": most})
        return _set(node, "kme", {"limits": {"max-key-per-request": most}})

    def _change_session(self, file: File) -> bool:
        rows = file["sessions"][1:]
        if not rows:
            return False
        key, low, high = self._one(
            [
                ("depth-keys", 2, 64),
                ("rate-keys-per-s", 1, 20),
                ("ttl-s", 3600, 9999),
                ("request-rate-keys-per-s", 1, 9),
                ("burst-keys", 1, 64),
                ("key-size-bits", 8, 64),
            ]
        )
        self._one(rows)[key] = int(self._draws.integers(low, high)) * (8 if key == "key-size-bits" else 1)
        return True

    def _change_delay(self, file: File) -> bool:
        node = self._one(file["nodes"])
        return _set(node, "management", {"delay-ms": int(self._draws.integers(0, 20))})

    def _move_sae(self, file: File) -> bool:
        names = [sae for sae in file["saes"] if sae["name"].startswith("urn:qkd:lab:app:")]
        return bool(names) and _set(self._one(names), "node", self._one(_names(file)))

    def _change_channels(self, file: File) -> bool:
        links = _edges(file)
        if not links:
            return False
        link = self._one(links)
        if "channels" in link:
            return link.pop("channels") is not None
        return _set(
            link, "channels", self._one([{"relay": {}}, {"relay": {}, "distillation": {"delay-us": 70}}])
        )


def _set(table: File, key: str, value: Any) -> bool:
    if table.get(key) == value:
        return False
    table[key] = value
    return True


def _add(file: File, table: str, row: File) -> bool:
    file[table].append(row)
    return True


def _names(file: File) -> list[str]:
    return [node["name"] for node in file["nodes"]]


def _edges(file: File) -> list[File]:
    """Return the links that are not the core's."""
    return [link for link in file["links"] if set(link["ends"]) != set(CORE)]


def _saes(file: File) -> list[str]:
    """Return the SAEs that are not the core's."""
    return [sae["name"] for sae in file["saes"] if sae["name"] not in CORE_SAES]


def _allows(file: File, a: str, b: str) -> bool:
    pairs = file.get("policy", {}).get("pairs", "all")
    return pairs == "all" or sorted((a, b)) in [sorted(pair) for pair in pairs]


def _drop_sae(file: File, name: str) -> None:
    file["saes"] = [sae for sae in file["saes"] if sae["name"] != name]
    file["sessions"] = [row for row in file["sessions"] if name not in row["between"]]
    pairs = file.get("policy", {}).get("pairs", "all")
    if pairs != "all":
        file["policy"]["pairs"] = [pair for pair in pairs if name not in pair]

"""What the types of a network file cannot say of circuits: nodes that pair links join, with memory cells."""

from collections.abc import Iterator
from itertools import pairwise

from qstrata.network.document import Problem, View
from qstrata.network.pair_tables import CELLS_TO_DISTIL, makes_pairs
from qstrata.network.routing_policies import policy_names
from qstrata.network.suggestion import did_you_mean, nearest
from qstrata.physics.pair_parameters import DeviceParameters


def check_circuits(root: View) -> Iterator[Problem]:
    """Yield what is wrong with the circuits of a file, beside figures out of their ranges."""
    circuits = root.get("circuits").items()
    if not circuits:
        return
    nodes = {node.get("name").text or "": node for node in root.get("nodes").items()}
    links = _pair_links(root)
    named: dict[str, int] = {}
    taken: dict[frozenset[str], str] = {}
    needed: dict[str, int] = {}
    yield from _check_policy(root)
    for circuit in circuits:
        name, path = circuit.get("name"), circuit.get("path")
        if name.text in named:
            line = named[name.text]
            yield Problem(name.place, f"a circuit called `{name.text}` is already in line {line}")
        named.setdefault(name.text or "", name.place.line)
        faults = [*_check_path(path, nodes, links), *_check_ends(circuit, nodes, root)]
        yield from faults
        if faults or path.tree is None:
            continue
        sites = [item.text or "" for item in path.items()]
        for pair, item in zip(map(frozenset, pairwise(sites)), path.items()[1:], strict=True):
            if pair in taken:
                message = f"circuit `{taken[pair]}` has this link already: a link serves one circuit"
                yield Problem(item.place, message)
            taken.setdefault(pair, name.text or "another")
        yield from _check_cells(circuit, nodes, root, needed)


def _pair_links(root: View) -> set[frozenset[str]]:
    kinds = {key.text: view for key, view in root.get("kinds").get("links").tables()}
    default = root.get("defaults").get("link").get("protocol").text
    found: set[frozenset[str]] = set()
    for link in root.get("links").items():
        of_kind = kinds.get(link.get("kind").text or "", View(None))
        protocol = link.get("protocol").text or of_kind.get("protocol").text or default
        if makes_pairs(protocol):
            found.add(frozenset(end.text or "" for end in link.get("ends").items()))
    return found


def _check_path(path: View, nodes: dict[str, View], links: set[frozenset[str]]) -> Iterator[Problem]:
    seen: list[str] = []
    for item in path.items():
        text = item.text or ""
        if text not in nodes:
            hint, meant = did_you_mean(text, list(nodes)), nearest(text, list(nodes))
            yield Problem(item.place, f"no node is called `{text}`{hint}", meant)
        elif text in seen:
            yield Problem(item.place, f"the circuit passes `{text}` twice; a path has each node once")
        elif seen and seen[-1] in nodes and frozenset((seen[-1], text)) not in links:
            message = (
                f"no link for pairs joins `{seen[-1]}` and `{text}`: add one with `protocol: barrett-kok`"
            )
            yield Problem(item.place, message, "protocol: barrett-kok")
        seen.append(text)


def _check_policy(root: View) -> Iterator[Problem]:
    view = root.get("policy").get("pair-routing")
    if view.text is not None and view.text not in policy_names():
        hint = did_you_mean(view.text, policy_names())
        message = f"no routing policy is called `{view.text}`{hint}"
        yield Problem(view.place, message, nearest(view.text, policy_names()))


def _check_ends(circuit: View, nodes: dict[str, View], root: View) -> Iterator[Problem]:
    path, between = circuit.get("path"), circuit.get("between")
    if between.tree is None:
        if path.tree is None:
            two = ", ".join(list(nodes)[:2])
            message = "the circuit lacks its ends: add `between` for a path that is chosen, or a whole `path`"
            yield Problem(circuit.place, message, f"between: [{two}]")
        return
    ends = [item.text or "" for item in between.items()]
    if path.tree is not None:
        sites = [item.text or "" for item in path.items()]
        if sites and sites[:1] + sites[-1:] != ends:
            message = "`path` joins other nodes than `between`: keep one of them"
            yield Problem(between.place, message, f"between: [{sites[0]}, {sites[-1]}]")
        return
    for item in between.items():
        text = item.text or ""
        if text not in nodes:
            hint, meant = did_you_mean(text, list(nodes)), nearest(text, list(nodes))
            yield Problem(item.place, f"no node is called `{text}`{hint}", meant)
        elif _cells_of(nodes[text], root) is None:
            yield _no_memories(item)
    if len(ends) == 2 and ends[0] == ends[1]:
        yield Problem(between.place, f"the circuit joins `{ends[0]}` to itself; name two different nodes")


def _no_memories(item: View) -> Problem:
    message = f"node `{item.text}` has no memories: give it `memories: {{cells: 2}}`"
    return Problem(item.place, message, "memories: {cells: 2}")


def _cells_of(node: View, root: View) -> str | None:
    """Return the number of a node's memory cells as the file has it, None for a node without memories."""
    kinds = {key.text: view for key, view in root.get("kinds").get("nodes").tables()}
    own = node.get("memories")
    of_kind = kinds.get(node.get("kind").text or "", View(None)).get("memories")
    if own.tree is None and of_kind.tree is None:
        return None
    return own.get("cells").text or of_kind.get("cells").text or str(DeviceParameters().cells)


def _check_cells(
    circuit: View, nodes: dict[str, View], root: View, needed: dict[str, int]
) -> Iterator[Problem]:
    items = circuit.get("path").items()
    to_distil = CELLS_TO_DISTIL if circuit.get("distil").tree is not None else 0
    for index, item in enumerate(items):
        cells = _cells_of(nodes[item.text or ""], root)
        if cells is None:
            yield _no_memories(item)
            continue
        need = needed[item.text or ""] = needed.get(item.text or "", 0) + (
            1 + to_distil if index in (0, len(items) - 1) else 2
        )
        if cells.isdigit() and need > int(cells):
            message = f"the circuits through `{item.text}` need {need} memory cells, it has {cells}"
            yield Problem(item.place, message, f"cells: {need}")

"""What the types of a network file cannot say of circuits: nodes that pair links join, with memory cells."""

from collections.abc import Iterator
from itertools import pairwise

from qstrata.network.document import Problem, View
from qstrata.network.pair_tables import makes_pairs
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
    for circuit in circuits:
        name, path = circuit.get("name"), circuit.get("path")
        if name.text in named:
            line = named[name.text]
            yield Problem(name.place, f"a circuit called `{name.text}` is already in line {line}")
        named.setdefault(name.text or "", name.place.line)
        faults = list(_check_path(path, nodes, links))
        yield from faults
        if faults:
            continue
        sites = [item.text or "" for item in path.items()]
        for pair, item in zip(map(frozenset, pairwise(sites)), path.items()[1:], strict=True):
            if pair in taken:
                message = f"circuit `{taken[pair]}` has this link already: a link serves one circuit"
                yield Problem(item.place, message)
            taken.setdefault(pair, name.text or "another")
        yield from _check_cells(path, nodes, root, needed)


def _pair_links(root: View) -> set[frozenset[str]]:
    kinds = {key.text: view for key, view in root.get("kinds").get("links").tables()}
    found: set[frozenset[str]] = set()
    for link in root.get("links").items():
        of_kind = kinds.get(link.get("kind").text or "", View(None))
        protocol = link.get("protocol").text or of_kind.get("protocol").text
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


def _check_cells(path: View, nodes: dict[str, View], root: View, needed: dict[str, int]) -> Iterator[Problem]:
    kinds = {key.text: view for key, view in root.get("kinds").get("nodes").tables()}
    items = path.items()
    for index, item in enumerate(items):
        node = nodes[item.text or ""]
        own = node.get("memories")
        of_kind = kinds.get(node.get("kind").text or "", View(None)).get("memories")
        if own.tree is None and of_kind.tree is None:
            message = f"node `{item.text}` has no memories: give it `memories: {{cells: 2}}`"
            yield Problem(item.place, message, "memories: {cells: 2}")
            continue
        cells = own.get("cells").text or of_kind.get("cells").text or str(DeviceParameters().cells)
        need = needed[item.text or ""] = needed.get(item.text or "", 0) + (
            1 if index in (0, len(items) - 1) else 2
        )
        if cells.isdigit() and need > int(cells):
            message = f"the circuits through `{item.text}` need {need} memory cells, it has {cells}"
            yield Problem(item.place, message, f"cells: {need}")

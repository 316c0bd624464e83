"""Paths for circuits: the cheapest ones within what is free, and what stands in the way of any."""

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence

from qstrata.planes.pair_routes import (
    CELLS_BETWEEN,
    SITES_MAX,
    PairLinkView,
    PairPath,
    PairRequest,
    Resources,
    cells_of,
)

Weight = Callable[[PairLinkView], float]
"""What a link costs, 0 or more; the costs of a path's links are added."""

_Steps = Mapping[str, Sequence[tuple[PairLinkView, str]]]


def cheapest_paths(resources: Resources, request: PairRequest, weight: Weight, count: int) -> list[PairPath]:
    """Return up to `count` paths for a circuit within what is free, cheapest first, each node once.

    Of equal costs the fewest hops come first, then the first by link names. Source: Yen, Management Science
    17, 712 (1971); `count` times hops searches of Dijkstra.
    """
    a, b = request.a, request.b
    if min(resources.free_cells(end) for end in (a, b)) < request.cells_at_end:
        return []
    steps = _free_steps(resources, a, b)
    costs = {view.link: weight(view) for view in resources.links.values()}
    first = _cheapest(steps, costs, a, b, (), ())
    found: list[PairPath] = []
    waiting = [] if first is None else [(_rank(first, costs), first)]
    known = {first}
    while waiting and len(found) < count:
        _, path = heapq.heappop(waiting)
        found.append(path)
        for at in range(len(path.links)):
            root = PairPath(path.sites[: at + 1], path.links[:at])
            barred = {other.links[at] for other in found if other.links[:at] == root.links}
            rest = _cheapest(steps, costs, path.sites[at], b, root.sites[:-1], barred)
            if rest is None:
                continue
            spur = PairPath((*root.sites[:-1], *rest.sites), (*root.links, *rest.links))
            if spur not in known and len(spur.sites) <= SITES_MAX:
                known.add(spur)
                heapq.heappush(waiting, (_rank(spur, costs), spur))
    return [path for path in found if len(path.sites) <= SITES_MAX]


def _rank(path: PairPath, costs: Mapping[str, float]) -> tuple[float, int, tuple[str, ...]]:
    return sum(costs[link] for link in path.links), len(path.links), path.links


def _free_steps(resources: Resources, a: str, b: str) -> _Steps:
    steps: dict[str, list[tuple[PairLinkView, str]]] = {}
    for view in resources.links.values():
        if view.link in resources.serves or not view.probability > 0.0:
            continue
        for here, there in ((view.a, view.b), (view.b, view.a)):
            if there in (a, b) or resources.free_cells(there) >= CELLS_BETWEEN:
                steps.setdefault(here, []).append((view, there))
    return steps


def _cheapest(
    steps: _Steps,
    costs: Mapping[str, float],
    a: str,
    b: str,
    passed: Collection[str],
    barred: Collection[str],
) -> PairPath | None:
    """Return the cheapest path that passes none of `passed` and begins with none of the `barred` links."""
    queue: list[tuple[float, int, tuple[str, ...], tuple[str, ...]]] = [(0.0, 0, (), (a,))]
    seen = set(passed)
    while queue:
        cost, hops, links, sites = heapq.heappop(queue)
        site = sites[-1]
        if site == b:
            return PairPath(sites, links)
        if site in seen:
            continue
        seen.add(site)
        for view, other in steps.get(site, ()):
            if other not in seen and (links or view.link not in barred):
                step = (cost + costs[view.link], hops + 1, (*links, view.link), (*sites, other))
                heapq.heappush(queue, step)
    return None


def shortage(request: PairRequest, resources: Resources) -> str:
    """Say what a circuit lacks on the path that lacks least, and what would help."""
    queue: list[tuple[int, int, tuple[str, ...], tuple[str, ...]]] = [
        (_lacks(resources, request.a, request.cells_at_end), 0, (), (request.a,))
    ]
    seen: set[str] = set()
    while queue:
        lacking, hops, links, sites = heapq.heappop(queue)
        site = sites[-1]
        if site == request.b:
            return "; ".join(_named(resources, request, PairPath(sites, links)))
        if site in seen:
            continue
        seen.add(site)
        for view in resources.links.values():
            if site not in (view.a, view.b) or not view.probability > 0.0:
                continue
            other = view.b if site == view.a else view.a
            if other not in seen:
                cells = request.cells_at_end if other == request.b else CELLS_BETWEEN
                short = (view.link in resources.serves) + _lacks(resources, other, cells)
                step = (lacking + short, hops + 1, (*links, view.link), (*sites, other))
                heapq.heappush(queue, step)
    return (
        f"no chain of links for pairs joins {request.a} and {request.b}: add one with `protocol: barrett-kok`"
    )


def _lacks(resources: Resources, node: str, cells: int) -> int:
    return int(resources.free_cells(node) < cells)


def _named(resources: Resources, request: PairRequest, path: PairPath) -> list[str]:
    taken = [link for link in path.links if link in resources.serves]
    told = [f"link {link} serves circuit {resources.serves[link]}" for link in taken]
    if taken:
        told[-1] += ", and a link serves one: add a link that leads around it, or give that circuit up"
    for site, cells in cells_of(path.sites, request.cells_at_end):
        free = resources.free_cells(site)
        if site not in resources.nodes:
            told.append(f"node {site} has no memories: give it `memories: {{cells: {cells}}}`")
        elif free < cells:
            view = resources.nodes[site]
            needed = "1 is" if cells == 1 else f"{cells} are"
            told.append(
                f"node {site} has {free} of its {view.cells} memory cells free and {needed} needed: "
                f"give it `cells: {view.cells + cells - free}`"
            )
    return told or [f"the path {' - '.join(path.sites)} is longer than {SITES_MAX} nodes"]

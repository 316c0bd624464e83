"""What every plan of circuits must keep, whichever policy made it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from qstrata.planes.pair_routes import (
    SITES_MAX,
    NoRoute,
    PairNetwork,
    PairPath,
    PairRequest,
    PairRoute,
    Planned,
    Resources,
)


def broken_promise(requests: Sequence[PairRequest], network: PairNetwork, planned: Sequence[Planned]) -> str:
    """Return the first promise that a plan breaks, empty where it keeps all.

    Every request is answered once, in their order; a path leads from end to end over links that join its
    nodes, each once; no link serves two circuits, and no node gives more cells than it has; a refusal names a
    link or a node.
    """
    return next(_broken(requests, network, planned), "")


def _broken(
    requests: Sequence[PairRequest], network: PairNetwork, planned: Sequence[Planned]
) -> Iterator[str]:
    answers: Sequence[object] = planned
    strange = [type(row).__name__ for row in answers if not isinstance(row, PairRoute | NoRoute)]
    if strange:
        yield f"an answer is a PairRoute or a NoRoute, and it gave {strange[0]}"
        return
    wanted, answered = [row.circuit for row in requests], [row.circuit for row in planned]
    if wanted != answered:
        yield f"circuits {wanted} are asked for, and {answered} are answered"
        return
    resources = Resources(network)
    for request, row in zip(requests, planned, strict=True):
        if isinstance(row, NoRoute):
            yield from _broken_refusal(row, network)
            continue
        yield from _broken_path(request, row.path, resources)
        if not resources.fits(request, row.path):
            yield f"{request.circuit}: links or memory cells on {row.path.sites} serve others already"
        resources.take(request, row.path)


def _broken_refusal(row: NoRoute, network: PairNetwork) -> Iterator[str]:
    names = (*(view.link for view in network.links), *(view.node for view in network.nodes))
    if not any(name in row.reason for name in names):
        yield f"{row.circuit} is refused, and the reason names no link and no node: {row.reason!r}"


def _broken_path(request: PairRequest, path: PairPath, resources: Resources) -> Iterator[str]:
    sites = path.sites
    if not 2 <= len(sites) <= SITES_MAX or (sites[0], sites[-1]) != (request.a, request.b):
        yield f"{request.circuit}: {sites} does not lead from {request.a} to {request.b}"
    elif len(set(sites)) < len(sites):
        yield f"{request.circuit}: {sites} passes a node twice"
    elif len(path.links) != len(sites) - 1:
        yield f"{request.circuit}: {path.links} are not the links of {sites}"
    else:
        for link, ends in zip(path.links, pairwise(sites), strict=True):
            view = resources.links.get(link)
            if view is None or {view.a, view.b} != set(ends):
                yield f"{request.circuit}: link {link} does not join {' and '.join(ends)}"

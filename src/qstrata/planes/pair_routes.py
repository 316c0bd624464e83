"""Routes of circuits for entangled pairs: what a routing policy is given, what it answers, what it may take.

A policy plans all circuits of a network at once. A link serves one circuit; a circuit needs one memory cell
at each end, more where it distils there, and two at every node between. No secret is at a node that swaps, so
that untrusted ones may.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

SITES_MAX = 64
"""A circuit has at most so many nodes."""

CELLS_BETWEEN = 2


class PairLinkView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One link for pairs; it has no direction.

    An attempt takes `attempt_s` and succeeds with `probability`; its herald comes `herald_s` after the
    emission; a classical word takes `travel_s` from end to end. `xx`, `yy`, `zz` are the correlators of a
    fresh pair relative to its Bell state, -1 to 1. `serves` names the circuit that has the link already.
    """

    link: str
    a: str
    b: str
    length_km: float
    loss_db: float
    probability: float
    attempt_s: float
    herald_s: float = 0.0
    travel_s: float = 0.0
    xx: float = 1.0
    yy: float = 1.0
    zz: float = 1.0
    serves: str = ""

    @property
    def rate_per_s(self) -> float:
        """Return the heralded pairs in a second of a link that is asked all the time."""
        return self.probability / self.attempt_s

    @property
    def fidelity(self) -> float:
        """Return the fidelity of a fresh pair."""
        return (1.0 + self.xx + self.yy + self.zz) / 4.0


class PairNodeView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One node with memories: `cells` in all, `used` by circuits whose path is fixed.

    A swap takes `swap_s`; its gate works with `gate_reliability`, its bits with `readout_fidelity`. Stored
    correlators decay by `xy_per_s` and `z_per_s`.
    """

    node: str
    cells: int
    used: int = 0
    swap_s: float = 0.0
    gate_reliability: float = 1.0
    readout_fidelity: float = 1.0
    xy_per_s: float = 0.0
    z_per_s: float = 0.0


class PairNetwork(msgspec.Struct, frozen=True):
    """The links and nodes that there are; the order of neither means anything."""

    links: tuple[PairLinkView, ...]
    nodes: tuple[PairNodeView, ...]


class PairRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A circuit that wants a path between two nodes.

    It is asked for `pairs_per_s` at most; half of a pair is given up after `cutoff_s`; `least_fidelity` 0
    means any; it needs `cells_at_end` memory cells at each of its ends.
    """

    circuit: str
    a: str
    b: str
    pairs_per_s: float = 10.0
    cutoff_s: float = math.inf
    least_fidelity: float = 0.0
    cells_at_end: int = 1


class PairPath(msgspec.Struct, frozen=True, gc=False):
    """Nodes from end to end, and the links between them."""

    sites: tuple[str, ...]
    links: tuple[str, ...]


class PairRoute(msgspec.Struct, frozen=True, gc=False):
    """The path of a circuit, from its `a` to its `b`."""

    circuit: str
    path: PairPath


class NoRoute(msgspec.Struct, frozen=True, gc=False):
    """Why a circuit has no path, naming what is short and what would help."""

    circuit: str
    reason: str


Planned = PairRoute | NoRoute

Plan = Callable[[Sequence[PairRequest], PairNetwork], Sequence[Planned]]


class RoutingPolicy(msgspec.Struct, frozen=True):
    """A routing policy: its name in network files, what it does in one line, and its pure function.

    `plan` answers every request once, in their order, which a policy may take for their precedence.
    """

    name: str
    summary: str
    plan: Plan


class Resources:
    """What is left of a network while circuits are planned."""

    def __init__(self, network: PairNetwork) -> None:
        self.links: Mapping[str, PairLinkView] = {
            view.link: view for view in sorted(network.links, key=lambda view: view.link)
        }
        self.nodes: Mapping[str, PairNodeView] = {view.node: view for view in network.nodes}
        self.serves = {view.link: view.serves for view in network.links if view.serves}
        self.used = {view.node: view.used for view in network.nodes}

    def free_cells(self, node: str) -> int:
        """Return the memory cells of a node that no circuit has."""
        view = self.nodes.get(node)
        return 0 if view is None else view.cells - self.used[node]

    def take(self, request: PairRequest, path: PairPath) -> None:
        """Give a path to a circuit."""
        self.serves |= dict.fromkeys(path.links, request.circuit)
        self._use(request, path, 1)

    def give_back(self, request: PairRequest, path: PairPath) -> None:
        """Take a path from its circuit again."""
        for link in path.links:
            del self.serves[link]
        self._use(request, path, -1)

    def fits(self, request: PairRequest, path: PairPath) -> bool:
        """Tell whether all that a circuit needs on a path is free."""
        return not any(link in self.serves for link in path.links) and all(
            self.free_cells(site) >= cells for site, cells in cells_of(path.sites, request.cells_at_end)
        )

    def _use(self, request: PairRequest, path: PairPath, sign: int) -> None:
        for site, cells in cells_of(path.sites, request.cells_at_end):
            self.used[site] += sign * cells


def cells_of(sites: Sequence[str], at_end: int) -> Iterable[tuple[str, int]]:
    """Return the nodes of a path, each with the memory cells that a circuit needs there."""
    last = len(sites) - 1
    return ((site, at_end if at in (0, last) else CELLS_BETWEEN) for at, site in enumerate(sites))

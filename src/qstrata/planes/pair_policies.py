"""The routing policies that come with qstrata: simple ones to compare with, and two that plan for rate."""

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from qstrata.planes.pair_expectation import Expectation, expect
from qstrata.planes.pair_paths import Weight, cheapest_paths, shortage
from qstrata.planes.pair_routes import (
    NoRoute,
    PairLinkView,
    PairNetwork,
    PairPath,
    PairRequest,
    PairRoute,
    Planned,
    Resources,
    RoutingPolicy,
)

CANDIDATES = 12
"""So many paths are compared by what they give, cheapest first by sums that come close to it."""

STEPS_MAX = 20_000
"""`joint-rate` tries so many paths of circuits at most, and takes the best plan found until then."""

Choose = Callable[[PairRequest, Resources], PairPath | str]
"""Choose a path within what is free, or say why there is none."""


class Offer(msgspec.Struct, frozen=True):
    """A path, and what it can be expected to give."""

    path: PairPath
    expected: Expectation


def in_order(requests: Sequence[PairRequest], network: PairNetwork, choose: Choose) -> tuple[Planned, ...]:
    """Plan circuits one after the other: each takes what it needs of what those before it have left."""
    resources = Resources(network)
    planned: list[Planned] = []
    for request in requests:
        chosen = choose(request, resources)
        if isinstance(chosen, str):
            planned.append(NoRoute(request.circuit, chosen))
        else:
            resources.take(request, chosen)
            planned.append(PairRoute(request.circuit, chosen))
    return tuple(planned)


def offers(request: PairRequest, resources: Resources, *weights: Weight) -> list[Offer]:
    """Return the cheapest paths by each of the weights, each once, with what they give."""
    found: dict[PairPath, None] = {}
    for weight in weights:
        found |= dict.fromkeys(cheapest_paths(resources, request, weight, CANDIDATES))
    return [Offer(path, _expected(request, resources, path)) for path in found]


def _expected(request: PairRequest, resources: Resources, path: PairPath) -> Expectation:
    return expect(resources, path, request.pairs_per_s, request.cutoff_s)


def waiting(view: PairLinkView) -> float:
    """Weigh a link by the mean time to its pair."""
    return 1.0 / view.rate_per_s


def noise(view: PairLinkView) -> float:
    """Weigh a link by what it takes from correlators, as a logarithm; a swap takes as much as 1e-9."""
    kept = (view.xx + view.yy + view.zz) / 3.0
    return -math.log(max(kept, 1e-9)) + 1e-9


def _hops(view: PairLinkView) -> float:
    return 1.0


def _length(view: PairLinkView) -> float:
    return view.length_km


def _loss(view: PairLinkView) -> float:
    return view.loss_db


def _by_rate(offer: Offer) -> tuple[float, float, int, tuple[str, ...]]:
    expected = offer.expected
    return -expected.rate_per_s, -expected.fidelity, len(offer.path.links), offer.path.links


def _by_fidelity(offer: Offer) -> tuple[float, float, int, tuple[str, ...]]:
    expected = offer.expected
    return -expected.fidelity, -expected.rate_per_s, len(offer.path.links), offer.path.links


def _cheapest(weight: Weight) -> Choose:
    def choose(request: PairRequest, resources: Resources) -> PairPath | str:
        found = cheapest_paths(resources, request, weight, 1)
        return found[0] if found else shortage(request, resources)

    return choose


def _highest_rate(request: PairRequest, resources: Resources) -> PairPath | str:
    found = offers(request, resources, waiting, _hops)
    return min(found, key=_by_rate).path if found else shortage(request, resources)


def _highest_fidelity(request: PairRequest, resources: Resources) -> PairPath | str:
    found = offers(request, resources, noise, waiting)
    return min(found, key=_by_fidelity).path if found else shortage(request, resources)


def _good_enough(request: PairRequest, resources: Resources) -> list[Offer]:
    """Return what gives at least the fidelity that is asked for, the highest rate first."""
    found = offers(request, resources, waiting, _hops, noise)
    return sorted((o for o in found if o.expected.fidelity >= request.least_fidelity), key=_by_rate)


def _rate_above_fidelity(request: PairRequest, resources: Resources) -> PairPath | str:
    good = _good_enough(request, resources)
    if good:
        return good[0].path
    found = offers(request, resources, noise, waiting)
    if not found:
        return shortage(request, resources)
    best = min(found, key=_by_fidelity)
    return (
        f"the best path that is free, {' - '.join(best.path.sites)}, gives pairs of fidelity "
        f"{best.expected.fidelity:.3f} and {request.least_fidelity:g} is asked for: ask for less, better its "
        "links and memories, or let its ends `distil`"
    )


def _fewest_good(request: PairRequest, resources: Resources) -> PairPath | str:
    """Choose the path of the fewest hops that gives the fidelity asked for, of the shortest few."""
    for path in cheapest_paths(resources, request, _hops, CANDIDATES):
        least = request.least_fidelity
        if not least or _expected(request, resources, path).fidelity >= least:
            return path
    return _rate_above_fidelity(request, resources)


def _joint_rate(requests: Sequence[PairRequest], network: PairNetwork) -> tuple[Planned, ...]:
    """Begin with the best of three plans in order, and search combinations of paths for a better one.

    The search grows with the power of the number of circuits; it ends after STEPS_MAX steps.
    """
    free = Resources(network)
    alone = {row.circuit: cheapest_paths(free, row, _hops, 1) for row in requests}
    nearest = sorted(requests, key=lambda row: len(alone[row.circuit][0].links) if alone[row.circuit] else 0)
    first = (
        in_order(requests, network, _rate_above_fidelity),
        in_order(requests, network, _fewest_good),
        in_order(nearest, network, _fewest_good),
    )
    search = _Search(requests, network)
    for plan in first:
        search.take({row.circuit: row.path for row in plan if isinstance(row, PairRoute)})
    search.go()
    return _completed(requests, network, search.best)


def _completed(
    requests: Sequence[PairRequest], network: PairNetwork, paths: Mapping[str, PairPath]
) -> tuple[Planned, ...]:
    """Return a plan of these paths, with what is left given to circuits that have none."""
    resources = Resources(network)
    for request in requests:
        if request.circuit in paths:
            resources.take(request, paths[request.circuit])

    def choose(request: PairRequest) -> Planned:
        chosen = paths.get(request.circuit)
        if chosen is not None:
            return PairRoute(request.circuit, chosen)
        found = _rate_above_fidelity(request, resources)
        if isinstance(found, str):
            return NoRoute(request.circuit, found)
        resources.take(request, found)
        return PairRoute(request.circuit, found)

    return tuple(choose(request) for request in requests)


class _Search:
    """Search for the plan that serves the most circuits, and of those for the highest sum of rates."""

    def __init__(self, requests: Sequence[PairRequest], network: PairNetwork) -> None:
        self._resources = Resources(network)
        self._offers = [_good_enough(request, self._resources) for request in requests]
        self._requests = requests
        self._steps = 0
        self.best: dict[str, PairPath] = {}
        self._score = (0, 0.0)
        # What the circuits from here on could give at most, each by itself.
        tops = [each[0].expected.rate_per_s if each else 0.0 for each in self._offers]
        able = [int(bool(each)) for each in self._offers]
        self._at_most = [(sum(able[at:]), math.fsum(tops[at:])) for at in range(len(tops) + 1)]

    def take(self, paths: dict[str, PairPath]) -> None:
        """Take a plan to do better than, if it is the best so far."""
        served = [row for row in self._requests if row.circuit in paths]
        rates = (_expected(row, self._resources, paths[row.circuit]).rate_per_s for row in served)
        score = (len(served), math.fsum(rates))
        if score > self._score:
            self._score, self.best = score, paths

    def go(self) -> None:
        """Search until nothing is left to try, or for the most steps."""
        self._go(0, {}, 0.0)

    def _go(self, at: int, chosen: dict[str, PairPath], rate: float) -> None:
        served, more = self._at_most[at]
        if (len(chosen) + served, rate + more) <= self._score or self._steps >= STEPS_MAX:
            return
        if at == len(self._requests):
            self._score, self.best = (len(chosen), rate), dict(chosen)
            return
        request = self._requests[at]
        for offer in self._offers[at]:
            self._steps += 1
            if self._resources.fits(request, offer.path):
                self._resources.take(request, offer.path)
                self._go(at + 1, {**chosen, request.circuit: offer.path}, rate + offer.expected.rate_per_s)
                self._resources.give_back(request, offer.path)
        self._go(at + 1, chosen, rate)


def _one_by_one(name: str, summary: str, choose: Choose) -> RoutingPolicy:
    def plan(requests: Sequence[PairRequest], network: PairNetwork) -> tuple[Planned, ...]:
        return in_order(requests, network, choose)

    return RoutingPolicy(name, summary, plan)


RATE_ABOVE_FIDELITY = "rate-above-fidelity"

BUILT_IN: tuple[RoutingPolicy, ...] = (
    _one_by_one("fewest-hops", "the fewest links, circuits in the order of the file", _cheapest(_hops)),
    _one_by_one("shortest", "the least fibre, circuits in the order of the file", _cheapest(_length)),
    _one_by_one("least-loss", "the least loss of fibre, circuits in the order of the file", _cheapest(_loss)),
    _one_by_one("highest-rate", "the most pairs, circuits in the order of the file", _highest_rate),
    _one_by_one("highest-fidelity", "the best pairs, circuits in the order of the file", _highest_fidelity),
    _one_by_one(
        RATE_ABOVE_FIDELITY,
        "the most pairs of at least the fidelity asked for, circuits in the order of the file",
        _rate_above_fidelity,
    ),
    RoutingPolicy(
        "joint-rate", "all circuits together: serve the most, then the most pairs in sum", _joint_rate
    ),
)
BUILT_IN_NAMES = tuple(policy.name for policy in BUILT_IN)

"""The conformance suite of routing policies: what networks rely on, checked on any policy."""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

import msgspec
import numpy as np

from qstrata.core.randomness import stream
from qstrata.network.tables import PROTOCOL_PATTERN
from qstrata.planes.pair_paths import cheapest_paths
from qstrata.planes.pair_promises import broken_promise
from qstrata.planes.pair_routes import (
    NoRoute,
    PairLinkView,
    PairNetwork,
    PairNodeView,
    PairRequest,
    PairRoute,
    Planned,
    Resources,
    RoutingPolicy,
)

RANDOM_NETWORKS = 20


class Case(msgspec.Struct, frozen=True):
    """A network and the circuits that are asked of it."""

    title: str
    requests: tuple[PairRequest, ...]
    network: PairNetwork


def check_routing_policy(policy: RoutingPolicy) -> None:
    """Check a routing policy against everything that networks rely on, on some small and random networks.

    Raises AssertionError that says which promise was broken, and on which network.
    """
    assert re.fullmatch(PROTOCOL_PATTERN, policy.name), f"{policy.name!r}: no network file can name it"
    assert policy.summary, f"{policy.name}: it does not say what it does"
    for case in cases():
        planned = tuple(policy.plan(case.requests, case.network))
        broken = broken_promise(case.requests, case.network, planned)
        _demand(not broken, policy, case, broken)
        again = tuple(policy.plan(case.requests, case.network))
        _demand(again == planned, policy, case, "the same network is planned otherwise the second time")
        for number in range(3):
            turned = tuple(policy.plan(case.requests, _turned(case.network, number)))
            _demand(turned == planned, policy, case, "the order of links, ends or nodes changes the plan")
        _check_refusals(policy, case, planned)


def _demand(holds: bool, policy: RoutingPolicy, case: Case, promise: str) -> None:
    assert holds, f"{policy.name}, {case.title}: {promise}"


def _check_refusals(policy: RoutingPolicy, case: Case, planned: Sequence[Planned]) -> None:
    """Demand that whoever asks for no fidelity is not refused while a path is left."""
    left = Resources(case.network)
    for request, row in zip(case.requests, planned, strict=True):
        if isinstance(row, PairRoute):
            left.take(request, row.path)
    for request, row in zip(case.requests, planned, strict=True):
        if isinstance(row, NoRoute) and not request.least_fidelity:
            free = cheapest_paths(left, request, lambda view: 1.0, 1)
            told = f"{request.circuit} is refused though {free and free[0].sites} is free"
            _demand(not free, policy, case, told)


def _turned(network: PairNetwork, number: int) -> PairNetwork:
    generator = stream(number, "turned")
    links = [network.links[at] for at in generator.permutation(len(network.links))]
    return PairNetwork(
        links=tuple(
            msgspec.structs.replace(view, a=view.b, b=view.a) if generator.random() < 0.5 else view
            for view in links
        ),
        nodes=tuple(network.nodes[at] for at in generator.permutation(len(network.nodes))),
    )


# --- networks ---


def cases() -> Iterator[Case]:
    """Yield the networks of the suite: small ones that each show something, then random ones."""
    line = _network("ab bc cd")
    yield Case("a line", _requests("ad"), line)
    yield Case("a line for two", _requests("ad bd"), line)
    yield Case("a line whose middle is taken", _requests("ad ab"), _network("ab bc cd", taken="bc"))
    yield Case("a line with a node of one cell", _requests("ac bc"), _network("ab bc", cells={"b": 1}))
    yield Case("a line with a node without memories", _requests("ac"), _network("ab bc", cells={"b": 0}))
    greedy = tuple(msgspec.structs.replace(each, cells_at_end=3) for each in _requests("ac ca"))
    yield Case("a line for two that distil", greedy, _network("ab bc ad dc", cells={"a": 5, "c": 6}))
    yield Case("two islands", _requests("ac cd"), _network("ab cd"))
    yield Case("a diamond for three", _requests("ad da ad"), _network("ab bd ac cd"))
    yield Case("a ring for all its diagonals", _requests("ac bd ac"), _network("ab bc cd da"))
    grid = _network("ab bc de ef gh hi ad dg be eh cf fi")
    yield Case("a grid", _requests("ai cg df bh"), grid)
    yield Case("a grid and a fidelity", _requests("ai cg df bh", least_fidelity=0.95), grid)
    yield Case("nothing to plan", (), grid)
    for number in range(RANDOM_NETWORKS):
        yield _random(number)


def _requests(ends: str, least_fidelity: float = 0.0) -> tuple[PairRequest, ...]:
    return tuple(
        PairRequest(
            circuit=f"circuit-{at}", a=pair[0], b=pair[1], pairs_per_s=100.0, least_fidelity=least_fidelity
        )
        for at, pair in enumerate(ends.split())
    )


def _network(ends: str, taken: str = "", cells: dict[str, int] | None = None) -> PairNetwork:
    links = [tuple(each) for each in ends.split()]
    has = {site: (cells or {}).get(site, 4) for each in links for site in each}
    return PairNetwork(
        links=tuple(
            _link(a, b, length_km=10.0 + at, serves="another" if a + b == taken else "")
            for at, (a, b) in enumerate(links)
        ),
        nodes=tuple(PairNodeView(node=site, cells=count) for site, count in has.items() if count),
    )


def _link(a: str, b: str, length_km: float, serves: str = "", w: float = 0.97) -> PairLinkView:
    return PairLinkView(
        link=f"{a}-{b}",
        a=a,
        b=b,
        length_km=length_km,
        loss_db=0.2 * length_km,
        probability=0.2 * 10.0 ** (-0.02 * length_km),
        attempt_s=length_km * 5e-6,
        herald_s=length_km * 5e-6,
        travel_s=length_km * 5e-6,
        xx=w,
        yy=w,
        zz=w,
        serves=serves,
    )


def _random(number: int) -> Case:
    generator = stream(number, "routing-suite")
    sites = [f"n{at}" for at in range(int(generator.integers(4, 11)))]
    density = float(generator.uniform(0.2, 0.6))
    links = [
        _link(a, b, float(generator.uniform(1.0, 80.0)), w=float(generator.uniform(0.8, 1.0)))
        for a, b in combinations(sites, 2)
        if generator.random() < density
    ]
    nodes = [PairNodeView(node=site, cells=int(generator.integers(1, 7)), xy_per_s=0.1) for site in sites]
    requests = tuple(
        PairRequest(circuit=f"circuit-{at}", a=a, b=b, pairs_per_s=50.0, least_fidelity=least)
        for at in range(int(generator.integers(1, 7)))
        for a, b in [_two(generator, sites)]
        for least in [float(generator.choice([0.0, 0.0, 0.8]))]
    )
    return Case(f"random network {number}", requests, PairNetwork(tuple(links), tuple(nodes)))


def _two(generator: np.random.Generator, sites: Sequence[str]) -> tuple[str, str]:
    first, second = generator.choice(len(sites), 2, replace=False)
    return sites[first], sites[second]

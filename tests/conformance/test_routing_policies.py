"""Every routing policy keeps its promises, and the suite finds whichever does not."""

from collections import Counter

import msgspec
import pytest

from qstrata.planes.pair_policies import BUILT_IN
from qstrata.planes.pair_routes import NoRoute, PairPath, PairRoute, RoutingPolicy
from qstrata.testing import check_routing_policy

FEWEST_HOPS, SHORTEST = BUILT_IN[:2]


@pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: policy.name)
def test_a_built_in_policy_keeps_every_promise(policy):
    check_routing_policy(policy)


def broken(change):
    """Return a policy that plans as fewest-hops does, and has its plan changed."""
    return RoutingPolicy(
        "broken", "plans, then breaks it", lambda requests, network: change(plan(requests, network), network)
    )


def plan(requests, network):
    return list(FEWEST_HOPS.plan(requests, network))


def routes_changed(change):
    def changed(rows, network):
        return [
            msgspec.structs.replace(row, path=change(row.path)) if isinstance(row, PairRoute) else row
            for row in rows
        ]

    return broken(changed)


def refusals_changed(change):
    return broken(lambda rows, network: [change(row) if isinstance(row, NoRoute) else row for row in rows])


def greedy(requests, network):
    """Plan every circuit as if it were alone."""
    return [FEWEST_HOPS.plan([request], network)[0] for request in requests]


def heedless_of_cells(requests, network):
    many = tuple(msgspec.structs.replace(node, cells=99) for node in network.nodes)
    return FEWEST_HOPS.plan(requests, msgspec.structs.replace(network, nodes=many))


def heedless_of_others(requests, network):
    free = tuple(msgspec.structs.replace(link, serves="") for link in network.links)
    return FEWEST_HOPS.plan(requests, msgspec.structs.replace(network, links=free))


def by_what_stands_first(requests, network):
    """Prefer the links that happen to stand first."""
    links = tuple(
        msgspec.structs.replace(link, length_km=float(at)) for at, link in enumerate(network.links, 1)
    )
    return SHORTEST.plan(requests, msgspec.structs.replace(network, links=links))


def refusing(requests, network):
    return [NoRoute(request.circuit, f"node {request.a} is not liked") for request in requests]


def wavering():
    calls = Counter()

    def wavers(requests, network):
        calls["plan"] += 1
        return plan(requests, network) if calls["plan"] % 2 else refusing(requests, network)

    return wavers


BROKEN = {
    "answered": broken(lambda rows, network: rows[:-1]),
    "are asked for": broken(lambda rows, network: rows[::-1]),
    "does not lead": routes_changed(lambda path: PairPath(path.sites[::-1], path.links[::-1])),
    "passes a node twice": routes_changed(
        lambda path: (
            PairPath(
                (*path.sites[:2], *path.sites[:2], *path.sites[2:]),
                (*path.links[:1] * 3, *path.links[1:]),
            )
            if len(path.sites) > 2
            else path
        )
    ),
    "are not the links": routes_changed(lambda path: PairPath(path.sites, path.links[1:])),
    "does not join": routes_changed(lambda path: PairPath(path.sites, path.links[::-1])),
    "serve others": RoutingPolicy("broken", "plans each alone", greedy),
    "memory cells": RoutingPolicy("broken", "counts no cells", heedless_of_cells),
    "links or memory": RoutingPolicy("broken", "takes what others have", heedless_of_others),
    "the order of links": RoutingPolicy("broken", "prefers the first", by_what_stands_first),
    "the second time": RoutingPolicy("broken", "wavers", wavering()),
    "names no link": refusals_changed(lambda row: NoRoute(row.circuit, "no")),
    "is refused though": RoutingPolicy("broken", "refuses all", refusing),
    "does not say": RoutingPolicy("broken", "", FEWEST_HOPS.plan),
    "can name it": RoutingPolicy("Not A Name", "plans", FEWEST_HOPS.plan),
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_policy_is_found_and_told_what_it_broke(words):
    with pytest.raises(AssertionError, match=words):
        check_routing_policy(BROKEN[words])

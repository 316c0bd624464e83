"""The built-in routing policies: what each prefers, what it leaves to others, what it says is short."""

from itertools import pairwise, permutations

import msgspec
import pytest
import rustworkx

from qstrata.planes.pair_expectation import expect
from qstrata.planes.pair_paths import cheapest_paths
from qstrata.planes.pair_policies import BUILT_IN
from qstrata.planes.pair_routes import (
    NoRoute,
    PairLinkView,
    PairNetwork,
    PairNodeView,
    PairRequest,
    PairRoute,
    Resources,
)
from qstrata.testing.routing_suite import cases

POLICIES = {policy.name: policy for policy in BUILT_IN}


def link(a, b, km=10.0, db=2.0, probability=0.1, w=0.96, **given):
    return PairLinkView(
        link=f"{a}-{b}",
        a=a,
        b=b,
        length_km=km,
        loss_db=db,
        probability=probability,
        attempt_s=1e-3,
        xx=w,
        yy=w,
        zz=w,
        **given,
    )


def network(*links, cells=4, **nodes):
    sites = dict.fromkeys(end for each in links for end in (each.a, each.b))
    return PairNetwork(links, tuple(PairNodeView(node=site, cells=nodes.get(site, cells)) for site in sites))


def asked(*ends, least_fidelity=0.0):
    return [
        PairRequest(circuit=f"{a}{b}", a=a, b=b, pairs_per_s=1000.0, least_fidelity=least_fidelity)
        for a, b in ends
    ]


def paths(name, requests, net):
    return {
        row.circuit: "".join(row.path.sites) if isinstance(row, PairRoute) else row.reason
        for row in POLICIES[name].plan(requests, net)
    }


# From a to d: one long link; two of much fibre but little loss; two short ones with noise.
CHOICE = network(
    link("a", "d", km=50.0, db=15.0, probability=0.01, w=0.99),
    link("a", "b", km=24.0, db=3.0, probability=0.3, w=0.97),
    link("b", "d", km=24.0, db=3.0, probability=0.3, w=0.97),
    link("a", "c", km=12.0, db=4.0, probability=0.4, w=0.80),
    link("c", "d", km=12.0, db=4.0, probability=0.4, w=0.80),
)


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        ("fewest-hops", "ad"),
        ("shortest", "acd"),
        ("least-loss", "abd"),
        ("highest-rate", "acd"),
        ("highest-fidelity", "ad"),
        ("rate-above-fidelity", "acd"),
        ("joint-rate", "acd"),
    ],
)
def test_each_policy_prefers_what_its_name_says(policy, path):
    assert paths(policy, asked("ad"), CHOICE) == {"ad": path}


def test_a_least_fidelity_rules_out_fast_paths_of_bad_pairs():
    # w = 0.97^2 makes F = 0.956 over b, w = 0.8^2 makes 0.73 over c, and the long link has 0.9925.
    assert paths("rate-above-fidelity", asked("ad", least_fidelity=0.9), CHOICE) == {"ad": "abd"}
    assert paths("rate-above-fidelity", asked("ad", least_fidelity=0.98), CHOICE) == {"ad": "ad"}
    told = paths("rate-above-fidelity", asked("ad", least_fidelity=0.999), CHOICE)["ad"]
    assert "a - d, gives pairs of fidelity 0.992 and 0.999 is asked for" in told


def test_circuits_take_links_in_their_order_and_the_last_one_hears_who_has_them():
    requests = [
        PairRequest(circuit=name, a="a", b="d", pairs_per_s=10.0) for name in ("one", "two", "three", "four")
    ]
    found = paths("fewest-hops", requests, CHOICE)
    assert [found["one"], found["two"], found["three"]] == ["ad", "abd", "acd"]
    assert "link a-d serves circuit one" in found["four"]


def test_cells_that_are_short_are_named_with_how_many_are_needed():
    line = network(link("a", "b"), link("b", "c"), link("d", "b"), link("b", "e"), b=3)
    found = paths("fewest-hops", asked("ac", "de"), line)
    assert found["ac"] == "abc"
    assert "node b has 1 of its 3 memory cells free and 2 are needed: give it `cells: 4`" in found["de"]


def test_a_node_without_memories_is_no_way_and_is_told():
    whole = network(link("a", "b"), link("b", "c"))
    bare = PairNetwork(whole.links, tuple(node for node in whole.nodes if node.node != "b"))
    assert "node b has no memories" in paths("fewest-hops", asked("ac"), bare)["ac"]


def test_without_any_chain_of_links_the_cure_is_one():
    told = paths("highest-rate", asked("ac"), network(link("a", "b"), link("c", "d")))["ac"]
    assert told.startswith("no chain of links for pairs joins a and c: add one")


def test_joint_planning_serves_whom_the_order_of_the_file_would_refuse():
    """Over a the first circuit is fastest, and leaves nothing to the second, which has that way alone."""
    net = network(
        link("x", "a", probability=0.5),
        link("a", "y", probability=0.5),
        link("x", "b", probability=0.1),
        link("b", "y", probability=0.1),
        cells=2,
        x=4,
        y=4,
    )
    net = PairNetwork((*net.links, link("z", "a")), (*net.nodes, PairNodeView(node="z", cells=2)))
    requests = asked("xy", "za")
    in_order = POLICIES["rate-above-fidelity"].plan(requests, net)
    together = POLICIES["joint-rate"].plan(requests, net)
    assert [type(row) for row in in_order] == [PairRoute, NoRoute]
    assert [row.path.sites for row in together] == [("x", "b", "y"), ("z", "a")]


@pytest.mark.parametrize("name", ["rate-above-fidelity", "fewest-hops"])
def test_joint_planning_serves_no_fewer_than_the_order_of_the_file(name):
    for case in cases():
        requests = [msgspec.structs.replace(row, least_fidelity=0.0) for row in case.requests]
        served = [
            sum(isinstance(row, PairRoute) for row in POLICIES[policy].plan(requests, case.network))
            for policy in ("joint-rate", name)
        ]
        assert served[0] >= served[1], case.title


def best_by_trying_all(requests, net):
    """Return the most circuits and then the highest sum of rates of all plans in any order, path by path."""
    best = (0, 0.0)
    for order in permutations(requests):
        for choice in range(3 ** len(order)):
            resources, served, rate = Resources(net), 0, 0.0
            for at, request in enumerate(order):
                found = cheapest_paths(resources, request, lambda view: 1.0, 3)
                if found:
                    path = found[choice // 3**at % 3 % len(found)]
                    rate += expect(resources, path, request.pairs_per_s).rate_per_s
                    resources.take(request, path)
                    served += 1
            best = max(best, (served, rate))
    return best


def test_joint_planning_finds_what_trying_everything_finds():
    net = network(
        link("a", "b", probability=0.3),
        link("b", "c", probability=0.02),
        link("c", "d", probability=0.3),
        link("d", "a", probability=0.05),
        link("a", "c", probability=0.2),
        cells=4,
    )
    requests = asked("ac", "bd", "ad")
    planned = POLICIES["joint-rate"].plan(requests, net)
    free = Resources(net)
    rates = {request.circuit: request.pairs_per_s for request in requests}
    served = [row for row in planned if isinstance(row, PairRoute)]
    found = (len(served), sum(expect(free, row.path, rates[row.circuit]).rate_per_s for row in served))
    assert found == pytest.approx(best_by_trying_all(requests, net))


def test_k_cheapest_paths_are_those_of_an_independent_search():
    names = "abcdefg"
    links = [
        link(a, b, km=float((ord(a) * 7 + ord(b) * 13) % 29 + 1))
        for a in names
        for b in names
        if a < b and (ord(a) + ord(b)) % 3
    ]
    lengths = {frozenset((each.a, each.b)): each.length_km for each in links}
    graph = rustworkx.PyGraph()
    graph.add_nodes_from(list(names))
    for each in links:
        graph.add_edge(names.index(each.a), names.index(each.b), None)
    every = rustworkx.all_simple_paths(graph, 0, len(names) - 1)
    costs = sorted(sum(lengths[frozenset((names[a], names[b]))] for a, b in pairwise(path)) for path in every)
    found = cheapest_paths(Resources(network(*links)), *asked("ag"), lambda view: view.length_km, 10_000)
    assert [sum(lengths[frozenset(pair)] for pair in pairwise(path.sites)) for path in found] == costs
    assert len({path.sites for path in found}) == len(found) > 20

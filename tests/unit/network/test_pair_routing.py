"""Circuits that say only their ends: from the file to paths, and what a file keeps of them."""

import math
from importlib.metadata import EntryPoint

import msgspec
import pytest

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.policy import CircuitState, ForwardingState, LinkState
from qstrata.network import plugins, routing_policies
from qstrata.network.difference import difference
from qstrata.network.document import DescriptionError
from qstrata.network.in_force import file_text
from qstrata.network.loader import load, load_text
from qstrata.network.pair_routing import network_of, plan_circuits, request_of
from qstrata.network.pair_views import PairViews
from qstrata.network.plan import make_plan
from qstrata.network.route_report import jain, policy_report
from qstrata.network.routing_policies import find_policy, policy_names
from qstrata.physics.pair_link import PairLinkParameters, heralding
from qstrata.planes.pair_routes import NoRoute, RoutingPolicy
from qstrata.strata.forwarding.resource.pair_tests import shares

TEXT = """
name: square
domain: square
defaults: {link: {channels: default, protocol: barrett-kok}}
kinds:
  nodes:
    station: {memories: {cells: 4, t1-s: 10, two-qubit-gate-us: 5, measure-us: 2}}
nodes:
  - {name: a, site: [0, 0], kind: station}
  - {name: b, site: [1, 0], kind: station, trusted: false}
  - {name: c, site: [1, 1], kind: station}
  - {name: d, site: [0, 1], kind: station}
links:
  - {ends: [a, b], length-km: 10, loss-db: 2}
  - {ends: [b, c], length-km: 10, loss-db: 2}
  - {ends: [c, d], length-km: 20, loss-db: 4}
  - {ends: [d, a], length-km: 20, loss-db: 4}
saes: []
policy: {pair-routing: shortest}
circuits:
  - {name: one, between: [a, c], pairs-per-s: 100}
"""
SECOND = "  - {name: two, between: [c, a]}\n"


def paths(text):
    return {circuit.name: circuit.path for circuit in load_text(text, "square.yaml").circuits}


def test_the_policy_of_the_file_chooses_and_its_default_goes_for_rate():
    assert paths(TEXT) == {"one": ("a", "b", "c")}
    assert load_text(TEXT.replace("policy:", "#"), "square.yaml").policy.pair_routing == "rate-above-fidelity"


def test_a_second_circuit_goes_round_and_a_fixed_path_comes_first():
    assert paths(TEXT + SECOND) == {"one": ("a", "b", "c"), "two": ("c", "d", "a")}
    fixed = "  - {name: two, path: [c, b, a]}\n"
    assert paths(TEXT + fixed) == {"one": ("a", "d", "c"), "two": ("c", "b", "a")}


def test_a_circuit_whose_ends_distil_needs_a_cell_more_at_each():
    three = TEXT.replace("cells: 4", "cells: 3") + SECOND
    distils = three.replace("between: [a, c]", "between: [a, c], distil: {}")
    assert paths(distils)["two"] == ("c", "d", "a")
    both = distils.replace("between: [c, a]", "between: [c, a], distil: {}")
    with pytest.raises(DescriptionError, match="1 of its 3 memory cells free and 2 are needed"):
        load_text(both, "square.yaml")


def test_a_fidelity_is_asked_of_the_policy_where_nothing_else_betters_pairs():
    wants = load_text(TEXT.replace("between: [a, c]", "between: [a, c], fidelity: 0.9"), "square.yaml")
    assert request_of(wants.circuits[0]).least_fidelity == 0.9
    low = TEXT.replace("shortest", "rate-above-fidelity").replace("c], pairs", "c], fidelity: 0.97, pairs")
    with pytest.raises(DescriptionError, match=r"and 0\.97 is asked for.* or let its ends `distil`"):
        load_text(low, "square.yaml")
    cured = low.replace("fidelity: 0.97", "fidelity: 0.97, distil: {rounds: 2}")
    assert load_text(cured, "square.yaml").circuits[0].path


def test_an_untrusted_node_swaps_for_it_sees_no_secret():
    assert not load_text(TEXT, "square.yaml").nodes[1].trusted
    assert "b" in paths(TEXT)["one"]


def test_what_runs_is_kept_with_its_path_and_nothing_is_to_do_when_it_is_read_again():
    chosen = load_text(TEXT + SECOND, "square.yaml")
    again = load_text(file_text(chosen), "network.yaml")
    assert again == chosen
    assert difference(chosen, load_text(TEXT + SECOND, "square.yaml")).steps == ()


def test_a_link_that_is_gone_moves_the_circuit_by_a_plan_that_says_so():
    before = load_text(TEXT, "square.yaml")
    after = load_text(TEXT.replace("  - {ends: [a, b], length-km: 10, loss-db: 2}\n", ""), "square.yaml")
    assert after.circuits[0].path == ("a", "d", "c")
    steps = {(step.action, step.kind, step.object) for step in difference(before, after).steps}
    assert {("remove", "link", "a-b"), ("change", "circuit", "one")} <= steps


def test_a_path_is_chosen_round_links_that_are_left_out_though_they_are_there():
    around = load_text(TEXT, "square.yaml", without=["a-b"])
    assert around.circuits[0].path == ("a", "d", "c")
    assert len(around.pair_links) == 4
    fixed = TEXT + "  - {name: two, path: [a, b]}\n"
    assert load_text(fixed, "square.yaml", without=["a-b"]).circuits[1].path == ("a", "b")
    with pytest.raises(InputError, match="did you mean `a-b`"):
        load_text(TEXT.replace("between: [a, c]", "path: [a, b, c]"), "square.yaml", without=["ab"])
    with pytest.raises(DescriptionError, match="no chain of links for pairs joins a and c"):
        load_text(TEXT, "square.yaml", without=["a-b", "c-d"])


def test_a_fixed_path_keeps_all_its_links_though_one_is_left_out():
    fixed = TEXT.replace("between: [a, c]", "path: [a, b, c]") + "  - {name: two, between: [b, c]}\n"
    with pytest.raises(DescriptionError, match="link b-c serves circuit one"):
        load_text(fixed, "square.yaml", without=("a-b",))


def test_who_looks_at_a_broken_circuit_is_told_how_to_move_it():
    network = load_text(TEXT, "square.yaml")
    links = (LinkState("b-c", "b", "c", "off", "no light"), LinkState("a-b", "a", "b", "active", ""))
    circuits = (CircuitState("one", ("a", "b", "c"), "broken", "b-c: no light"),)
    state = ForwardingState(version=1, links=(), paths=(), pair_links=links, circuits=circuits)
    (view,) = PairViews(network, state, None, 0, 0).circuits()
    assert view.reason == "b-c: no light; `qstrata apply FILE --without b-c` looks for another path"


def test_another_policy_is_a_step_of_the_plan():
    before = load_text(TEXT, "square.yaml")
    after = load_text(TEXT.replace("shortest", "fewest-hops"), "square.yaml")
    (step,) = difference(before, after).steps
    assert (step.kind, step.changes[0].key) == ("policy", "pair-routing")


def test_stations_stand_on_the_path_that_was_chosen():
    plan = make_plan(load_text(TEXT, "square.yaml"))
    assert [site.site for site in plan.sites if site.stations] == ["a", "b", "c"]


def test_policies_see_links_and_nodes_as_physics_has_them():
    network = network_of(load_text(TEXT, "square.yaml"))
    link, node = network.links[2], network.nodes[0]
    given = PairLinkParameters(length_km=20, loss_db=4)
    assert (link.link, link.length_km, link.loss_db) == ("c-d", 20, 4)
    # Light takes 9.79e-5 s to the midpoint and back, at group index 1.468.
    assert link.rate_per_s == pytest.approx(heralding(given).probability / 9.79e-5, rel=0.001)
    assert link.fidelity == pytest.approx(0.98)
    assert (node.cells, node.swap_s) == (4, pytest.approx(7e-6))
    assert (node.xy_per_s, node.z_per_s) == (pytest.approx(1 / 20), pytest.approx(1 / 10))


def test_a_fixed_path_over_a_link_left_out_is_refused_by_name():
    fixed = load_text(TEXT.replace("between: [a, c]", "path: [a, b, c]"), "square.yaml")
    (row,) = plan_circuits(fixed, find_policy("shortest"), without=["b-c"])
    assert isinstance(row, NoRoute)
    assert "link b-c" in row.reason


@pytest.mark.parametrize("answer", [None, [None], ["no"]])
def test_a_policy_that_answers_something_else_is_named(answer):
    policy = RoutingPolicy("strange", "a mistake", lambda requests, network: answer)
    with pytest.raises(InputError, match=r"the routing policy strange (breaks a promise|fails by TypeError)"):
        plan_circuits(load_text(TEXT, "square.yaml", unrouted=True), policy)


def test_a_policy_that_breaks_its_promise_is_not_followed():
    lying = RoutingPolicy("lying", "says nothing", lambda requests, network: [])
    with pytest.raises(InputError, match="the routing policy lying breaks a promise"):
        plan_circuits(load_text(TEXT, "square.yaml", unrouted=True), lying)


@pytest.fixture
def elsewhere(monkeypatch):
    """Install another package, which brings a policy."""
    brought = RoutingPolicy("northern", "by b", find_policy("highest-fidelity").plan)
    point = EntryPoint("northern", f"{__name__}:brought", routing_policies.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: brought)

    def points(**wanted):
        is_wanted = wanted["group"] == point.group and wanted.get("name", point.name) == point.name
        return [point] if is_wanted else []

    monkeypatch.setattr("importlib.metadata.entry_points", points)
    forget()
    yield
    forget()


def forget():
    plugins.plugin_names.cache_clear()
    plugins.find_plugin.cache_clear()


def test_policies_of_other_packages_are_found_by_their_entry_points(elsewhere):
    assert policy_names()[-1] == "northern"
    assert paths(TEXT.replace("shortest", "northern"))["one"] == ("a", "b", "c")
    with pytest.raises(DescriptionError, match="did you mean `northern`"):
        load_text(TEXT.replace("shortest", "northen"), "square.yaml")


def test_a_policy_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match="choose fewest-hops, shortest"):
        find_policy("random")


def test_a_report_expects_what_distillation_leaves():
    distils = TEXT.replace("between: [a, c]", "between: [a, c], distil: {protocol: bbpssw}")
    plain, bettered = (
        policy_report(load_text(text, "square.yaml", unrouted=True), "shortest").circuits[0]
        for text in (TEXT, distils)
    )
    # Two pairs make one, at most.
    assert bettered.pairs_per_s <= plain.pairs_per_s / 2
    assert bettered.fidelity > plain.fidelity


def test_a_report_has_totals_and_what_was_refused():
    unrouted = load_text(TEXT + SECOND + SECOND.replace("two", "three"), "square.yaml", unrouted=True)
    report = policy_report(unrouted, "fewest-hops")
    assert (report.served, len(report.circuits)) == (2, 3)
    assert "serves circuit" in report.circuits[2].refused
    assert report.pairs_per_s == pytest.approx(sum(row.pairs_per_s for row in report.circuits))
    assert report.worst_fidelity == min(row.fidelity for row in report.circuits if row.fidelity)


def test_the_error_of_a_run_counts_every_test_once():
    unrouted = load_text(TEXT.replace("pairs-per-s: 100", "pairs-per-s: 50"), "square.yaml", unrouted=True)
    run = policy_report(unrouted, "shortest", run_ps=65 * PS_PER_S).circuits[0].measured
    w = (4.0 * run.fidelity - 1.0) / 3.0
    least = math.sqrt(sum((1.0 - w * w) / (shares()[axis] * run.pairs) for axis in ("xx", "yy", "zz"))) / 4.0
    # The tests of the five seconds before count too.
    assert run.fidelity_error > 0.9 * least


def test_fairness_is_jains_index():
    assert jain([5.0, 5.0, 5.0]) == pytest.approx(1.0)
    assert jain([7.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([1.0, 3.0]) == pytest.approx(16 / 20)
    assert jain([0.0]) == 0.0


def test_the_shipped_network_is_planned_alike_whatever_stands_first_in_the_file():
    randstad = load("randstad", unrouted=True)
    turned = msgspec.structs.replace(
        randstad, pair_links=randstad.pair_links[::-1], nodes=randstad.nodes[::-1]
    )
    for name in policy_names():
        policy = find_policy(name)
        assert plan_circuits(randstad, policy) == plan_circuits(turned, policy)

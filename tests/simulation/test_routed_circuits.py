"""Circuits whose paths policies chose, run: they give what is expected, and move when a link is gone."""

import math

import msgspec
import pytest

from qstrata.core.time import PS_PER_S
from qstrata.network.loader import load, load_text
from qstrata.network.route_report import policy_report
from qstrata.network.scenarios.look import look
from qstrata.network.shipped import shipped_text
from qstrata.network.simulation import Simulation

RUN_S = 40


@pytest.fixture(scope="module")
def report():
    return policy_report(load("randstad", unrouted=True), "joint-rate", run_ps=RUN_S * PS_PER_S, seed=11)


def test_rates_are_those_expected_and_longer_chains_give_somewhat_more(report):
    """Five standard errors of so many pairs, whose gaps vary by less than their mean."""
    for row in report.circuits:
        error = 5.0 * math.sqrt(row.measured.pairs) / RUN_S
        assert row.measured.pairs_per_s >= row.pairs_per_s - error, row.circuit
        # Inner links begin anew before the slowest hop: with 4 hops up to a fifth more.
        spare = 1.2 if len(row.links) > 2 else 1.0
        assert row.measured.pairs_per_s <= spare * row.pairs_per_s + error, row.circuit


def test_fidelities_are_no_less_than_expected_and_close_to_it(report):
    for row in report.circuits:
        found = row.measured
        assert found.fidelity >= row.fidelity - 5.0 * found.fidelity_error, row.circuit
        assert found.fidelity <= row.fidelity + 5.0 * found.fidelity_error + 0.02, row.circuit


def test_policies_see_before_a_run_which_of_them_gives_more(report):
    fewest = policy_report(load("randstad", unrouted=True), "fewest-hops", run_ps=15 * PS_PER_S, seed=11)
    assert report.pairs_per_s > fewest.pairs_per_s
    assert report.measured_pairs_per_s > fewest.measured_pairs_per_s


def test_a_run_is_the_same_again():
    unrouted = load("randstad", unrouted=True)
    first, second = (policy_report(unrouted, "shortest", run_ps=5 * PS_PER_S, seed=3) for _ in range(2))
    assert msgspec.json.encode(first) == msgspec.json.encode(second)


def pairs_per_s(simulation, circuit):
    return look(simulation).figure("pairs-per-s", of=circuit)


def test_a_circuit_goes_round_a_cut_fibre_by_one_change_and_back_by_another():
    text = shipped_text("randstad")
    usual = load_text(text, "randstad.yaml")
    around = load_text(text, "randstad.yaml", without=["breukelen-utrecht"])
    made = Simulation(usual, 5)
    made.run_until(15 * PS_PER_S)
    made.assembly.inject("cut", "breukelen-utrecht", 1.0, lambda answer: None)
    made.run_until(35 * PS_PER_S)
    assert look(made).figure("circuit-state", of="amsterdam-utrecht") == "broken"
    assert pairs_per_s(made, "amsterdam-utrecht") == 0
    plan = made.apply(around).plan
    assert [step.kind for step in plan.steps] == ["circuit"]
    assert plan.steps[0].changes[0].new == "[amsterdam, hilversum, utrecht]"
    made.run_until(55 * PS_PER_S)
    assert look(made).figure("link-state", of="breukelen-utrecht") == "off"
    assert look(made).figure("circuit-state", of="amsterdam-utrecht") == "open"
    assert pairs_per_s(made, "amsterdam-utrecht") > 30
    made.assembly.heal("cut", "breukelen-utrecht", lambda answer: None)
    assert made.apply(usual).missing == ()
    made.run_until(75 * PS_PER_S)
    assert pairs_per_s(made, "amsterdam-utrecht") > 50


def test_a_circuit_moves_when_its_link_is_taken_out_of_the_file_of_a_running_network():
    text = shipped_text("randstad")
    before = load_text(text, "randstad.yaml")
    lost = "  - {ends: [breukelen, utrecht], length-km: 20.5, loss-db: 5.1}\n"
    after = load_text(text.replace(lost, ""), "randstad.yaml")
    moved = {circuit.name: circuit.path for circuit in after.circuits}
    assert moved["amsterdam-utrecht"] == ("amsterdam", "hilversum", "utrecht")
    made = Simulation(before, 5)
    made.run_until(10 * PS_PER_S)
    applied = made.apply(after)
    assert applied.missing == ()
    assert "breukelen" not in moved["amsterdam-utrecht"]
    assert {("remove", "breukelen-utrecht"), ("change", "amsterdam-utrecht")} <= {
        (step.action, step.object) for step in applied.plan.steps
    }

"""Networks with circuits, from the file to what operators are told: rate, fidelity, cuts, crashes."""

import math

import pytest

from qstrata.core.address import End
from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.network.circuit_service import expectations
from qstrata.network.loader import load, load_text
from qstrata.network.scenarios.look import look
from qstrata.network.scenarios.script import FOLDER
from qstrata.network.simulation import Simulation
from qstrata.physics import bell
from qstrata.physics.rates import rate_model
from qstrata.physics.rates.model import table

CHAIN = FOLDER / "repeater-chain.network.yaml"
MIXED = """
name: mixed
domain: mixed
defaults: {link: {channels: default, block-s: 10}}
nodes:
  - {name: a, site: [0, 0], memories: {cells: 2}}
  - {name: b, site: [1, 0], memories: {cells: 2}}
  - {name: c, site: [2, 0], memories: {cells: 2}}
links:
  - {ends: [a, b], length-km: 10, loss-db: 2, protocol: barrett-kok}
  - {ends: [c, b], length-km: 10, loss-db: 2, protocol: single-click}
  - {ends: [a, c], length-km: 10, loss-db: 2, initial-key-bits: 80000}
saes:
  - {name: "urn:qkd:mixed:a:x", node: a}
  - {name: "urn:qkd:mixed:b:z", node: b}
  - {name: "urn:qkd:mixed:c:y", node: c}
sessions:
  - {between: ["urn:qkd:mixed:a:x", "urn:qkd:mixed:c:y"]}
  - {between: ["urn:qkd:mixed:a:x", "urn:qkd:mixed:b:z"]}
demands:
  - {between: ["urn:qkd:mixed:a:x", "urn:qkd:mixed:c:y"], keys-per-s: 2}
circuits:
  - {name: a-to-c, path: [a, b, c], pairs-per-s: 20, cutoff-ms: 50}
"""


def ran(description, seconds, **given):
    made = Simulation(description, 1, **given)
    made.run_until(round(seconds * PS_PER_S))
    return made


def seen(simulation):
    return look(simulation).answers[End.FORWARDING_MGT]


def test_a_chain_makes_werner_pairs_at_the_calculators_rate():
    made = ran(load(CHAIN), 72)
    (circuit,) = seen(made).report.circuits
    figures = {"hops": 4, "attempt_rate_hz": 500, "depolarising_s": 1e6}
    (row,) = table(rate_model("barrett-kok"), figures, [40.0])
    one_hop, waiting_for_all = row[4:6]
    expected = bell.chain_fidelity(0.98, 4)
    w = bell.werner(expected).xx
    # Of the pairs that are compared, 3/14 are along x, 2/14 along y, 3/14 along z; the others are for CHSH.
    error = math.sqrt((14 / 3 + 14 / 2 + 14 / 3) * (1 - w * w) / circuit.tested) / 4
    assert circuit.tested > 1000
    assert circuit.fidelity == pytest.approx(expected, abs=5 * error)
    assert circuit.fidelity_error == pytest.approx(error, rel=0.3)
    assert circuit.chsh == pytest.approx(2 * math.sqrt(2) * w, abs=5 * circuit.chsh_error)
    # Hops that begin anew before the slowest one has ended make more, but no more than one hop alone.
    assert 0.9 * waiting_for_all < circuit.pairs_per_s < one_hop


def test_links_for_pairs_make_no_key_and_links_for_keys_do_as_ever():
    made = Simulation(load_text(MIXED, "mixed.yaml"), 1, checked=True)
    made.start_demands()
    made.run_until(40 * PS_PER_S)
    look_now = look(made)
    forwarding = look_now.answers[End.FORWARDING_MGT]
    (for_keys,) = forwarding.report.links
    assert for_keys.link == "a-c"
    assert for_keys.detections_per_s > 0
    assert made.report().keys_fetched > 50
    assert look_now.figure("path", between=("urn:qkd:mixed:a:x", "urn:qkd:mixed:c:y")) == "a - c"
    assert look_now.figure("path", between=("urn:qkd:mixed:a:x", "urn:qkd:mixed:b:z")) in ("", "unknown")
    (circuit,) = forwarding.report.circuits
    assert circuit.delivered > 300
    assert {link.link for link in forwarding.report.pair_links if link.heralds > 300} == {"a-b", "c-b"}
    assert made.report().refusals == 0


def test_a_cut_channel_stops_pairs_though_light_is_there_and_control_says_why():
    made = ran(load_text(MIXED, "mixed.yaml"), 10)
    made.assembly.inject("cut", "c-b/pairs", 1.0, lambda answer: None)
    made.run_until(25 * PS_PER_S)
    cut = seen(made)
    assert cut.state.circuits[0].state == "broken"
    assert "c-b/pairs" in cut.state.circuits[0].reason
    assert cut.report.circuits[0].pairs_per_s == 0
    made.assembly.heal("cut", "c-b/pairs", lambda answer: None)
    made.run_until(40 * PS_PER_S)
    healed = seen(made)
    assert healed.state.circuits[0].state == "open"
    assert healed.report.circuits[0].pairs_per_s > 10


def test_a_station_that_crashes_goes_on_when_it_is_up_again():
    made = ran(load_text(MIXED, "mixed.yaml"), 10)
    made.crash("b")
    made.run_until(25 * PS_PER_S)
    assert seen(made).report.circuits[0].pairs_per_s == 0
    made.restart("b")
    made.run_until(45 * PS_PER_S)
    assert seen(made).report.circuits[0].pairs_per_s > 10


def test_circuits_come_go_and_change_in_a_running_network():
    whole = load_text(MIXED, "mixed.yaml")
    without = load_text(MIXED[: MIXED.index("circuits:")], "mixed.yaml")
    made = ran(without, 5)
    assert seen(made).report.circuits == ()
    assert made.apply(whole).missing == ()
    made.run_until(20 * PS_PER_S)
    assert seen(made).report.circuits[0].delivered > 100
    slower = load_text(MIXED.replace("pairs-per-s: 20", "pairs-per-s: 5"), "mixed.yaml")
    assert [step.kind for step in made.apply(slower).plan.steps] == ["circuit"]
    made.run_until(made.queue.now + 20 * PS_PER_S)
    assert 3 < seen(made).report.circuits[0].pairs_per_s <= 5.5
    assert made.apply(without).missing == ()
    made.run_until(made.queue.now + 5 * PS_PER_S)
    assert seen(made).report.circuits == ()
    assert made.report().refusals == 0


def test_attacks_on_pulses_are_refused_where_there_are_none():
    made = ran(load_text(MIXED, "mixed.yaml"), 5)
    told = []
    made.assembly.inject("tap", "a-b", 0.5, told.append)
    made.run_until(6 * PS_PER_S)
    assert "tap has no target" in told[0].error


def test_the_same_seed_gives_the_same_log():
    hashes = [ran(load_text(MIXED, "mixed.yaml"), 10).report().event_log_sha256 for _ in range(2)]
    assert hashes[0] == hashes[1]


def test_ends_do_not_wait_for_word_on_pairs_whose_other_half_was_given_up():
    text = MIXED.replace("pairs-per-s: 20, cutoff-ms: 50", "pairs-per-s: 1000, cutoff-ms: 2")
    text = text.replace("length-km: 10, loss-db: 2", "length-km: 10, loss-db: 10")
    made = ran(load_text(text, "mixed.yaml"), 6)
    report = seen(made).report
    (circuit,) = report.circuits
    assert sum(link.expired for link in report.pair_links) > 100
    expected = expectations(load_text(text, "mixed.yaml"))["a-to-c"]
    assert circuit.delivered / 5 == pytest.approx(expected.rate_per_s, rel=0.25)


def test_what_is_wanted_of_a_circuit_changes_without_disturbing_it():
    made = ran(load_text(MIXED, "mixed.yaml"), 20)
    before = seen(made).report.circuits[0].delivered
    wants = MIXED.replace("cutoff-ms: 50", "cutoff-ms: 50, fidelity: 0.6, within-ms: 1000")
    (step,) = made.apply(load_text(wants, "mixed.yaml")).plan.steps
    assert (step.kind, step.disturbs) == ("circuit", "nothing")
    made.run_until(made.queue.now + 5 * PS_PER_S)
    state = seen(made)
    assert state.report.circuits[0].delivered > before + 50
    assert state.state.circuits[0].state == "open"
    with pytest.raises(InputError, match="can be expected"):
        load_text(wants.replace("0.6", "0.99"), "mixed.yaml")

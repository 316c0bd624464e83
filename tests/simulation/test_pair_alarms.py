"""Attacks on the pairs of a circuit, from the tests at its ends to the mark that keeps them from use."""

import pytest

from qstrata.core.time import PS_PER_S
from qstrata.fabric.memory import Mischief
from qstrata.physics.pair_attacks import PAIR_ERRORS, PAIR_QBER_X, PAIR_QBER_Z
from qstrata.strata.forwarding.resource.circuit import CircuitStation
from qstrata.testing.checker import check
from tests.simulation.looking import heal, inject, run
from tests.simulation.pair_chain import BESIDE, CIRCUIT, LINK, TEXT, Circuits, chain

RULES_WITH_MUTANTS = {"suspect-kept"}


@pytest.fixture(scope="module")
def story():
    """Attack a link after a window has passed, heal it, and go on until it is trusted again."""
    lines: list[bytes] = []
    sim = chain(log=lines)
    run(sim, 80)
    seen = {"before": Circuits(sim)}
    inject(sim, "entanglement-substitution", LINK, 0.8)
    seen["attacked_ps"] = sim.queue.now
    run(sim, 20)
    seen["attacked"] = Circuits(sim)
    run(sim, 20)
    seen["later"] = Circuits(sim)
    heal(sim, "entanglement-substitution", LINK)
    run(sim, 90)
    seen["healed"] = Circuits(sim)
    run(sim, 20)
    seen["after"] = Circuits(sim)
    sim.assembly.recorder.flush()
    seen["lines"] = lines
    return seen


def test_alarm_names_the_circuit_the_evidence_and_its_probability(story):
    assert story["before"].alarms == ()
    (alarm,) = story["attacked"].alarms
    assert (alarm.subject, alarm.channel) == (CIRCUIT, "quantum channel")
    assert f"{PAIR_ERRORS} 0." in alarm.finding
    assert "instead of 0.03" in alarm.finding
    assert "by chance with probability" in alarm.finding
    assert alarm.raised_ps - story["attacked_ps"] < 20 * PS_PER_S
    (suspicion,) = story["later"].suspicions.values()
    assert {each.instrument for each in suspicion.evidence} >= {PAIR_ERRORS, PAIR_QBER_Z, PAIR_QBER_X}
    assert all(each.false_alarm <= 1e-9 for each in suspicion.evidence)


def test_suspect_window_begins_after_the_last_window_that_passed_and_counts_what_was_kept(story):
    suspicion = story["later"].suspicions[CIRCUIT]
    link, _, first = suspicion.after_pair.rpartition("/")
    last = int(suspicion.last_pair.rpartition("/")[2])
    assert link == LINK
    assert 60 * 40 < int(first) <= 80 * 40
    window_s = (last - int(first)) / 40.0
    assert window_s < 62.0
    # Of what was made between the window's begin and the mark, one fifth was kept.
    marked_s = story["later"].alarms[0].raised_ps / PS_PER_S - int(first) / 40.0
    assert 0.1 * 40 * marked_s < suspicion.exposed < 0.3 * 40 * marked_s


def test_no_pair_is_kept_while_the_circuit_is_suspected(story):
    before, attacked, later = (story[when].reports[CIRCUIT] for when in ("before", "attacked", "later"))
    assert story["attacked"].states[CIRCUIT].state == "suspect"
    assert "possible attack on pairs after" in story["attacked"].states[CIRCUIT].reason
    assert before.kept > 0.1 * before.delivered
    assert later.kept == attacked.kept
    assert later.delivered > attacked.delivered + 500
    assert check(story["lines"]).violations == ()


def test_pairs_are_kept_again_once_a_whole_window_has_passed(story):
    healed, after = story["healed"], story["after"]
    assert healed.alarms == ()
    assert healed.suspicions == {}
    assert healed.states[CIRCUIT].state == "open"
    assert after.reports[CIRCUIT].kept > healed.reports[CIRCUIT].kept


def test_the_circuit_beside_it_is_never_suspected(story):
    for when in ("attacked", "later", "healed"):
        assert story[when].states[BESIDE].state == "open"
        assert {alarm.subject for alarm in story[when].alarms} <= {CIRCUIT}
    assert story["after"].reports[BESIDE].chsh is not None


@pytest.mark.parametrize("site", ["west", "dale", "east"])
def test_tampering_with_the_memories_of_any_station_is_told(site):
    sim = chain()
    run(sim, 5)
    inject(sim, "memory-tampering", site, 0.6)
    run(sim, 25)
    found = Circuits(sim)
    assert {alarm.subject for alarm in found.alarms} == {CIRCUIT}
    assert found.states[CIRCUIT].state == "suspect"


def test_light_that_is_lost_and_waits_that_grow_are_no_attack():
    sim = chain(text=TEXT.replace("cutoff-ms: 100, ", ""))
    run(sim, 20)
    inject(sim, "loss", LINK, 16.0)
    run(sim, 100)
    found = Circuits(sim)
    assert found.reports[CIRCUIT].pairs_per_s < 35
    assert found.suspicions == {}
    assert {alarm.subject for alarm in found.alarms} <= {LINK}


def test_words_that_are_lost_cost_pairs_alone():
    sim = chain(text=TEXT.replace("cutoff-ms: 100, ", ""), mischief=Mischief(seed=1, loss_share=0.002))
    run(sim, 60)
    found = Circuits(sim)
    assert found.reports[CIRCUIT].pairs_per_s > 5
    assert found.suspicions == {}


def test_head_that_starts_anew_is_marked_again():
    lines: list[bytes] = []
    sim = chain(log=lines, checked=True)
    run(sim, 5)
    inject(sim, "memory-tampering", "east", 0.9)
    run(sim, 15)
    assert Circuits(sim).states[CIRCUIT].state == "suspect"
    sim.crash("west")
    run(sim, 2)
    sim.restart("west")
    run(sim, 15)
    marked = Circuits(sim).reports[CIRCUIT].kept
    run(sim, 10)
    assert Circuits(sim).reports[CIRCUIT].kept == marked
    sim.assembly.recorder.flush()
    assert check(lines).violations == ()


def test_restart_of_control_and_telemetry_frees_no_suspected_circuit():
    sim = chain()
    run(sim, 5)
    inject(sim, "memory-tampering", "east", 0.9)
    run(sim, 15)
    kept = Circuits(sim).reports[CIRCUIT].kept
    heal(sim, "memory-tampering", "east")
    sim.crash("control")
    run(sim, 2)
    sim.restart("control")
    run(sim, 20)
    found = Circuits(sim)
    assert found.suspicions == {}
    assert found.reports[CIRCUIT].kept == kept


def test_head_that_keeps_pairs_of_a_suspected_circuit_is_reported(monkeypatch):
    mark = CircuitStation._mark

    def only_say_so(self, message, sender, now):
        said = mark(self, message, sender, now)
        self._suspected = False
        return said

    monkeypatch.setattr(CircuitStation, "_mark", only_say_so)
    lines: list[bytes] = []
    sim = chain(log=lines, checked=True)
    run(sim, 5)
    inject(sim, "memory-tampering", "dale", 0.9)
    run(sim, 20)
    sim.assembly.recorder.flush()
    assert {violation.rule for violation in check(lines).violations} == RULES_WITH_MUTANTS

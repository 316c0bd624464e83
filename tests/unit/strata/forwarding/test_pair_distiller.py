"""One end of a distillation between its device and the other end: every word that may come, or not come."""

import pytest

from qstrata.fabric.messages.entanglement import PairWord, Purpose
from qstrata.fabric.messages.qubits import (
    ApplyGate,
    DistilOutcome,
    DistilPairs,
    Done,
    FreeCell,
    MoveQubit,
    Refusal,
    Refused,
)
from qstrata.physics.bell import BellState
from qstrata.physics.entanglement_distillation import Distillation, frame_after
from qstrata.strata.forwarding.resource.entangler import EndPair
from qstrata.strata.forwarding.resource.pair_distiller import PairDistiller, Pumping

PSI_PLUS = BellState.PSI_PLUS
_, PARITY = frame_after(Distillation.DEJMPS, PSI_PLUS, PSI_PLUS)
DEVICE, PEER = object(), object()


class Rig:
    """Hold one distiller: `kept` it delivered, `asked` tells of each wish whether the cell was free."""

    def __init__(self, rounds=1, cutoff_ps=0, protocol=Distillation.DEJMPS):
        self.kept, self.asked = [], []
        self.instructed, self.told, self.timers = [], [], []
        self.distiller = PairDistiller(
            "a/c/distil",
            Pumping(protocol, rounds, cutoff_ps),
            DEVICE,
            is_head=True,
            tell=lambda name, purpose, *bits: self.told.append((name, purpose, bits)),
            kept=lambda pair, now: self.kept.append(pair) or (),
            go_on=lambda now, used: self.asked.append(used) or (),
        )
        self.perform(self.distiller.start(0))
        self.instructed.clear()

    def perform(self, effects):
        for effect in effects:
            if effect is None:
                continue
            if hasattr(effect, "message"):
                self.instructed.append(effect.message)
            else:
                self.timers.append(effect)

    def take(self, name, created_ps=0):
        self.perform(self.distiller.take(EndPair(name, 0, PSI_PLUS, created_ps), 0))

    def done(self):
        """Answer the last instruction."""
        self.perform(self.distiller.answered(Done(self.instructed[-1].instruction), 0))

    def found(self, bit):
        self.perform(self.distiller.answered(DistilOutcome(self.instructed[-1].instruction, bit), 0))

    def hear(self, name, purpose, *bits):
        self.perform(self.distiller.hear(PairWord("c", False, name, purpose, bits), 0))

    def aside(self, name):
        self.take(name)
        self.done()

    def of(self, kind):
        return [message for message in self.instructed if type(message) is kind]


def test_the_first_pair_is_moved_aside_and_the_next_is_spent_on_it():
    rig = Rig()
    rig.aside("p1")
    assert [(move.cell, move.to_cell) for move in rig.of(MoveQubit)] == [(0, 1)]
    assert rig.asked == [True]
    rig.take("p2")
    assert [(step.keep, step.spend) for step in rig.of(DistilPairs)] == [(1, 0)]


@pytest.mark.parametrize("first", ["own", "far"])
@pytest.mark.parametrize("agree", [True, False])
def test_both_bits_decide_whichever_comes_first(first, agree):
    rig = Rig()
    rig.aside("p1")
    rig.take("p2")
    far = PARITY if agree else 1 - PARITY
    if first == "far":
        rig.hear("p1+p2", Purpose.DISTILLED, far)
    rig.found(0)
    assert rig.told == [("p1+p2", Purpose.DISTILLED, (0,))]
    if first == "own":
        assert rig.kept == []
        rig.hear("p1+p2", Purpose.DISTILLED, far)
    assert [pair.name for pair in rig.kept] == (["p1+p2"] if agree else [])
    assert bool(rig.of(FreeCell)) is not agree
    assert rig.asked == ([True] if agree else [True, True])


def test_more_rounds_take_more_pairs_and_the_name_lists_them_all():
    rig = Rig(rounds=2)
    rig.aside("p1")
    frame = PSI_PLUS
    for name, step in (("p2", "p1+p2"), ("p3", "p1+p2+p3")):
        rig.take(name)
        frame, parity = frame_after(Distillation.DEJMPS, frame, PSI_PLUS)
        rig.hear(step, Purpose.DISTILLED, parity)
        rig.found(0)
    assert [(pair.name, pair.cell, pair.frame) for pair in rig.kept] == [("p1+p2+p3", 1, frame)]


def test_a_missing_bit_is_asked_for_and_a_question_is_answered_after_the_end():
    rig = Rig()
    rig.aside("p1")
    rig.take("p2")
    rig.found(1)
    assert rig.distiller.retry(0) == ()
    rig.distiller.retry(0)
    assert rig.told[-1] == ("p1+p2", Purpose.DISTILLED, (1, 1))
    rig.hear("p1+p2", Purpose.DISTILLED, 1 ^ PARITY)
    rig.told.clear()
    rig.hear("p1+p2", Purpose.DISTILLED, 1 ^ PARITY, 1)
    assert rig.told == [("p1+p2", Purpose.DISTILLED, (1,))]
    rig.hear("p1+p2", Purpose.DISTILLED, 1 ^ PARITY)
    assert len(rig.told) == 1


@pytest.mark.parametrize("step", ["p1+p2", "p0+p1"])
def test_a_step_of_another_pair_makes_both_start_anew(step):
    rig = Rig()
    rig.aside("p1")
    rig.hear(step, Purpose.DISTILLED, 1)
    assert rig.told == [(step, Purpose.DROPPED, ())]
    assert [free.cell for free in rig.of(FreeCell)] == [1]
    rig.take("p3")
    assert type(rig.instructed[-1]) is MoveQubit


def test_a_step_that_the_other_end_has_dropped_is_lost_here_too():
    rig = Rig()
    rig.aside("p1")
    rig.take("p2")
    rig.hear("p1+p2", Purpose.DROPPED)
    assert rig.of(FreeCell) == []  # the device is at work on the cell
    rig.found(0)
    assert [free.cell for free in rig.of(FreeCell)] == [1]
    assert rig.kept == []
    assert rig.asked == [True, True]


def test_a_pair_whose_other_half_was_dropped_while_it_moved_is_freed():
    rig = Rig()
    rig.take("p2")
    rig.hear("p1+p2", Purpose.DROPPED)
    rig.hear("another", Purpose.DROPPED)
    rig.done()
    assert [free.cell for free in rig.of(FreeCell)] == [1]
    assert not rig.distiller.holds


def test_what_the_device_refuses_is_given_up_and_told():
    rig = Rig()
    rig.aside("p1")
    rig.take("p2")
    refused = Refused(rig.instructed[-1].instruction, Refusal.EXPIRED)
    assert rig.distiller.refused(refused)
    rig.perform(rig.distiller.give_up(0))
    assert rig.told == [("p1+p2", Purpose.DROPPED, ())]
    assert rig.asked == [True, False]


def test_a_pair_aside_is_given_up_at_its_cutoff_unless_its_step_has_begun():
    rig = Rig(cutoff_ps=1000)
    rig.take("p1", created_ps=500)
    rig.done()
    (timer,) = rig.timers
    assert timer.due_ps == 1500
    rig.take("p2")
    assert timer.then(1500) == ()
    rig.found(0)
    rig.hear("p1+p2", Purpose.DISTILLED, 1 - PARITY)
    rig.take("p3", created_ps=900)
    rig.done()
    rig.perform(rig.timers[-1].then(1900))
    assert rig.told[-1] == ("p3", Purpose.DROPPED, ())
    assert not rig.distiller.holds


def test_bbpssw_turns_both_pairs_before_each_step_one_gate_after_the_other():
    rig = Rig(protocol=Distillation.BBPSSW)
    for number in range(20):
        rig.aside(f"p{number}")
        rig.take(f"q{number}")
        while type(rig.instructed[-1]) is ApplyGate:
            rig.done()
        assert type(rig.instructed[-1]) is DistilPairs
        rig.found(0)
        rig.hear(f"p{number}+q{number}", Purpose.DROPPED)
    gates = rig.of(ApplyGate)
    assert {gate.cells for gate in gates} == {(0,), (1,)}
    assert {gate.gate for gate in gates} == {"x", "y", "z", "rx", "rz"}

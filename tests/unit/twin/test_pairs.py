"""What devices with memory cells do with each instruction, and what they refuse."""

import math
from itertools import pairwise

import pytest

from qstrata.core.errors import InputError, InternalError
from qstrata.core.time import PS_PER_S, PS_PER_US
from qstrata.fabric.messages.device import Tick
from qstrata.fabric.messages.qubits import (
    ApplyGate,
    CreatePair,
    DistilOutcome,
    DistilPairs,
    Done,
    FreeCell,
    Measured,
    MeasureQubit,
    MoveQubit,
    PrepareQubit,
    Refusal,
    Refused,
    StoreQubit,
    SwapOutcome,
    SwapPairs,
)
from qstrata.physics.bell import BellState
from qstrata.physics.entanglement_distillation import Distillation
from qstrata.physics.fibre import propagation_delay_ps
from qstrata.physics.memories import MemoryParameters
from qstrata.physics.pair_link import cycle_ps
from qstrata.twin.faults import CUT, LOSS, FaultBook
from qstrata.twin.pairs import ANSWERS_KEPT
from qstrata.twin.pairs_plan import check_pairs
from tests.unit.twin.pair_harness import NEAR, PairScene, bit, memory, owner, pair_link

TRIP_PS = 2 * propagation_delay_ps(5.0)


def scene(cells=4, seed=1, link=None, **figures):
    return PairScene(
        [memory("a", cells=cells, **figures), memory("b", cells=cells, **figures)],
        [link or pair_link("a", "b")],
        seed,
    )


def chain(*sites, **figures):
    links = [pair_link(a, b, **NEAR) for a, b in pairwise(sites)]
    return PairScene([memory(site, cells=4, **figures) for site in sites], links)


def refused(answer):
    assert isinstance(answer, Refused)
    return answer.reason


# --- create and herald ---


def test_both_ends_are_told_of_one_pair_when_light_has_been_at_the_midpoint_and_back():
    world = scene()
    world.tell("a", CreatePair("one", "a-b", 2))
    world.run_until(PS_PER_US)
    world.tell("b", CreatePair("two", "a-b", 0))
    world.wait(1)
    ((at, to_a),), ((at_b, to_b),) = world.heralds("a"), world.heralds("b")
    assert (to_a.instruction, to_a.cell, to_b.instruction, to_b.cell) == ("one", 2, "two", 0)
    assert (to_a.pair, to_a.frame, to_a.created_ps) == (to_b.pair, to_b.frame, to_b.created_ps)
    assert at == at_b == to_a.created_ps + TRIP_PS
    assert (to_a.created_ps - PS_PER_US) % TRIP_PS == 0
    assert to_a.frame in (BellState.PSI_PLUS, BellState.PSI_MINUS)


def test_one_end_alone_entangles_nothing():
    world = scene()
    world.tell("a", CreatePair("one", "a-b", 0))
    world.wait(1)
    assert world.told == []


def test_the_same_instruction_again_is_answered_again_and_done_once():
    world = scene()
    for site in ("a", "b"):
        world.tell(site, CreatePair("c", "a-b", 0))
        assert world.tell(site, CreatePair("c", "a-b", 0)) == []
    world.wait(1)
    ((_, herald),) = world.heralds("a")
    assert world.tell("a", CreatePair("c", "a-b", 0)) == [herald]
    first = world.tell("a", MeasureQubit("m", 0))
    assert world.tell("a", MeasureQubit("m", 0)) == first
    world.wait(1)
    assert len(world.heralds("a")) == 2


def test_an_attempt_that_is_freed_ends_and_the_other_end_waits_for_the_next():
    world = scene()
    world.tell("a", CreatePair("old", "a-b", 0))
    world.tell("b", CreatePair("b", "a-b", 0))
    assert world.tell("a", FreeCell("free", 0)) == [Done("free")]
    assert world.tell("a", CreatePair("old", "a-b", 0)) == []
    world.wait(1)
    assert world.heralds("b") == []
    world.tell("a", CreatePair("new", "a-b", 1))
    world.wait(1)
    assert [herald.instruction for _, herald in world.heralds("a")] == ["new"]


def test_several_cells_are_entangled_at_once_in_the_order_of_asking():
    world = scene()
    for cell in (0, 1, 2):
        world.tell("a", CreatePair(f"a{cell}", "a-b", cell))
        world.tell("b", CreatePair(f"b{cell}", "a-b", cell))
    world.wait(1)
    matched = {herald.pair: herald.cell for _, herald in world.heralds("a")}
    assert matched == {herald.pair: herald.cell for _, herald in world.heralds("b")}
    assert sorted(matched.values()) == [0, 1, 2]


def test_an_elements_use_of_draws_moves_nobody_elses():
    alone = PairScene([memory("a"), memory("b")], [pair_link("a", "b")])
    more = PairScene([memory(site) for site in "abcd"], [pair_link("c", "d"), pair_link("a", "b")])
    more.entangle("c", "d")
    start = more.now
    assert alone.entangle("a", "b").created_ps == more.entangle("a", "b").created_ps - start


# --- the light fails ---


def stand(world, *faults):
    book = FaultBook({"a-b": "fibre/a-b"}, ())
    for kind, amount in faults:
        book.inject(kind, "a-b", amount, world.now)
    world.perform(world.pairs.follow("fibre/a-b", book, world.now))


def test_without_light_nothing_is_heralded_until_it_is_back():
    world = scene()
    for site in ("a", "b"):
        world.tell(site, CreatePair("c", "a-b", 0))
    stand(world, (CUT, 1.0))
    world.wait(10)
    assert world.told == []
    stand(world)
    healed = world.now
    world.wait(1)
    ((at, herald),) = world.heralds("a")
    assert healed - TRIP_PS // 2 <= herald.created_ps < at == herald.created_ps + TRIP_PS


def test_photons_that_have_met_at_the_midpoint_are_heralded_whatever_happens_then():
    world = scene(link=pair_link("a", "b", **NEAR))
    for site in ("a", "b"):
        world.tell(site, CreatePair("c", "a-b", 0))
    while not world.heralds("a"):
        world.step()
    due, herald = world.heralds("a")[0]
    again = scene(link=pair_link("a", "b", **NEAR))
    for site in ("a", "b"):
        again.tell(site, CreatePair("c", "a-b", 0))
    again.run_until(herald.created_ps + (due - herald.created_ps) // 2 + 1)
    stand(again, (CUT, 1.0))
    again.wait(1)
    assert again.heralds("a") == [(due, herald)]


def test_lost_light_makes_heralds_rarer():
    def took(*faults):
        world = scene(seed=3)
        stand(world, *faults)
        for _ in range(200):
            world.entangle("a", "b")
            world.tell("a", FreeCell(f"a{world.now}", 0))
            world.tell("b", FreeCell(f"b{world.now}", 0))
        return world.now

    assert took((LOSS, 10.0)) > 8 * took()  # ten decibels, two photons through half of the fibre each


# --- operations ---


def test_a_prepared_qubit_is_measured_as_it_was_prepared():
    world = scene()
    assert isinstance(world.ask("a", PrepareQubit, 0, 1.1, 0.3), Done)
    assert bit(world.ask("a", MeasureQubit, 0, 1.1, 0.3)) == 0
    world.ask("a", PrepareQubit, 0, 1.1, 0.3)
    assert bit(world.ask("a", MeasureQubit, 0, math.pi - 1.1, 0.3 + math.pi)) == 1


def test_gates_do_what_they_are_called():
    world = scene()
    for cell in (0, 1):
        world.ask("a", PrepareQubit, cell)
    for gate, cells, angle in (("h", (0,), 0.0), ("cx", (0, 1), 0.0), ("rx", (1,), math.pi)):
        assert isinstance(world.ask("a", ApplyGate, gate, cells, angle), Done)
    assert bit(world.ask("a", MeasureQubit, 0)) != bit(world.ask("a", MeasureQubit, 1))


def test_an_operation_takes_its_time_and_its_cells_are_busy_meanwhile():
    world = scene(two_qubit_gate_ps=300, measure_ps=500, gate_ps=7)
    for cell in (0, 1):
        world.tell("a", PrepareQubit(f"p{cell}", cell))
    assert world.tell("a", MeasureQubit("early", 0)) == [Refused("early", Refusal.CELL_BUSY)]
    world.run_until(7)
    world.tell("a", SwapPairs("s", 0, 1))
    assert world.tell("a", SwapPairs("s", 0, 1)) == []
    assert world.tell("a", FreeCell("f", 0)) == [Refused("f", Refusal.CELL_BUSY)]
    assert world.tell("a", CreatePair("c", "a-b", 1)) == [Refused("c", Refusal.CELL_BUSY)]
    world.run_until(7 + 800)
    at, _, outcome = world.told[-1]
    assert (at, type(outcome)) == (807, SwapOutcome)


def test_a_move_empties_one_cell_and_fills_the_other():
    world = scene()
    world.ask("a", PrepareQubit, 0, math.pi)
    assert isinstance(world.ask("a", MoveQubit, 0, 3), Done)
    assert refused(world.ask("a", MeasureQubit, 0)) is Refusal.CELL_EMPTY
    assert bit(world.ask("a", MeasureQubit, 3)) == 1


@pytest.mark.parametrize("theta", [0.0, math.pi / 2])
def test_swaps_entangle_what_never_met(theta):
    world = chain("a", "b", "c", "d")
    for _ in range(20):
        parts = [world.entangle("a", "b"), world.entangle("b", "c", 1), world.entangle("c", "d", 1)]
        frame = 0
        for part in parts:
            frame ^= part.frame
        for site in ("b", "c"):
            frame ^= world.ask(site, SwapPairs, 0, 1).outcome
        bits = [bit(world.ask(site, MeasureQubit, cell, theta)) for site, cell in (("a", 0), ("d", 0))]
        # An X in the frame flips one end's bit in Z, a Z flips it in X.
        assert bits[0] ^ bits[1] == (frame & 1 if theta else frame >> 1)


def test_each_end_distils_with_its_own_instruction():
    world = scene()
    for cell in (0, 1):
        world.entangle("a", "b", cell, cell)
    for site in ("a", "b"):
        assert isinstance(world.ask(site, DistilPairs, 0, 1, Distillation.DEJMPS), DistilOutcome)
        assert refused(world.ask(site, MeasureQubit, 1)) is Refusal.CELL_EMPTY
    assert isinstance(world.ask("a", MeasureQubit, 0), Measured)


# --- refusals ---


def test_use_after_the_cutoff_is_refused_and_the_cell_is_free():
    world = scene()
    world.ask("a", PrepareQubit, 0)
    assert isinstance(world.ask("a", StoreQubit, 0, PS_PER_S), Done)
    world.run_until(PS_PER_S)
    assert isinstance(world.ask("a", ApplyGate, "x", (0,)), Done)
    world.run_until(PS_PER_S + 1)
    assert refused(world.ask("a", MeasureQubit, 0)) is Refusal.EXPIRED
    assert isinstance(world.ask("a", PrepareQubit, 0), Done)
    assert refused(world.ask("a", StoreQubit, 0, world.now - 1)) is Refusal.BAD_CUTOFF


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        (CreatePair, ("x-y", 3), Refusal.UNKNOWN_LINK),
        (CreatePair, ("a-b", 4), Refusal.UNKNOWN_CELL),
        (CreatePair, ("a-b", 0), Refusal.CELL_TAKEN),
        (CreatePair, ("a-b", 2), Refusal.CELL_TAKEN),
        (PrepareQubit, (-1,), Refusal.UNKNOWN_CELL),
        (PrepareQubit, (0,), Refusal.CELL_TAKEN),
        (MeasureQubit, (3,), Refusal.CELL_EMPTY),
        (MeasureQubit, (4,), Refusal.UNKNOWN_CELL),
        (FreeCell, (4,), Refusal.UNKNOWN_CELL),
        (MoveQubit, (0, 1), Refusal.CELL_TAKEN),
        (MoveQubit, (3, 0), Refusal.CELL_EMPTY),
        (ApplyGate, ("cx", (0, 0)), Refusal.SAME_CELL),
        (ApplyGate, ("cx", (0,)), Refusal.NO_SUCH_GATE),
        (ApplyGate, ("toffoli", (0, 1)), Refusal.NO_SUCH_GATE),
        (ApplyGate, ("x", ()), Refusal.NO_SUCH_GATE),
        (ApplyGate, ("rx", (0,), math.inf), Refusal.NO_SUCH_GATE),
        (MeasureQubit, (0, math.nan, 0.0), Refusal.NO_DIRECTION),
        (PrepareQubit, (3, 0.0, math.inf), Refusal.NO_DIRECTION),
        (SwapPairs, (0, 3), Refusal.CELL_EMPTY),
        (SwapPairs, (0, 0), Refusal.SAME_CELL),
        (DistilPairs, (0, 1, Distillation.DEJMPS), Refusal.NOT_TWO_PAIRS),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(kind, fields, reason):
    world = scene()
    for cell in (0, 1):
        world.ask("a", PrepareQubit, cell)
    world.tell("a", CreatePair("waits", "a-b", 2))
    assert refused(world.ask("a", kind, *fields)) is reason


def test_a_group_beyond_what_is_followed_exactly_is_refused():
    world = scene(cells=8)
    for cell in range(7):
        world.ask("a", PrepareQubit, cell)
    for cell in range(1, 6):
        assert isinstance(world.ask("a", ApplyGate, "cx", (0, cell)), Done)
    assert refused(world.ask("a", ApplyGate, "cx", (0, 6))) is Refusal.TOO_MANY_QUBITS


def test_an_instruction_of_nobodys_device_is_a_fault():
    with pytest.raises(InternalError, match="owns no memory device"):
        scene().pairs.instruct(FreeCell("f", 0), owner("z"), 0)
    with pytest.raises(InternalError, match="does not know it"):
        scene().pairs.instruct(Tick("t", 1), owner("a"), 0)


@pytest.mark.parametrize(
    ("devices", "links", "said"),
    [
        ([memory("a", memory=MemoryParameters(t1_s=1.0, t2_s=3.0)), memory("b")], [], "T2 = 2 T1"),
        ([memory("a", gate_reliability=1.5)], [], "gate_reliability.*0 to 1"),
        ([memory("a"), memory("a")], [], "twice"),
        ([memory("a")], [pair_link("a", "b")], "join two"),
        ([memory("a"), memory("b")], [pair_link("a", "b", fidelity=0.2)], "fidelity.*0.25 to 1.*Werner"),
        ([memory("a"), memory("b")], [pair_link("a", "b", detector_efficiency=1.1)], "detector_efficiency"),
        ([memory("a"), memory("b")], [pair_link("a", "b", loss_db=-1.0)], "loss_db"),
        ([memory("a"), memory("b")], [pair_link("a", "b", protocol="magic")], "magic"),
    ],
)
def test_what_physics_does_not_allow_is_refused_with_its_range(devices, links, said):
    with pytest.raises(InputError, match=said):
        check_pairs(tuple(devices), tuple(links))


def test_an_attempt_takes_the_trip_of_light_or_the_sources_period():
    assert cycle_ps(pair_link("a", "b").parameters) == TRIP_PS
    assert cycle_ps(pair_link("a", "b", length_km=0.0).parameters) == PS_PER_US


def test_a_replaced_part_tells_nothing_any_more():
    world, book = scene(measure_ps=10), FaultBook({"a-b": "fibre/a-b"}, ())
    world.ask("a", PrepareQubit, 0)
    world.tell("a", MeasureQubit("m", 0))
    for site in ("a", "b"):
        world.tell(site, CreatePair("c", "a-b", 1))
    told = len(world.told)
    world.perform(scene().pairs.succeed(world.pairs, book, world.now))
    world.wait(1)
    assert len(world.told) == told


def test_measured_bits_are_wiped_when_their_answer_is_no_longer_kept():
    world = scene()
    world.ask("a", PrepareQubit, 0)
    answer = world.ask("a", MeasureQubit, 0)
    assert len(answer.bit) == 1
    for number in range(ANSWERS_KEPT):
        world.tell("a", FreeCell(f"f{number}", 0))
    with pytest.raises(InternalError, match="wiped"):
        answer.bit.reveal()


def test_a_qubit_that_was_not_prepared_leaves_its_cell_free():
    world = scene()
    assert refused(world.ask("a", PrepareQubit, 3, math.nan, 0.0)) is Refusal.NO_DIRECTION
    assert not isinstance(world.ask("a", PrepareQubit, 3), Refused)


def test_qubits_that_come_into_memories_that_are_tampered_with_lose_their_correlation():
    agree, pairs = {}, 2000
    for share in (0.0, 0.4):
        world = scene(link=pair_link("a", "b", **NEAR))
        book = FaultBook({}, (), (), ("a", "b"))
        book.inject("memory-tampering", "b", share, 0)
        world.perform(world.pairs.follow("memory/b", book, 0))
        same = 0
        for _ in range(pairs):
            world.entangle("a", "b")
            # Psi+ and Psi- differ along z.
            same += bit(world.ask("a", MeasureQubit, 0)) != bit(world.ask("b", MeasureQubit, 0))
        agree[share] = same / pairs
    assert agree[0.0] == 1.0
    # A Pauli operator drawn from all four flips the outcome of half of those attacked.
    assert agree[0.4] == pytest.approx(0.8, abs=5 * math.sqrt(0.16 / pairs))

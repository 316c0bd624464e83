import math

import pytest

from qstrata.core.errors import InternalError
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.physics import bell, density, memories
from qstrata.physics.bell import BellState
from qstrata.physics.entanglement_distillation import Distillation, distil, frame_after
from qstrata.physics.memories import MemoryParameters
from qstrata.physics.pair_link import DeviceParameters
from qstrata.twin import qubits
from qstrata.twin.qubits import Cell


def cells(*devices, **figures):
    return [Cell(device, DeviceParameters(**figures)) for device in devices]


def entangled(a, b, state, at_ps=0):
    qubits.place(density.pair(state), [a, b], at_ps)


def draws(*numbers):
    return iter(numbers).__next__


@pytest.mark.parametrize(
    "memory", [MemoryParameters(t1_s=1.0, t2_s=0.01), MemoryParameters(depolarising_s=0.1)]
)
def test_waiting_twice_is_waiting_once(memory):
    whole, parts = cells("a", "b", memory=memory), cells("a", "b", memory=memory)
    for pair in (whole, parts):
        entangled(*pair, bell.werner(0.95))
    for at_ps in (3 * PS_PER_MS, 5 * PS_PER_MS, 11 * PS_PER_MS):
        qubits.age(parts[0], at_ps)
    qubits.age(whole[0], 11 * PS_PER_MS)
    for pair in (whole, parts):
        qubits.age(pair[1], 7 * PS_PER_MS)
    assert parts[0].held().state.ravel() == pytest.approx(whole[0].held().state.ravel(), abs=1e-14)


def test_each_end_ages_to_its_own_instant():
    memory = MemoryParameters(t1_s=1.0, t2_s=0.01)
    a, b = cells("a", "b", memory=memory)
    entangled(a, b, bell.werner(0.9), at_ps=PS_PER_S)
    qubits.age(b, PS_PER_S + 2 * PS_PER_MS)
    qubits.age(a, PS_PER_S + 5 * PS_PER_MS)
    expected = memories.damped_fidelity(0.9, 5 * PS_PER_MS, 2 * PS_PER_MS, memory)
    assert density.bell_fidelity(a.held().state, BellState.PHI_PLUS) == pytest.approx(expected, rel=1e-12)


def test_going_back_in_time_is_refused():
    a, b = cells("a", "b")
    entangled(a, b, bell.werner(0.9), at_ps=10)
    with pytest.raises(InternalError, match="before"):
        qubits.age(a, 9)


def test_an_empty_cell_cannot_be_used_and_a_full_one_not_be_filled():
    (a,) = cells("a")
    with pytest.raises(InternalError, match="empty"):
        a.held()
    qubits.place(density.qubit(), [a], 0)
    with pytest.raises(InternalError, match="twice"):
        qubits.place(density.qubit(), [a], 0)


@pytest.mark.parametrize(("first", "second"), [(0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)])
def test_a_swap_of_bell_diagonal_pairs_is_the_closed_form(first, second):
    figures = {"gate_reliability": 0.98, "readout_fidelity": 0.97}
    a, m, n, b = cells("a", "m", "m", "b", **figures)
    left = bell.from_probabilities((0.85, 0.06, 0.05, 0.04), BellState.PSI_MINUS)
    right = bell.from_probabilities((0.9, 0.02, 0.05, 0.03), BellState.PHI_MINUS)
    entangled(a, m, left)
    entangled(n, b, right)
    outcome = qubits.swap(m, n, draws(first, second), 0)
    expected = bell.swap(left, right, outcome, **figures)
    assert m.group is None
    assert n.group is None
    assert a.held().cells == [a, b]
    assert a.held().state.ravel() == pytest.approx(density.pair(expected).ravel(), abs=1e-13)
    assert bell.fidelity(expected) > 0.7


def test_a_qubit_is_teleported_by_gates_measurements_and_corrections():
    source, mine, theirs = cells("a", "a", "b")
    sent = density.qubit(0.7, 1.9)
    for first in (0.1, 0.9):
        for second in (0.1, 0.9):
            qubits.place(sent, [source], 0)
            entangled(mine, theirs, bell.werner(1.0))
            outcome = qubits.swap(source, mine, draws(first, second), 0)
            if outcome & 2:
                qubits.apply_gate((theirs,), "x", 0.0, 0)
            if outcome & 1:
                qubits.apply_gate((theirs,), "z", 0.0, 0)
            assert theirs.held().state == pytest.approx(sent)
            qubits.free(theirs)


@pytest.mark.parametrize("protocol", Distillation)
@pytest.mark.parametrize("between_ps", [0, 5 * PS_PER_MS])
def test_distilling_end_by_end_is_the_closed_form(protocol, between_ps):
    memory = MemoryParameters(depolarising_s=0.1)
    figures = {"gate_reliability": 0.98, "readout_fidelity": 0.99, "memory": memory}
    keep, spend = bell.werner(0.9, BellState.PSI_PLUS), bell.werner(0.8, BellState.PSI_MINUS)
    a1, a2, b1, b2 = cells("a", "a", "b", "b", **figures)
    entangled(a1, b1, keep)
    entangled(a2, b2, spend)
    assert qubits.are_two_pairs(a1, a2)
    own = qubits.distil(a1, a2, protocol, draws(0.3), 0)
    assert qubits.are_two_pairs(b1, b2)
    frame, parity = frame_after(protocol, keep.frame, spend.frame)
    far = qubits.distil(b1, b2, protocol, draws(0.1 if parity == own else 0.9), between_ps)
    qubits.age(a1, between_ps)
    # What b's qubits wait happens before its half; what a's kept one waits, after its own.
    aged = (memories.age(state, memory, between_ps) for state in (keep, spend))
    expected = distil(protocol, *aged, 0.98, 0.99)
    kept = memories.age(expected.pair, memory, between_ps)
    if own ^ far == parity:
        assert density.bell_fidelity(a1.held().state, frame) == pytest.approx(bell.fidelity(kept), abs=1e-12)
    else:
        assert density.bell_fidelity(a1.held().state, frame) < bell.fidelity(kept)
    assert (a1.held().cells, a2.group, b2.group) == ([a1, b1], None, None)


def test_measuring_one_end_tells_the_other_ends_state():
    a, b = cells("a", "b")
    entangled(a, b, bell.werner(1.0, BellState.PSI_MINUS))
    along = density.direction(1.1, 0.4)
    bit = qubits.measure(a, along, draws(0.2), 0)
    assert qubits.measure(b, along, draws(0.5), 0) == 1 - bit


def test_a_freed_qubit_leaves_noise_at_the_other_end():
    a, b = cells("a", "b")
    entangled(a, b, bell.werner(1.0))
    qubits.free(a)
    assert b.held().state == pytest.approx([1.0, 0.0, 0.0, 0.0])


def test_a_moved_qubit_keeps_its_partner_its_age_and_its_cutoff():
    a, b, c = cells("a", "b", "a", memory=MemoryParameters(t2_s=1.0))
    entangled(a, b, bell.werner(1.0))
    a.until_ps = 2 * PS_PER_S
    qubits.move(a, c, PS_PER_S)
    assert a.group is None
    assert (c.until_ps, c.held().cells) == (2 * PS_PER_S, [c, b])
    assert c.held().state[1, 1] == pytest.approx(math.exp(-1.0))
    assert not c.expire(2 * PS_PER_S)
    assert c.expire(2 * PS_PER_S + 1)

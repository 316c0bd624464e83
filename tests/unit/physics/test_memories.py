import math

import pytest
import qutip as qt

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.physics import bell, density, memories
from qstrata.physics.bell import BellState
from qstrata.physics.memories import MemoryParameters
from tests.unit.physics import exact

EVERY_KIND = (
    MemoryParameters(depolarising_s=0.5),
    MemoryParameters(t2_s=0.1),
    MemoryParameters(t1_s=1.0),
    MemoryParameters(t1_s=1.0, t2_s=0.01),
    MemoryParameters(t1_s=1.0, t2_s=1.5, depolarising_s=3.0),
)


def tensor_of(rho):
    paulis = [qt.qeye(2), qt.sigmax(), qt.sigmay(), qt.sigmaz()]
    return [[complex((rho * qt.tensor(a, b)).tr()).real for b in paulis] for a in paulis]


def test_depolarising_memory_follows_its_closed_form():
    memory = MemoryParameters(depolarising_s=2.0)
    aged = memories.age(bell.werner(0.95), memory, PS_PER_S)
    assert bell.fidelity(aged) == pytest.approx(0.25 + 0.7 * math.exp(-0.5), rel=1e-12)


def test_damped_pair_has_the_worked_fidelity():
    memory = MemoryParameters(t1_s=1.0, t2_s=0.01)
    assert memories.damped_fidelity(1.0, PS_PER_MS, PS_PER_MS, memory) == pytest.approx(0.90886613, abs=5e-9)


@pytest.mark.parametrize("memory", EVERY_KIND)
@pytest.mark.parametrize("frame", BellState)
def test_waiting_is_the_exact_channel(memory, frame):
    elapsed_s = 0.07
    probabilities = exact.random_probabilities(frame)
    rho = exact.mixture(probabilities, frame)
    state = density.pair(bell.from_probabilities(probabilities, frame))
    decay = memories.decay(memory, round(elapsed_s * PS_PER_S))
    for qubit in (0, 1):
        state = density.apply_decay(state, decay, qubit)
    # One generator for all: damping with rate 1/T1, dephasing for the rest of 1/T2, white noise with 1/T.
    rates = [
        math.sqrt(1 / memory.t1_s) * qt.destroy(2),
        math.sqrt(max(1 / min(memory.t2_s, 2 * memory.t1_s) - 0.5 / memory.t1_s, 0.0) / 2) * qt.sigmaz(),
        *(math.sqrt(0.25 / memory.depolarising_s) * pauli for pauli in exact.PAULI[1:]),
    ]
    jumps = [exact.on(rate, qubit, 2) for rate in rates for qubit in (0, 1)]
    options = {"atol": 1e-12, "rtol": 1e-10}
    evolved = qt.mesolve(exact.on(qt.qzero(2), 0, 2), rho, [0.0, elapsed_s], jumps, options=options).states[
        -1
    ]
    for row, expected in zip(state, tensor_of(evolved), strict=True):
        assert row == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("memory", EVERY_KIND)
def test_two_waits_are_one_wait(memory):
    first, second = 123 * PS_PER_MS, 77 * PS_PER_MS
    start = density.pair(bell.werner(0.9, BellState.PSI_MINUS))
    at_once = density.apply_decay(start, memories.decay(memory, first + second), 0)
    halves = density.apply_decay(start, memories.decay(memory, first), 0)
    halves = density.apply_decay(halves, memories.decay(memory, second), 0)
    assert halves.ravel() == pytest.approx(at_once.ravel(), abs=1e-14)


def test_a_memory_without_decay_keeps_its_state():
    assert memories.decay(MemoryParameters(), 10**18) == memories.Decay(1.0, 1.0, 0.0)


def test_time_that_goes_back_is_refused():
    with pytest.raises(InputError, match="time goes forward"):
        memories.decay(MemoryParameters(t2_s=1.0), -1)


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        (MemoryParameters(t1_s=1.0, t2_s=2.1), "T2 = 2 T1"),
        (MemoryParameters(t1_s=0.0), "t1_s"),
        (MemoryParameters(t2_s=-1.0), "t2_s"),
        (MemoryParameters(depolarising_s=math.nan), "depolarising_s"),
    ],
)
def test_times_of_no_memory_are_refused(memory, said):
    with pytest.raises(InputError, match=said):
        memories.check_memory(memory)


def test_the_longest_coherence_is_twice_the_damping_time():
    memories.check_memory(MemoryParameters(t1_s=1.0, t2_s=2.0))


def test_damping_leads_out_of_the_bell_diagonal_states():
    with pytest.raises(InputError, match="exact state"):
        memories.age(bell.werner(0.9), MemoryParameters(t1_s=1.0), 1)

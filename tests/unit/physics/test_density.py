import math

import numpy as np
import pytest
import qutip as qt

from qstrata.core.errors import InputError
from qstrata.physics import bell, density
from qstrata.physics.bell import BellState
from tests.unit.physics import exact


def some_state(qubits, seed=1):
    """Return an entangled mixed state, as ours and as qutip's."""
    rho = qt.rand_dm([2] * qubits, seed=seed)
    paulis = [qt.qeye(2), qt.sigmax(), qt.sigmay(), qt.sigmaz()]
    state = np.zeros((4,) * qubits)
    for index in np.ndindex(state.shape):
        state[index] = np.real((rho * qt.tensor([paulis[i] for i in index])).tr())
    return state, rho


def same(state, rho):
    return density.density_matrix(state) == pytest.approx(rho.full(), abs=1e-12)


def test_a_tensor_is_its_density_matrix():
    assert same(*some_state(3))


@pytest.mark.parametrize("frame", BellState)
def test_bell_pairs_are_those_of_the_one_order(frame):
    probabilities = exact.random_probabilities(3)
    state = bell.from_probabilities(probabilities, frame)
    assert same(density.pair(state), exact.mixture(probabilities, frame))
    back = density.bell_diagonal(density.pair(state), frame)
    assert bell.probabilities(back) == pytest.approx(probabilities)
    assert density.bell_fidelity(density.pair(state), frame) == pytest.approx(probabilities[0])


@pytest.mark.parametrize("gate", sorted(density.GATES))
def test_every_gate_is_the_exact_unitary(gate):
    state, rho = some_state(3)
    if density.GATES[gate] == 2:
        one, two = 2, 0
        target = qt.sigmax() if gate == "cx" else qt.sigmaz()
        matrix = exact.on(exact.ZERO.proj(), one, 3) + exact.on(exact.ONE.proj(), one, 3) * exact.on(
            target, two, 3
        )
        got = density.apply_gate(state, gate, (one, two))
    else:
        by_name = {
            "x": qt.sigmax(), "y": qt.sigmay(), "z": qt.sigmaz(),
            "h": (qt.sigmax() + qt.sigmaz()) / math.sqrt(2),
            "s": qt.Qobj([[1, 0], [0, 1j]]), "sdg": qt.Qobj([[1, 0], [0, -1j]]),
            "t": qt.Qobj([[1, 0], [0, np.exp(0.25j * np.pi)]]),
            "rx": (-0.35j * qt.sigmax()).expm(), "ry": (-0.35j * qt.sigmay()).expm(),
            "rz": (-0.35j * qt.sigmaz()).expm(),
        }  # fmt: skip
        matrix = exact.on(by_name[gate], 1, 3)
        got = density.apply_gate(state, gate, (1,), 0.7)
    assert same(got, matrix * rho * matrix.dag())


def test_tracing_out_and_joining_are_exact():
    state, rho = some_state(3)
    assert same(density.trace_out(state, 1), rho.ptrace([0, 2]))
    one, other = some_state(2, 5)
    assert same(density.together(state, one), qt.tensor(rho, other))


@pytest.mark.parametrize("readout", [1.0, 0.9])
def test_measuring_projects_along_the_direction(readout):
    state, rho = some_state(3)
    theta, phi = 1.1, 0.4
    up = (math.cos(theta / 2) * exact.ZERO + np.exp(1j * phi) * math.sin(theta / 2) * exact.ONE).proj()
    effects = [up, qt.qeye(2) - up]
    for bit in (0, 1):
        effect = readout * effects[bit] + (1 - readout) * effects[1 - bit]
        expected = (exact.on(effect, 1, 3) * rho).ptrace([0, 2])
        assert same(density.project(state, 1, density.direction(theta, phi), bit, readout), expected)


def test_the_draw_decides_the_bit():
    plus = density.qubit(math.pi / 2)
    along_z = density.direction(0.0, 0.0)
    assert density.measure(plus, 0, along_z, 0.49)[0] == 0
    assert density.measure(plus, 0, along_z, 0.51)[0] == 1


def test_noise_replaces_the_qubits_that_a_bad_gate_touches():
    state, rho = some_state(3)
    half = qt.qeye(2) / 2
    noise = qt.tensor(half, half, rho.ptrace(1)).permute([0, 2, 1])
    assert same(density.depolarise(state, (0, 2), 0.7), 0.7 * rho + 0.3 * noise)


def test_a_single_click_pair_errs_with_both_memories_bright():
    state = density.with_both_bright(0.8, BellState.PSI_PLUS)
    both = qt.tensor(exact.ONE, exact.ONE).proj()
    assert same(state, 0.8 * exact.BELL[2].proj() + 0.2 * both)


def test_more_qubits_than_an_exact_state_holds_are_refused():
    big = np.zeros((4,) * 4)
    with pytest.raises(InputError, match="7 qubits"):
        density.together(big, np.zeros((4,) * 3))


def test_an_unknown_gate_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="cx"):
        density.apply_gate(density.qubit(), "toffoli", (0,))


@pytest.mark.parametrize(("gate", "axes"), [("cx", (0,)), ("h", (0, 1))])
def test_a_gate_on_a_wrong_number_of_qubits_is_refused(gate, axes):
    with pytest.raises(InputError):
        density.apply_gate(density.pair(bell.werner(1.0)), gate, axes)

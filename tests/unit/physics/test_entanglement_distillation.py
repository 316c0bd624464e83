import math

import numpy as np
import pytest
import qutip as qt

from qstrata.physics import bell, density
from qstrata.physics.bell import BellState
from qstrata.physics.entanglement_distillation import (
    ROTATIONS,
    Distillation,
    distil,
    frame_after,
    frame_after_rotation,
    rotation,
    twirl,
)
from tests.unit.physics import exact


def exactly(protocol, keep, spend, reliability=1.0, readout=1.0):
    """Distil two density matrices in full: qubits A1 B1 (kept), A2 B2 (spent)."""
    rho = qt.tensor(keep, spend)
    if protocol is Distillation.DEJMPS:
        for qubit, angle in ((0, 1), (2, 1), (1, -1), (3, -1)):
            turn = exact.on((-1j * angle * math.pi / 4 * qt.sigmax()).expm(), qubit, 4)
            rho = turn * rho * turn.dag()
    for control, target in ((0, 2), (1, 3)):
        gate = exact.cnot(control, target, 4)
        white = sum(
            exact.on(a, control, 4)
            * exact.on(b, target, 4)
            * rho
            * exact.on(b, target, 4)
            * exact.on(a, control, 4)
            for a in exact.PAULI
            for b in exact.PAULI
        )
        rho = reliability * gate * rho * gate.dag() + (1 - reliability) / 16 * white
    effects = [
        readout * z.proj() + (1 - readout) * o.proj()
        for z, o in ((exact.ZERO, exact.ONE), (exact.ONE, exact.ZERO))
    ]
    return [
        sum(exact.on(effects[a], 2, 4) * exact.on(effects[a ^ parity], 3, 4) * rho for a in (0, 1)).ptrace(
            [0, 1]
        )
        for parity in (0, 1)
    ]


def test_bbpssw_has_the_worked_values():
    got = distil(Distillation.BBPSSW, bell.werner(0.8), bell.werner(0.8))
    assert got.probability == pytest.approx(0.768889, abs=5e-7)
    assert bell.fidelity(got.pair) == pytest.approx(0.838150, abs=5e-7)


@pytest.mark.parametrize("frames", [(0, 0), (0, 3), (1, 2), (3, 1), (2, 2)])
@pytest.mark.parametrize(("reliability", "readout"), [(1.0, 1.0), (0.97, 0.99)])
def test_dejmps_is_the_exact_circuit(frames, reliability, readout):
    p, q = exact.random_probabilities(1), exact.random_probabilities(2)
    keep, spend = (BellState(frame) for frame in frames)
    got = distil(
        Distillation.DEJMPS,
        bell.from_probabilities(p, keep),
        bell.from_probabilities(q, spend),
        reliability,
        readout,
    )
    kept = exactly(Distillation.DEJMPS, exact.mixture(p, keep), exact.mixture(q, spend), reliability, readout)
    rho = kept[got.parity]
    assert np.real(rho.tr()) == pytest.approx(got.probability)
    expected = exact.mixture(bell.probabilities(got.pair), got.pair.frame)
    assert (rho / rho.tr() - expected).norm() < 1e-12


def test_bbpssw_is_the_exact_circuit_on_werner_pairs():
    keep, spend = bell.werner(0.9), bell.werner(0.75, BellState.PSI_MINUS)
    got = distil(Distillation.BBPSSW, keep, spend, 0.98, 0.99)
    kept = exactly(
        Distillation.BBPSSW,
        exact.mixture(bell.probabilities(keep)),
        exact.mixture(bell.probabilities(spend), 3),
        0.98,
        0.99,
    )
    rho = kept[got.parity]
    assert np.real(rho.tr()) == pytest.approx(got.probability)
    assert (rho / rho.tr() - exact.mixture(bell.probabilities(got.pair), got.pair.frame)).norm() < 1e-12


def test_twirling_keeps_the_fidelity():
    state = bell.from_probabilities((0.8, 0.15, 0.05, 0.0), BellState.PHI_MINUS)
    turned = twirl(state)
    assert bell.fidelity(turned) == pytest.approx(bell.fidelity(state))
    assert turned == bell.werner(bell.fidelity(turned), BellState.PHI_MINUS)


def test_pairs_of_fidelity_one_half_gain_nothing():
    assert bell.fidelity(
        distil(Distillation.BBPSSW, bell.werner(0.5), bell.werner(0.5)).pair
    ) == pytest.approx(0.5)


@pytest.mark.parametrize("protocol", Distillation)
def test_good_pairs_keep_their_frames_by_the_rule(protocol):
    for keep in BellState:
        for spend in BellState:
            got = distil(protocol, bell.werner(1.0, keep), bell.werner(1.0, spend))
            assert (got.pair.frame, got.parity) == frame_after(protocol, keep, spend)
            assert got.probability == pytest.approx(1.0)
            assert bell.fidelity(got.pair) == pytest.approx(1.0)


@pytest.mark.parametrize("frame", BellState)
def test_the_mean_over_all_rotations_of_both_ends_is_the_werner_state_of_the_same_fidelity(frame):
    mixed = 0.7 * density.with_both_bright(0.6, frame) + 0.3 * density.pair(
        bell.from_probabilities((0.5, 0.3, 0.2, 0.0), frame)
    )
    turned_to = []
    for number in range(ROTATIONS):
        state = mixed
        for axis, is_head in ((0, True), (1, False)):
            for gate, angle in rotation(number, is_head=is_head):
                state = density.apply_gate(state, gate, (axis,), angle)
        # Turned back to the frame from which it came, for the mean to have one frame.
        signs = np.diag(density.pair(bell.werner(1.0, frame_after_rotation(number, frame))))
        turned_to.append(state * signs[:, None] * np.diag(density.pair(bell.werner(1.0)))[:, None])
    mean = np.mean(turned_to, axis=0)
    expected = density.pair(bell.werner(density.bell_fidelity(mixed, frame)))
    assert np.allclose(mean, expected, atol=1e-12)

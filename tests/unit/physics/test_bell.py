import math

import numpy as np
import pytest
import qutip as qt

from qstrata.core.errors import InputError
from qstrata.physics import bell
from qstrata.physics.bell import BellDiagonal, BellState
from tests.unit.physics import exact

NOISY = (0.7, 0.1, 0.15, 0.05)


@pytest.mark.parametrize("frame", BellState)
def test_bell_states_have_the_one_order_and_their_correlators(frame):
    signs = [
        np.real(qt.expect(qt.tensor(s, s), exact.BELL[frame]))
        for s in (qt.sigmax(), qt.sigmay(), qt.sigmaz())
    ]
    assert bell.SIGNS[frame] == pytest.approx(signs)
    flipped = (qt.tensor(qt.sigmax() ** (frame >> 1) * qt.sigmaz() ** (frame & 1), qt.qeye(2))) * exact.BELL[
        0
    ]
    assert abs(flipped.overlap(exact.BELL[frame])) == pytest.approx(1.0)


def test_probabilities_and_correlators_are_two_views_of_one_state():
    assert bell.probabilities(bell.from_probabilities(NOISY)) == pytest.approx(NOISY, abs=1e-15)
    assert bell.from_probabilities((1.0, 0.0, 0.0, 0.0)) == BellDiagonal(1.0, 1.0, 1.0)
    rho = exact.mixture(NOISY)
    correlators = [np.real((rho * qt.tensor(s, s)).tr()) for s in (qt.sigmax(), qt.sigmay(), qt.sigmaz())]
    state = bell.from_probabilities(NOISY)
    assert (state.xx, -state.yy, state.zz) == pytest.approx(correlators)


@pytest.mark.parametrize("wrong", [(0.5, 0.5, 0.5, -0.5), (0.9, 0.0, 0.0, 0.0), (1.0,)])
def test_what_is_no_mixture_is_refused(wrong):
    with pytest.raises(InputError, match="I, Z, X, Y"):
        bell.from_probabilities(wrong)


def test_a_fidelity_below_noise_is_refused():
    with pytest.raises(InputError, match=r"0\.25"):
        bell.werner(0.2)


def test_a_swap_convolves_the_errors_as_in_the_worked_example():
    a, b = bell.from_probabilities((0.85, 0.06, 0.05, 0.04)), bell.from_probabilities((0.9, 0.02, 0.05, 0.03))
    assert bell.probabilities(bell.swap(a, b)) == pytest.approx((0.7699, 0.0745, 0.0901, 0.0655), abs=1e-12)


@pytest.mark.parametrize("outcome", BellState)
@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 2), (3, 2)])
def test_a_swap_is_the_exact_bell_measurement(first, second, outcome):
    p, q = exact.random_probabilities(first), exact.random_probabilities(9 + second)
    rho = qt.tensor(exact.mixture(p, first), exact.mixture(q, second))
    between = qt.tensor(qt.qeye(2), exact.BELL[outcome].proj(), qt.qeye(2))
    kept = (between * rho * between).ptrace([0, 3])
    assert np.real(kept.tr()) == pytest.approx(0.25)
    swapped = bell.swap(
        bell.from_probabilities(p, BellState(first)),
        bell.from_probabilities(q, BellState(second)),
        outcome,
    )
    expected = exact.mixture(bell.probabilities(swapped), swapped.frame)
    assert (kept / kept.tr() - expected).norm() < 1e-12


def test_errors_of_station_mix_the_four_outcomes_and_the_gate_adds_noise():
    a, b, eta, p = bell.werner(0.95), bell.from_probabilities(NOISY), 0.97, 0.98
    clean = bell.probabilities(bell.swap(a, b))
    weights = (eta**2, eta * (1 - eta), eta * (1 - eta), (1 - eta) ** 2)
    mixed = [sum(weights[m] * clean[e ^ m] for m in range(4)) for e in range(4)]
    noisy = bell.probabilities(bell.swap(a, b, gate_reliability=p, readout_fidelity=eta))
    assert noisy == pytest.approx([p * one + (1 - p) / 4 for one in mixed], abs=1e-14)


@pytest.mark.parametrize(("links", "expected"), [(1, 0.98), (2, 0.960533), (8, 0.8541628782)])
def test_a_chain_of_werner_links_has_the_closed_forms_fidelity(links, expected):
    state = bell.werner(0.98)
    for _ in range(links - 1):
        state = bell.swap(state, bell.werner(0.98))
    assert bell.fidelity(state) == pytest.approx(expected, abs=5e-7)
    assert bell.fidelity(state) == pytest.approx(bell.chain_fidelity(0.98, links), abs=1e-14)


def test_uses_of_a_werner_pair():
    w = 0.9
    state = BellDiagonal(w, w, w)
    assert bell.chsh(state) == pytest.approx(2 * math.sqrt(2) * w)
    assert bell.qber(state) == pytest.approx(((1 - w) / 2, (1 - w) / 2))
    assert bell.teleportation_fidelity(1.0) == 1.0
    assert bell.teleportation_fidelity(0.5) == pytest.approx(2 / 3)  # what no entanglement reaches


def test_chsh_is_the_largest_over_settings():
    state = BellDiagonal(0.8, 0.7, 0.9)
    rho = exact.mixture(bell.probabilities(state))
    correlation = np.diag(
        [np.real((rho * qt.tensor(s, s)).tr()) for s in (qt.sigmax(), qt.sigmay(), qt.sigmaz())]
    )
    largest = sorted(np.linalg.eigvalsh(correlation.T @ correlation))[-2:]
    assert bell.chsh(state) == pytest.approx(2 * math.sqrt(sum(largest)))

"""Attacks on pairs: closed forms against exact states, and tests against binomial samples."""

import math

import numpy as np
import pytest
import qutip
from scipy.stats import binom

from qstrata.core.randomness import stream
from qstrata.physics.bell import BellDiagonal, chsh, werner
from qstrata.physics.pair_attacks import (
    CHSH_GAME,
    PAIR_ERRORS,
    PAIR_QBER_X,
    PAIR_QBER_Z,
    PairCounts,
    chsh_of_settings,
    is_worse,
    pair_findings,
    pair_power,
    pair_readings,
    power_between,
    substitute,
    substituted,
    tampered,
)

W = werner(0.95)


def operator(state: BellDiagonal) -> qutip.Qobj:
    sx, sy, sz, one = qutip.sigmax(), qutip.sigmay(), qutip.sigmaz(), qutip.qeye(2)
    terms = ((1.0, one), (state.xx, sx), (-state.yy, sy), (state.zz, sz))
    return sum((c * qutip.tensor(s, s) for c, s in terms), start=0 * qutip.tensor(one, one)) / 4


def test_eves_pairs_are_states_that_a_partial_transpose_shows_to_be_separable():
    rho = operator(substitute())
    assert min(rho.eigenenergies()) >= -1e-12
    assert min(qutip.partial_transpose(rho, [0, 1]).eigenenergies()) >= -1e-12
    assert chsh(substitute()) <= 2.0


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 1.0])
def test_chsh_falls_as_the_closed_form_and_as_the_exact_state_say(share):
    state = substituted(W, share)
    z, x = qutip.sigmaz(), qutip.sigmax()
    b, c = (z + x) / math.sqrt(2), (z - x) / math.sqrt(2)
    game = qutip.tensor(z, b) + qutip.tensor(z, c) + qutip.tensor(x, b) - qutip.tensor(x, c)
    exact = qutip.expect(game, operator(state))
    assert chsh_of_settings(state) == pytest.approx(exact, abs=1e-12)
    assert exact == pytest.approx((1 - share) * 2 * math.sqrt(2) * W.xx + share * math.sqrt(2))


@pytest.mark.parametrize("share", [0.1, 0.16, 0.3])
def test_alarms_come_as_often_as_their_power(share):
    trials, runs = 4000, 2000
    won = 0.5 + chsh_of_settings(substituted(W, share)) / 8
    hits = stream(1, "game", str(share)).binomial(trials, won, runs)
    told = np.mean([bool(pair_findings(PairCounts((trials, int(k))), W)) for k in hits])
    predicted = pair_power(W, share, PairCounts((trials, 0)))[CHSH_GAME]
    assert abs(told - predicted) <= 5 * math.sqrt(predicted * (1 - predicted) / runs) + 1e-3


def test_honest_pairs_raise_an_alarm_no_more_often_than_said():
    trials, share, false_alarm = 3000, 0.5 + chsh_of_settings(W) / 8, 1e-3
    alarms = [k for k in range(trials + 1) if pair_findings(PairCounts((trials, k)), W, false_alarm)]
    assert binom.pmf(alarms, trials, share).sum() <= false_alarm


@pytest.mark.parametrize("cells", [1, 2])
def test_memories_that_are_tampered_with_leave_what_a_mixture_of_paulis_leaves(cells):
    share, before = 0.3, operator(W)
    paulis = (qutip.qeye(2), qutip.sigmax(), qutip.sigmay(), qutip.sigmaz())
    for on in range(cells):
        mixed = 0 * before
        for pauli in paulis:
            one = qutip.tensor(pauli, qutip.qeye(2)) if on else qutip.tensor(qutip.qeye(2), pauli)
            mixed += one * before * one / 4
        before = (1 - share) * before + share * mixed
    assert np.allclose(operator(tampered(W, share, cells)).full(), before.full())


def test_errors_on_all_axes_are_read_together_where_y_is_measured_too():
    counts = PairCounts((0, 0), z=(300, 12), x=(200, 8), y=(100, 10))
    readings = {reading.instrument: reading for reading in pair_readings(counts, W)}
    assert set(readings) == {PAIR_QBER_Z, PAIR_QBER_X, PAIR_ERRORS}
    assert (readings[PAIR_ERRORS].trials, readings[PAIR_ERRORS].observed) == (600, 0.05)
    # A Werner state errs alike on all axes.
    assert readings[PAIR_ERRORS].expected == pytest.approx((1 - W.xx) / 2)
    without = PairCounts((0, 0), z=(300, 12), x=(200, 8))
    assert PAIR_ERRORS not in {reading.instrument for reading in pair_readings(without, W)}


def test_worse_pairs_win_fewer_games_and_err_more():
    counts = PairCounts((1000, 700), z=(1000, 200), x=(1000, 0))
    verdicts = {reading.instrument: is_worse(reading) for reading in pair_readings(counts, W)}
    assert verdicts == {CHSH_GAME: True, PAIR_QBER_Z: True, PAIR_QBER_X: False}


@pytest.mark.parametrize("share", [0.12, 0.2])
def test_errors_on_all_axes_tell_tampering_as_often_as_their_power(share):
    trials, runs = 500, 2000
    state = tampered(W, share)
    counts = PairCounts((0, 0), z=(trials, 0), x=(trials, 0), y=(trials, 0))
    hits = stream(1, "axes", str(share)).binomial(trials, (1 - state.xx) / 2, (runs, 3))
    told = np.mean(
        [
            PAIR_ERRORS in {each.instrument for each in pair_findings(given, W)}
            for given in (PairCounts((0, 0), *((trials, int(k)) for k in row)) for row in hits)
        ]
    )
    predicted = power_between(W, state, counts)[PAIR_ERRORS]
    assert abs(told - predicted) <= 5 * math.sqrt(predicted * (1 - predicted) / runs) + 0.02

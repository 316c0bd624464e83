"""Entanglement substitution: closed forms against exact states, and tests against binomial samples."""

import math

import numpy as np
import pytest
import qutip
from scipy.stats import binom

from qstrata.core.randomness import stream
from qstrata.physics.bell import BellDiagonal, chsh, werner
from qstrata.physics.pair_attacks import (
    CHSH_GAME,
    PairCounts,
    chsh_of_settings,
    pair_findings,
    pair_power,
    substitute,
    substituted,
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

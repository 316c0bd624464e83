"""Worked values: devices of Gobby, Yuan, Shields 2004 at 50 km, formulas of Ma et al. 2005."""

import math

import pytest

from qstrata.physics import decoy_bb84 as bb84
from qstrata.physics.fibre import loss_db, transmittance

MU, NU, Y0, E_D = 0.48, 0.05, 1.7e-6, 0.033
ETA = 0.045 * transmittance(loss_db(50.0, 0.21))
SIX_DIGITS = 5e-7


def test_gain_and_error_rate_of_the_signal():
    assert bb84.gain(ETA, MU, Y0) == pytest.approx(1.924950e-3, rel=SIX_DIGITS)
    assert bb84.qber(ETA, MU, Y0, E_D) == pytest.approx(3.341243e-2, rel=SIX_DIGITS)


def test_yield_and_error_rate_of_single_photons():
    assert bb84.single_photon_yield(ETA, Y0) == pytest.approx(4.012329e-3, rel=SIX_DIGITS)
    assert bb84.single_photon_error(ETA, Y0, E_D) == pytest.approx(3.319787e-2, rel=SIX_DIGITS)


def test_key_rate_with_infinitely_many_decoys():
    assert bb84.asymptotic_rate(ETA, MU, Y0, E_D) == pytest.approx(2.225961e-4, rel=SIX_DIGITS)


def test_key_rate_with_a_vacuum_and_a_weak_decoy():
    assert bb84.vacuum_weak_rate(ETA, MU, NU, Y0, E_D) == pytest.approx(2.096250e-4, rel=SIX_DIGITS)


def test_decoy_bounds_stand_on_the_safe_side_and_close_as_the_decoy_gets_weaker():
    def bounds(nu: float) -> tuple[float, float]:
        q_nu = bb84.gain(ETA, nu, Y0)
        y1 = bb84.single_photon_yield_lower(MU, nu, bb84.gain(ETA, MU, Y0), q_nu, Y0)
        return y1, bb84.single_photon_error_upper(nu, q_nu, bb84.qber(ETA, nu, Y0, E_D), Y0, y1)

    y1, e1 = bb84.single_photon_yield(ETA, Y0), bb84.single_photon_error(ETA, Y0, E_D)
    for nu in (0.2, 0.05, 0.01):
        y1_lower, e1_upper = bounds(nu)
        assert y1_lower < y1
        assert e1_upper > e1
    y1_lower, e1_upper = bounds(1e-4)
    assert y1_lower == pytest.approx(y1, rel=1e-4)
    assert e1_upper == pytest.approx(e1, rel=1e-3)


def test_no_yield_proved_means_nothing_known_of_the_error():
    assert bb84.single_photon_error_upper(NU, 1e-3, 0.03, Y0, y1_lower=0.0) == 0.5


def test_entropy_is_one_bit_for_a_fair_coin_and_none_for_a_certain_one():
    assert bb84.binary_entropy(0.5) == 1.0
    assert bb84.binary_entropy(0.0) == bb84.binary_entropy(1.0) == 0.0


def test_bb84_threshold_lies_at_eleven_percent():
    assert 1.0 - 2.0 * bb84.binary_entropy(0.11003) == pytest.approx(0.0, abs=1e-4)


def test_a_pulse_that_never_clicks_has_the_error_rate_of_a_guess():
    assert bb84.qber(0.5, 0.0, 0.0, E_D) == 0.5


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_intercept_resend_adds_a_quarter_of_its_share(share):
    assert bb84.intercepted_error(0.0, share) == share / 4


def test_eve_leaves_a_random_bit_random():
    assert bb84.intercepted_error(0.5, 0.7) == pytest.approx(0.5)


def test_plob_bound_is_one_bit_at_half_the_light():
    assert bb84.plob_bound(0.5) == pytest.approx(1.0)
    assert bb84.plob_bound(1e-9) == pytest.approx(1e-9 / math.log(2), rel=1e-8)
    assert bb84.plob_bound(1.0) == math.inf

import math

import msgspec
import pytest
from scipy.stats import norm

from qstrata.core.randomness import stream
from qstrata.physics.counts import ExpectedCounts, expected_counts, outcome_probabilities
from qstrata.physics.finite_key import key_length_bits
from qstrata.physics.monitors import (
    ARRIVALS,
    BIT_SHARE,
    CLICK_RATE,
    INCOMING_LIGHT,
    QBER_Z,
    Instruments,
    Reading,
)
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.profiles import profile
from qstrata.physics.side_channels import outer_share, watch_clicks
from qstrata.twin.sampling import draw_counts, odds

LINK = profile().link_parameters(loss_db=6.0)
PULSES = 6e9
RATIO = 0.25


def under(link: LinkParameters = LINK, **attack: float) -> ExpectedCounts:
    return expected_counts(msgspec.structs.replace(link, **attack), PULSES)


def reading(counts: ExpectedCounts, instrument: str, link: LinkParameters = LINK) -> Reading:
    return next(each for each in Instruments(link).readings(counts) if each.instrument == instrument)


@pytest.mark.parametrize("attack", ["mismatch_share", "time_shift_share"])
@pytest.mark.parametrize("share", [0.1, 1.0])
def test_shifted_pulses_click_as_often_as_before_and_err_as_rarely(attack, share):
    before, now = under(), under(**{attack: share})
    # Bright pulses saturate a little: the rate is kept to first order in the light of a pulse.
    assert now.detections == pytest.approx(before.detections, rel=0.01)
    assert now.m[0][0] / now.n[0][0] == pytest.approx(before.m[0][0] / before.n[0][0], rel=0.01)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_pulses_shifted_to_one_side_lean_towards_the_detector_that_sees_them_better(share):
    link = msgspec.structs.replace(LINK, y0=0.0, eta_bob=1e-4)
    counts = under(link, mismatch_share=share)
    leaning = (1.0 - share) / 2.0 + share * RATIO / (1.0 + RATIO)
    assert counts.clicks_one / counts.detections == pytest.approx(leaning, rel=1e-4)


def test_pulses_shifted_to_either_side_keep_bits_even_and_are_seen_by_when_they_come():
    counts = under(time_shift_share=0.5)
    assert counts.clicks_one / counts.detections == pytest.approx(0.5, abs=1e-12)
    assert reading(counts, BIT_SHARE).deviance == pytest.approx(0.0, abs=1e-6)
    assert reading(counts, QBER_Z).deviance < 1.0
    assert reading(counts, ARRIVALS).deviance > 1e5


def test_light_off_its_instant_clicks_in_the_outer_half_as_the_normal_law_says():
    spread = LINK.jitter_fwhm_ps / (2.0 * math.sqrt(2.0 * math.log(2.0)))
    edge = LINK.window_ps / 4.0
    for shift in (0.0, 60.0, -150.0):
        law = norm(loc=shift, scale=spread)
        assert outer_share(LINK, shift) == pytest.approx(law.cdf(-edge) + law.sf(edge), rel=1e-9)
    sharp = msgspec.structs.replace(LINK, jitter_fwhm_ps=0.0)
    assert (outer_share(sharp, 100.0), outer_share(sharp, 150.0)) == (0.0, 1.0)


def test_background_falls_anywhere_in_a_window():
    dark = under(msgspec.structs.replace(LINK, loss_db=math.inf))
    assert dark.clicks_outer / dark.detections == pytest.approx(0.5)


def test_a_better_fibre_than_none_makes_up_for_no_more_loss():
    near = msgspec.structs.replace(LINK, loss_db=0.0)
    now, before = under(near, time_shift_share=1.0), under(near)
    # Without loss to save, both detectors together see (1 + r)/2 of the light.
    assert now.detections / before.detections == pytest.approx((1.0 + RATIO) / 2.0, rel=0.01)
    assert reading(now, CLICK_RATE, near).deviance > 1e3


def test_equal_detectors_and_no_attack_change_nothing():
    equal = msgspec.structs.replace(LINK, efficiency_ratio=1.0, shift_ps=0.0)
    shifted = msgspec.structs.replace(equal, mismatch_share=0.7, time_shift_share=0.9)
    assert outcome_probabilities(shifted) == pytest.approx(outcome_probabilities(LINK), rel=1e-12)
    assert expected_counts(shifted, 1.0).clicks_one == pytest.approx(expected_counts(LINK, 1.0).clicks_one)


def test_the_watch_of_a_transmitter_counts_light_that_comes_in_and_its_own_dark_counts():
    assert watch_clicks(LINK) * LINK.pulse_rate_hz == pytest.approx(1000.0, rel=1e-4)
    bright = msgspec.structs.replace(LINK, trojan_photons=3.0)
    assert watch_clicks(bright) == pytest.approx(1.0 - math.exp(-3.0 * 0.01 - 1e-5))


def test_a_trojan_horse_disturbs_no_pulse_and_is_seen_by_the_watch_alone():
    now = under(trojan_photons=1.0)
    found = {each.instrument for each in Instruments(LINK).readings(now) if each.deviance > 1.0}
    assert found == {INCOMING_LIGHT}
    assert key_length_bits(now, LINK) == key_length_bits(under(), LINK)


@pytest.mark.parametrize(
    "attack", [{}, {"mismatch_share": 0.4}, {"time_shift_share": 0.4}, {"trojan_photons": 0.01}]
)
def test_what_devices_see_is_drawn_as_often_as_the_formulas_say(attack):
    link = msgspec.structs.replace(LINK, eta_bob=0.5, **attack)
    pulses = 10**9
    mean = expected_counts(link, pulses)
    (counts,) = draw_counts(stream(5, "seen"), odds(link), (pulses,))
    for counted, expected in (
        (counts.clicks_one, mean.clicks_one),
        (counts.clicks_outer, mean.clicks_outer),
        (counts.watch_clicks, mean.watch_clicks),
    ):
        assert counted == pytest.approx(expected, abs=5.0 * math.sqrt(expected))

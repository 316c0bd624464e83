import math

import pytest

from qstrata.core.errors import InputError
from qstrata.physics.counts import expected_counts
from qstrata.physics.detectors import (
    DETECTOR_PARAMETERS,
    Detector,
    check_detector,
    dead_pulses,
    response,
)
from qstrata.physics.finite_key import key_length_bits
from qstrata.physics.profiles import profile


def test_every_figure_has_its_unit_range_default_and_source():
    standard = Detector()
    assert {parameter.name for parameter in DETECTOR_PARAMETERS} == set(Detector.__struct_fields__)
    for parameter in DETECTOR_PARAMETERS:
        assert parameter.minimum <= parameter.default <= parameter.maximum
        assert getattr(standard, parameter.name) == parameter.default
        assert parameter.unit
        assert len(parameter.source) > 20
    check_detector(standard)


@pytest.mark.parametrize(
    ("name", "value"), [("efficiency", 1.1), ("dead_time_ns", -1.0), ("window_ps", math.nan)]
)
def test_detectors_outside_physics_are_refused_with_the_range(name, value):
    with pytest.raises(InputError, match=rf"{name} .* give a number from"):
        check_detector(Detector(**{name: value}))


def test_jitter_loses_what_falls_outside_the_window():
    # 76.1 % of a Gaussian lie within its full width at half maximum: erf(sqrt(ln 2)).
    assert Detector(jitter_fwhm_ps=500.0, window_ps=500.0).window_share == pytest.approx(0.760968, abs=1e-6)
    assert Detector(jitter_fwhm_ps=0.0).window_share == 1.0
    assert Detector(efficiency=0.2, jitter_fwhm_ps=500.0).seen_share == pytest.approx(0.1521936, abs=1e-6)


def test_dark_clicks_per_pulse_are_those_in_the_window_of_both_detectors():
    assert Detector(dark_count_rate_hz=1000.0, window_ps=500.0).dark_yield == pytest.approx(1e-6)


def test_dead_time_is_counted_in_whole_pulses():
    assert dead_pulses(100.0, 1e9) == 100
    assert dead_pulses(99.5, 1e9) == 99
    assert dead_pulses(0.5, 1e9) == 0


def test_recorded_rate_is_that_of_a_non_paralysable_detector():
    # n = 0.02 per pulse and detector, tau = 50 pulses: m = n/(1 + n tau) = 0.01.
    seen = response(0.04, 50, 0.0)
    assert seen.live_share == pytest.approx(0.5)
    assert seen.afterpulses == 0.0
    assert response(0.0, 50, 0.1).live_share == 1.0
    assert response(0.04, 0, 0.0).live_share == pytest.approx(1.0)


def test_after_pulses_are_a_fixed_share_of_what_is_recorded():
    seen = response(1e-4, 10, 0.05)
    recorded = seen.live_share * 1e-4 + seen.afterpulses
    assert seen.afterpulses / recorded == pytest.approx(0.05)
    assert recorded == pytest.approx(1e-4 / 0.95, rel=2e-3)


def test_the_profile_of_these_detectors_follows_from_their_figures():
    link = profile("ingaas-1ghz").link_parameters(loss_db=10.0)
    # 20 % of the photons within 500 ps around a jitter of 100 ps: all but erf(...) = 4e-9 of them.
    assert link.eta_bob == pytest.approx(0.2, rel=1e-6)
    assert link.y0 == pytest.approx(2 * 1000.0 * 500e-12)
    assert (link.dead_time_ns, link.afterpulse_probability) == (100.0, 0.01)
    assert key_length_bits(expected_counts(link, 60e9), link).length_bits > 10**6

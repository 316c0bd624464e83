import math

import pytest

from qstrata.core.errors import InputError
from qstrata.physics.raman import (
    ClassicalChannel,
    photons_per_s,
    raman_click_rate_hz,
    scattered_power_w,
)

CO = ClassicalChannel(launch_power_dbm=0.0, co_propagating=True)
COUNTER = ClassicalChannel(launch_power_dbm=0.0, co_propagating=False)
KM_OF_PEAK = 10.0 / (0.2 * math.log(10.0))


def power(channel, length_km):
    return scattered_power_w(channel, length_km, 0.2, 0.1, 2e-9)


def test_co_propagating_noise_is_largest_at_the_inverse_attenuation():
    assert pytest.approx(21.715, abs=1e-3) == KM_OF_PEAK
    peak = power(CO, KM_OF_PEAK)
    assert peak == pytest.approx(1e-3 * 2e-9 * 0.1 * KM_OF_PEAK / math.e)
    assert power(CO, KM_OF_PEAK - 0.5) < peak > power(CO, KM_OF_PEAK + 0.5)


def test_counter_propagating_noise_saturates():
    limit = 1e-3 * 2e-9 * 0.1 * KM_OF_PEAK / 2.0
    assert power(COUNTER, 300.0) == pytest.approx(limit, rel=1e-10)
    assert power(COUNTER, 10.0) < power(COUNTER, 20.0) < limit


def test_short_fibres_scatter_alike_in_both_directions():
    assert power(CO, 1e-3) == pytest.approx(power(COUNTER, 1e-3), rel=1e-6)
    assert power(CO, 0.0) == 0.0


def test_ten_decibel_more_launch_power_scatter_ten_times_as_much():
    assert power(ClassicalChannel(launch_power_dbm=10.0, co_propagating=True), 25.0) == pytest.approx(
        10.0 * power(CO, 25.0)
    )


def test_a_microwatt_at_1550_nm_is_7_8e12_photons_per_second():
    assert photons_per_s(1e-6) == pytest.approx(7.803e12, rel=1e-3)


def test_clicks_of_several_channels_add_up():
    rate = raman_click_rate_hz([CO, COUNTER], 25.0, 0.2, 0.1, 0.1, 0.5)
    assert rate == pytest.approx(0.05 * photons_per_s(power(CO, 25.0) + power(COUNTER, 25.0)))
    assert raman_click_rate_hz([], 25.0, 0.2, 0.1, 0.1) == 0.0


@pytest.mark.parametrize(("km", "db", "nm"), [(-1.0, 0.2, 0.1), (1.0, 0.0, 0.1), (1.0, 0.2, 0.0)])
def test_figures_outside_physics_are_refused(km, db, nm):
    with pytest.raises(InputError, match="Raman noise"):
        scattered_power_w(CO, km, db, nm)

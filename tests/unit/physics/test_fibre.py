import pytest

from qstrata.physics.fibre import loss_db, propagation_delay_ps, transmittance


def test_three_links_of_madrid_have_their_published_losses():
    for length_km, attenuation, published_db in (
        (24.2, 0.247934, 6.0),
        (7.4, 0.72973, 5.4),
        (40.68, 0.292527, 11.9),
    ):
        assert loss_db(length_km, attenuation) == pytest.approx(published_db, rel=1e-5)


def test_ten_decibel_pass_one_photon_in_ten():
    assert transmittance(0.0) == 1.0
    assert transmittance(10.0) == pytest.approx(0.1, rel=1e-14)
    assert transmittance(23.0) == pytest.approx(10**-2.3, rel=1e-14)


def test_light_in_vacuum_takes_one_second_for_a_light_second():
    assert propagation_delay_ps(299_792.458, group_index=1.0) == pytest.approx(10**12, abs=1)


def test_light_in_standard_fibre_takes_about_five_microseconds_per_kilometre():
    assert propagation_delay_ps(1.0) == pytest.approx(1.4682 / 299_792.458 * 1e12, abs=1)


def test_delay_is_rounded_up_so_that_nothing_arrives_early():
    assert propagation_delay_ps(1e-12, group_index=1.0) == 1
    assert propagation_delay_ps(0.0) == 0

import math

import pytest

from qstrata.core.errors import InputError
from qstrata.physics import decoy_bb84 as bb84
from qstrata.physics.rates import RATE_MODELS, rate_model
from qstrata.physics.rates.model import RateModel, complete, table

every_model = pytest.mark.parametrize("model", RATE_MODELS, ids=lambda model: model.name)


def row(model: RateModel, length_km: float, **given: float) -> dict[str, float]:
    names = [column.name for column in model.columns]
    return dict(zip(names, table(model, given, [length_km])[0], strict=True))


@every_model
def test_every_figure_says_its_unit_range_default_and_source(model: RateModel):
    for figure in model.figures:
        assert figure.meaning
        assert figure.unit
        assert figure.source
        assert figure.minimum <= figure.default <= figure.maximum
    assert len({figure.name for figure in model.figures}) == len(model.figures)


@every_model
def test_every_row_has_a_value_for_every_column_and_nothing_is_negative(model: RateModel):
    for values in table(model, {}, range(0, 301, 20)):
        assert len(values) == len(model.columns)
        assert all(value >= 0.0 and not math.isnan(value) for value in values)


@every_model
def test_no_protocol_exceeds_the_bound_of_a_channel_without_repeater(model: RateModel):
    names = [column.name for column in model.columns]
    if "plob_bound" not in names:
        return
    for length_km in range(0, 301, 10):
        values = row(model, length_km)
        assert values["key"] <= values["asymptotic_key"] <= values["plob_bound"]


def test_the_worked_example_of_50_km_comes_out():
    # GYS at 50 km of 0.21 dB/km, mu 0.48 (Ma et al. 2005): Q 1.924950e-3, E 3.341243e-2, Y_1 4.012329e-3.
    values = row(rate_model("decoy-bb84"), 50.0, attenuation_db_per_km=0.21)
    assert values["loss"] == pytest.approx(10.5)
    assert values["gain_signal"] == pytest.approx(1.924950e-3, rel=1e-6)
    assert values["qber"] == pytest.approx(3.341243e-2, rel=1e-6)
    assert values["single_photon_yield"] == pytest.approx(4.012329e-3, rel=1e-6)
    assert values["single_photon_error"] == pytest.approx(3.319787e-2, rel=1e-6)


def test_key_rate_is_the_key_of_a_block_in_the_time_of_a_block():
    values = row(rate_model("decoy-bb84"), 20.0, block_s=30.0)
    assert values["key_rate"] == pytest.approx(values["block_key"] / 30.0)
    assert values["key"] == pytest.approx(values["key_rate"] / 100e6)


def test_a_pair_source_in_the_middle_reaches_farther_than_at_an_end():
    middle, end = (row(rate_model("bbm92"), 250.0, source_position=at) for at in (0.5, 0.0))
    assert middle["asymptotic_key"] > 0.0
    assert middle["qber"] < end["qber"]


def test_distance_is_limited_by_background():
    far = row(rate_model("decoy-bb84"), 300.0)
    assert far["asymptotic_key"] == 0.0
    assert far["qber"] == pytest.approx(bb84.BACKGROUND_ERROR, rel=0.02)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"eta_bob": 1.5}, "0.0001 to 1"),
        ({"eta_bob": math.nan}, "eta_bob"),
        ({"signal_intensity": 0.01}, "signal > weak"),
        ({"nonsense": 1.0}, "nonsense"),
    ],
)
def test_figures_outside_physics_are_refused_with_the_range(given, said):
    with pytest.raises(InputError, match=said):
        complete(rate_model("decoy-bb84"), given)


def test_an_unknown_protocol_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="decoy-bb84"):
        rate_model("b92")


def test_two_clicks_cost_the_square_of_one_arm_and_one_click_the_arm():
    # Rates go as eta^2 and as eta (Barrett, Kok 2005; Cabrillo et al. 1999): 100 km more is 10 dB an arm.
    for name, decades in (("barrett-kok", 2.0), ("single-click", 1.0)):
        near, far = (row(rate_model(name), length_km) for length_km in (100.0, 200.0))
        assert math.log10(near["herald_probability"] / far["herald_probability"]) == pytest.approx(
            decades, abs=0.02
        )


def test_worked_figures_of_heralded_hops():
    # 10 km at 0.2 dB/km: an arm is 0.9 * 0.8 * 10^-0.1; two swapped pairs of 0.98 have 0.960533.
    one = row(rate_model("barrett-kok"), 10.0)
    arm = 0.72 * 10**-0.1
    assert one["herald_probability"] == pytest.approx(arm**2 / 2)
    assert one["fresh_fidelity"] == pytest.approx(0.98)
    assert one["fidelity"] == pytest.approx(0.98)
    assert one["rate"] == pytest.approx(one["link_rate"])
    two = row(rate_model("barrett-kok"), 20.0, hops=2.0)
    assert two["fresh_fidelity"] == pytest.approx(0.960533, abs=1e-6)
    assert two["fidelity"] < two["fresh_fidelity"]
    # Two links wait (3 - 2p)/(p(2 - p)) attempts on average.
    p = one["herald_probability"]
    assert two["link_rate"] / two["rate"] == pytest.approx((3 - 2 * p) / (2 - p))


def test_repeaters_pay_where_the_fibre_is_long():
    direct, chain = (row(rate_model("barrett-kok"), 400.0, hops=hops, fidelity=1.0) for hops in (1.0, 8.0))
    assert chain["rate"] > 1000 * direct["rate"]


def test_half_a_hop_is_refused():
    with pytest.raises(InputError, match="whole number"):
        complete(rate_model("single-click"), {"hops": 2.5})

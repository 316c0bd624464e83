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

import math

import msgspec
import pytest

from qstrata.core.errors import InputError
from qstrata.physics.parameters import PARAMETERS, LinkParameters, check_parameters
from qstrata.physics.profiles import PROFILES, profile

LINK = profile().link_parameters(loss_db=6.0)


def test_every_field_of_a_link_has_a_unit_and_a_range():
    assert sorted(parameter.name for parameter in PARAMETERS) == sorted(LinkParameters.__struct_fields__)
    assert all(parameter.unit and parameter.minimum < parameter.maximum for parameter in PARAMETERS)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_a_value_out_of_range_is_refused_by_name_range_and_unit(parameter):
    for value in (parameter.minimum - 1.0, parameter.maximum * 2.0, math.nan, math.inf):
        with pytest.raises(InputError, match=parameter.name) as refused:
            check_parameters(msgspec.structs.replace(LINK, **{parameter.name: value}))
        assert f"{parameter.maximum:g} {parameter.unit}" in str(refused.value)


def test_intensities_that_give_no_decoy_bounds_are_refused():
    with pytest.raises(InputError, match="no decoy bounds"):
        check_parameters(msgspec.structs.replace(LINK, weak_intensity=0.48))
    with pytest.raises(InputError, match="no decoy bounds"):
        check_parameters(msgspec.structs.replace(LINK, vacuum_intensity=0.05))


def test_probabilities_that_do_not_add_up_are_refused():
    with pytest.raises(InputError, match="add up to 1"):
        check_parameters(msgspec.structs.replace(LINK, signal_probability=0.31))


@pytest.mark.parametrize("each", PROFILES, ids=lambda each: each.name)
def test_every_figure_of_a_profile_is_in_range_and_has_a_source(each):
    check_parameters(each.link_parameters(loss_db=0.0))
    for field in each.fields:
        assert field.minimum <= field.value <= field.maximum
        assert field.unit
        assert field.source


def test_default_profile_has_the_published_receiver_and_says_what_is_our_choice():
    published = {
        "eta_bob": 0.045,
        "y0": 1.7e-6,
        "e_d": 0.033,
        "error_correction_efficiency": 1.22,
        "signal_intensity": 0.48,
    }
    usual = {"jitter_fwhm_ps", "window_ps", "watch_dark_rate_hz"}
    for field in profile().fields:
        assert field.value == published.get(field.name, field.value)
        assert ("chosen by qstrata" in field.source) == (field.name not in published.keys() | usual)
        assert ("Zhang et al." in field.source) == (field.name in usual)


def test_an_unknown_profile_is_refused_with_the_names_known():
    with pytest.raises(InputError, match="gys-100mhz"):
        profile("gys")

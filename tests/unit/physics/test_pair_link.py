import math

import pytest

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_US
from qstrata.physics import bell, chain, density, pair_link, pair_parameters
from qstrata.physics.bell import BellState
from qstrata.physics.memories import MemoryParameters
from qstrata.physics.pair_link import DeviceParameters, PairLinkParameters


def link(**figures):
    return PairLinkParameters(**({"length_km": 20.0, "loss_db": 4.0} | figures))


@pytest.mark.parametrize("protocol", pair_link.PROTOCOLS)
@pytest.mark.parametrize("frame", [BellState.PSI_PLUS, BellState.PSI_MINUS])
def test_the_heralded_state_has_the_fidelity_that_is_said(protocol, frame):
    given = link(protocol=protocol, fidelity=0.9, bright_population=0.2)
    said = pair_link.heralding(given).fidelity
    state = pair_link.heralded_state(given, frame)
    assert density.bell_fidelity(state, frame) == pytest.approx(said)
    assert bell.fidelity(chain.hop_over(given).state) == pytest.approx(said)
    assert state[0, 0] == 1.0


def test_half_of_the_fibre_and_two_efficiencies_make_an_arm():
    arm = 0.9 * 0.8 * 10**-0.2
    assert pair_link.heralding(link()).probability == pytest.approx(arm**2 / 2)
    assert pair_link.heralding(link(), extra_loss_db=10.0).probability == pytest.approx(arm**2 / 20)


def test_a_herald_takes_the_way_to_the_midpoint_and_back_and_the_next_attempt_waits_for_it():
    trip = 20.0 * 1.4682 / 299_792.458 * 1e12
    assert pair_link.herald_ps(link()) == pytest.approx(trip, abs=2)
    assert pair_link.cycle_ps(link()) == pair_link.herald_ps(link())
    assert pair_link.cycle_ps(link(length_km=0.0)) == PS_PER_US


@pytest.mark.parametrize(
    "parameters", [pair_parameters.PAIR_LINK_PARAMETERS, pair_parameters.DEVICE_PARAMETERS]
)
def test_every_figure_says_its_unit_range_default_and_source(parameters):
    for figure in parameters:
        assert figure.meaning
        assert figure.unit
        assert figure.source
        assert figure.minimum <= figure.default <= figure.maximum


def test_defaults_are_those_of_the_tables():
    for given, parameters in (
        (link(length_km=0.0, loss_db=0.0), pair_parameters.PAIR_LINK_PARAMETERS),
        (DeviceParameters(), pair_parameters.DEVICE_PARAMETERS),
    ):
        for figure in parameters:
            assert getattr(given, figure.name) == figure.default


@pytest.mark.parametrize(
    "figures", [{"fidelity": 0.2}, {"detector_efficiency": 1.1}, {"loss_db": -1.0}, {"length_km": math.nan}]
)
def test_a_link_outside_physics_is_refused_with_figure_range_and_source(figures):
    (name,) = figures
    with pytest.raises(InputError, match=rf"{name} \(.*from .* to .*\("):
        pair_link.check_pair_link(link(**figures))


def test_a_device_outside_physics_is_refused():
    with pytest.raises(InputError, match="readout_fidelity"):
        pair_link.check_device(DeviceParameters(readout_fidelity=0.4))
    with pytest.raises(InputError, match="T2 = 2 T1"):
        pair_link.check_device(DeviceParameters(memory=MemoryParameters(t1_s=1.0, t2_s=2.5)))
    pair_link.check_device(DeviceParameters())
    pair_link.check_pair_link(link())

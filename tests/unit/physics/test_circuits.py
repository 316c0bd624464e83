"""What a circuit gives at least: the exact recursion of a chain gives as much, or a little more."""

import math

import numpy as np
import pytest

from qstrata.physics import chain, density
from qstrata.physics.bell import BellState, werner
from qstrata.physics.circuits import least_state
from qstrata.physics.memories import MemoryParameters, decay
from qstrata.physics.pair_link import DeviceParameters, PairLinkParameters
from qstrata.physics.pair_parameters import CommissionedCircuit

GENERATOR = np.random.Generator(np.random.PCG64(7))


@pytest.mark.parametrize("protocol", ["barrett-kok", "single-click"])
@pytest.mark.parametrize("t2_s", [math.inf, 2.0, 0.1])
def test_no_more_is_expected_than_a_chain_delivers_on_average_and_hardly_less(protocol, t2_s):
    memory = MemoryParameters(t2_s=t2_s, depolarising_s=5.0)
    link = PairLinkParameters(protocol=protocol, length_km=10.0, loss_db=2.0, fidelity=0.98)
    given = chain.Chain(
        hops=(chain.hop_over(link),) * 3, memory=memory, gate_reliability=0.99, readout_fidelity=0.995
    )
    found = chain.run(given, 50_000, GENERATOR)
    # All memories are alike: how old their halves are together follows from what was kept.
    whole = chain.run(without_decay(given), 2, GENERATOR)
    rate_xy = (1.0 / t2_s + 0.2) if t2_s < math.inf else 0.2
    waited_s = float(np.mean(-np.log(found.xx / whole.xx[0]) / rate_xy))
    device = DeviceParameters(memory=memory, gate_reliability=0.99, readout_fidelity=0.995)
    circuit = CommissionedCircuit(links=(link,) * 3, devices=(device,) * 4)
    expected = least_state(circuit, (waited_s * 1e12 / 6.0,) * 4)
    ends = 0.99**2
    for seen, bound in ((found.xx, expected.xx), (found.yy, expected.yy), (found.zz, expected.zz)):
        mean = float(np.mean(seen)) * ends
        assert bound <= mean + 1e-9
        if protocol == "barrett-kok":
            assert bound == pytest.approx(mean, rel=0.02)
        else:
            assert bound == pytest.approx(mean, rel=0.2)


def without_decay(given: chain.Chain) -> chain.Chain:
    return chain.Chain(
        hops=given.hops, gate_reliability=given.gate_reliability, readout_fidelity=given.readout_fidelity
    )


def test_amplitude_damping_takes_no_more_than_is_expected():
    memory = MemoryParameters(t1_s=1.0, t2_s=0.5)
    link = PairLinkParameters(length_km=10.0, loss_db=2.0, fidelity=0.95)
    ages_s = (0.02, 0.11)
    state = density.pair(werner(0.95, BellState.PSI_PLUS))
    for axis, age_s in enumerate(ages_s):
        state = density.apply_decay(state, decay(memory, round(age_s * 1e12)), axis)
    exact = density.bell_diagonal(state, BellState.PSI_PLUS)
    device = DeviceParameters(memory=memory)
    circuit = CommissionedCircuit(links=(link,), devices=(device, device))
    least = least_state(circuit, [age_s * 1e12 for age_s in ages_s])
    assert (least.xx, least.yy) == pytest.approx((exact.xx, exact.yy))
    assert exact.zz - 0.02 < least.zz <= exact.zz


def test_a_link_of_single_clicks_is_taken_at_its_worst_loss():
    link = PairLinkParameters(protocol="single-click", length_km=10.0, loss_db=2.0, bright_population=0.1)
    device = DeviceParameters()
    least = least_state(CommissionedCircuit(links=(link,), devices=(device, device)), (0.0, 0.0))
    # F is 1 - a where nearly every photon is lost, and |11> has no xx.
    assert least.xx == pytest.approx(0.9 * werner(link.fidelity).xx, rel=1e-6)

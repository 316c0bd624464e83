"""Which circuits are degraded: less than wanted by more than the error of the estimate, for long."""

import pytest

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.policy import CircuitSpec
from qstrata.fabric.messages.reports import CircuitReport
from qstrata.physics.pair_parameters import CommissionedCircuit, DeviceParameters, PairLinkParameters
from qstrata.strata.forwarding.control.circuit_shortfalls import LONG_PS, CircuitShortfalls, as_tested


def wants(fidelity=0.0, pairs_per_s=0.0, readout=1.0):
    device = DeviceParameters(readout_fidelity=readout)
    link = PairLinkParameters(length_km=1.0, loss_db=0.2)
    built = CommissionedCircuit(links=(link,), devices=(device, device))
    return CircuitSpec("c", ("a", "b"), ("a-b",), built, fidelity, pairs_per_s)


def told(fidelity=0.9, error=0.01, pairs_per_s=10.0):
    return CircuitReport("c", 0, 100, pairs_per_s, 50, fidelity, error)


def after(spec, *reports):
    """Return why the circuit is degraded after each report, a second apart."""
    book, reasons = CircuitShortfalls(), []
    for at, report in enumerate(reports):
        book.follow((spec,), (report,), at * PS_PER_S)
        reasons.append(book.of("c"))
    return reasons


LONG = LONG_PS // PS_PER_S


def test_a_circuit_is_degraded_once_it_has_been_short_for_long_and_open_when_it_is_not():
    bad, good = told(fidelity=0.9), told(fidelity=0.95)
    reasons = after(wants(fidelity=0.93), *[bad] * (LONG + 2), good)
    assert not any(reasons[:LONG])
    assert reasons[LONG] == "fidelity 0.900 +- 0.010 by tests, 0.93 is wanted"
    assert reasons[LONG] == reasons[LONG + 1]
    assert reasons[-1] == ""


def test_one_good_estimate_between_begins_the_time_anew():
    bad, good = told(fidelity=0.9), told(fidelity=0.95)
    assert not any(after(wants(fidelity=0.93), *[bad] * LONG, good, *[bad] * LONG))


def test_what_may_be_chance_is_no_shortfall():
    assert not any(after(wants(fidelity=0.93), *[told(fidelity=0.921, error=0.01)] * (LONG + 5)))
    assert not any(after(wants(pairs_per_s=10.5), *[told(pairs_per_s=10.0)] * (LONG + 5)))
    assert not any(after(wants(fidelity=0.93), *[told(fidelity=None, error=None)] * (LONG + 5)))


def test_pairs_that_take_too_long_degrade_a_circuit():
    reasons = after(wants(pairs_per_s=20.0), *[told(pairs_per_s=10.0)] * (LONG + 1))
    assert reasons[-1] == "10 pairs/s, 20 are wanted"


def test_rare_pairs_are_not_missed_between_one_and_the_next():
    # A pair every 50 s is a rate of 0.1/s for 10 s, then 0; one in 100 s is wanted.
    rates = [0.1 if at % 50 < 10 else 0.0 for at in range(400)]
    assert not any(after(wants(pairs_per_s=0.01), *[told(pairs_per_s=rate) for rate in rates]))


def test_rare_pairs_that_do_not_come_at_all_are_missed():
    reasons = after(wants(pairs_per_s=0.1), *[told(pairs_per_s=0.0)] * 80)
    assert reasons.index("0 pairs/s, 0.1 are wanted") == 70


def test_nothing_wanted_is_never_missed():
    assert not any(after(wants(), *[told(fidelity=0.3, pairs_per_s=0.0)] * (LONG + 5)))


def test_misread_bits_are_not_held_against_a_circuit():
    # Werner correlators of 0.92 are read as 0.92 (2r - 1)^2 where both ends misread.
    assert as_tested(wants(fidelity=0.94, readout=0.98)) == pytest.approx((1 + 3 * 0.92 * 0.96**2) / 4)

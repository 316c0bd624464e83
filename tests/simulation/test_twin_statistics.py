"""A virtual day on each link of Madrid: 86,400 reports of 10^8 pulses a link, against closed forms."""

import math

import pytest

from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import add, zero
from qstrata.physics.profiles import profile
from qstrata.twin.link import LinkRun

DAY_S = 86_400
BLOCK_S = 60
PULSES_PER_S = 100_000_000
SIGNALS = ((0.48, 0.3), (0.05, 0.5), (0.0, 0.2))
ETA_BOB, Y0, E_D, BOTH_Z, BOTH_X = 0.045, 1.7e-6, 0.033, 0.49, 0.09


def a_day(loss_db):
    """Return the sum of the day's blocks, and every second's detections."""
    run = LinkRun(
        f"link of {loss_db} dB",
        profile().link_parameters(loss_db),
        seed=2024,
        block_ps=BLOCK_S * PS_PER_S,
        period_ps=PS_PER_S,
    )
    run.begin(0)
    total, detections = zero(), []
    for _ in range(DAY_S):
        window = run.advance()
        detections.append(window.counts.detections)
        if window.total is not None:
            total = add(total, window.total)
    return total, detections


def within_five_standard_errors(count, trials, probability):
    return abs(count - trials * probability) <= 5 * math.sqrt(trials * probability * (1 - probability))


@pytest.mark.parametrize("loss_db", [6.0, 5.4, 11.9])
def test_a_day_of_counts_agrees_with_the_closed_forms(loss_db):
    total, detections = a_day(loss_db)
    pulses = DAY_S * PULSES_PER_S
    assert total.pulses == pulses
    eta = ETA_BOB * 10 ** (-loss_db / 10)
    mean = 0.0
    for k, (intensity, share) in enumerate(SIGNALS):
        # Ma et al. 2005: Q = Y0 + 1 - e^(-eta mu), E Q = Y0 / 2 + e_d (1 - e^(-eta mu)).
        light = 1 - math.exp(-eta * intensity)
        clicks, errors = Y0 + light, Y0 / 2 + E_D * light
        mean += share * clicks
        assert within_five_standard_errors(total.sent[k], pulses, share)
        for basis, sifted in enumerate((BOTH_Z, BOTH_X)):
            assert within_five_standard_errors(total.n[basis][k], pulses, share * sifted * clicks)
            assert within_five_standard_errors(total.m[basis][k], pulses, share * sifted * errors)
    assert within_five_standard_errors(total.detections, pulses, mean)
    # Seconds are independent: their variance is that of counting, within 5 standard errors of a variance.
    expected = PULSES_PER_S * mean
    spread = sum((count - expected) ** 2 for count in detections) / DAY_S
    assert spread / (expected * (1 - mean)) == pytest.approx(1.0, abs=5 * math.sqrt(2 / DAY_S))

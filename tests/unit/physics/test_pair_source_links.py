"""Links of BBM92: what their ends count and prove, healthy and under faults, by the papers' equations."""

import math

import msgspec
import pytest

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import add, zero
from qstrata.physics.decoy_bb84 import binary_entropy
from qstrata.physics.monitors import CLICK_RATE, QBER_X, QBER_Z, findings, power
from qstrata.physics.protocols.bbm92 import BBM92
from qstrata.twin.link import LinkRun

HOUR_S = 3600
PULSES_PER_S = 100_000_000
Z, ETA, Y0, PAIRS, E_D = 0.7, 0.145, 6.02e-6, 0.05, 0.015


def link(loss_db=10.0, **changes):
    return BBM92.profile().link_parameters(loss_db, **changes)


def coincidences(eta_a, eta_b, e_d=E_D, pairs=PAIRS, y0=Y0):
    """Return gain and error gain: Ma, Fung, Lo 2007, equations 9 and 10 as printed."""
    lam = pairs / 2
    gain = 1 - (1 - y0) / (1 + eta_a * lam) ** 2 - (1 - y0) / (1 + eta_b * lam) ** 2
    gain += (1 - y0) ** 2 / (1 + (eta_a + eta_b - eta_a * eta_b) * lam) ** 2
    true = 2 * eta_a * eta_b * lam * (1 + lam)
    true /= (1 + eta_a * lam) * (1 + eta_b * lam) * (1 + (eta_a + eta_b - eta_a * eta_b) * lam)
    return gain, gain / 2 - (0.5 - e_d) * true


def counted(parameters, seconds=HOUR_S):
    """Return what the twin counts in so many seconds."""
    run = LinkRun("a-b", parameters, seed=7, block_ps=60 * PS_PER_S, period_ps=PS_PER_S)
    run.begin(0)
    total = zero()
    for _ in range(seconds):
        total = add(total, run.advance().counts)
    return total


def within_five_standard_errors(count, trials, probability):
    return abs(count - trials * probability) <= 5 * math.sqrt(trials * probability * (1 - probability))


@pytest.mark.parametrize(("loss_db", "position"), [(6.0, 0.5), (10.0, 0.0), (10.0, 1.0), (20.0, 0.3)])
def test_an_hour_of_coincidences_agrees_with_the_closed_forms(loss_db, position):
    # 3.6e11 pulses give at least 2.5e6 coincidences: one per cent is 16 standard errors and more.
    total = counted(link(loss_db, source_position=position))
    eta_a = ETA * 10 ** (-loss_db * position / 10)
    eta_b = ETA * 10 ** (-loss_db * (1 - position) / 10)
    gain, errors = coincidences(eta_a, eta_b)
    pulses = HOUR_S * PULSES_PER_S
    assert total.sent == (pulses, 0, 0)
    assert total.detections > 2_500_000
    assert within_five_standard_errors(total.detections, pulses, gain)
    assert within_five_standard_errors(total.clicks_z, pulses, gain * Z)
    for basis, share in enumerate((Z**2, (1 - Z) ** 2)):
        assert within_five_standard_errors(total.n[basis][0], pulses, gain * share)
        assert within_five_standard_errors(total.m[basis][0], pulses, errors * share)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_intercept_resend_adds_a_quarter_of_its_share_to_the_error_rate(share):
    # Faint and dark-free pulses of perfectly aligned pairs: what errors there are, Eve makes.
    figures = {"pairs_per_pulse": 1e-5, "y0_a": 0.0, "y0_b": 0.0, "e_d": 0.0, "pulse_rate_hz": 1e10}
    attacked = msgspec.structs.replace(link(3.0, **figures), intercept_resend_share=share)
    total = counted(attacked, 600)
    sifted, errors = sum(total.n[0]), sum(total.m[0])
    assert sifted > 100_000
    assert within_five_standard_errors(errors, sifted, share / 4)


def test_without_light_only_background_coincides():
    dark = msgspec.structs.replace(link(), loss_db=math.inf)
    gain, qber = dark.coincidences
    assert gain == pytest.approx(Y0**2)
    assert qber == 0.5


def test_raman_photons_are_background_at_the_ends_that_the_fibre_leads_to():
    assert link(raman_rate_hz=1e4).backgrounds == pytest.approx((Y0 + 1e-4, Y0 + 1e-4))
    assert link(raman_rate_hz=1e4, source_position=0.0).backgrounds == pytest.approx((Y0, Y0 + 1e-4))


def test_a_block_of_key_is_what_tomamichel_et_al_prove():
    counts = BBM92.expected_counts(link(), 6e9)
    n, k = counts.n[0][0], counts.n[1][0]
    qber = counts.m[0][0] / n
    deviation = math.sqrt((n + k) * (k + 1) / (n * k**2) * math.log(4 / 1e-10))
    leaked = math.ceil(1.22 * n * binary_entropy(qber))
    expected = n * (1 - binary_entropy(qber + deviation)) - leaked - math.log2(2 / (1e-20 * 1e-15))
    assert BBM92.key_length(counts, link()).length_bits == pytest.approx(expected, abs=1)


def test_figures_outside_physics_are_refused_with_range_and_source():
    with pytest.raises(InputError, match=r"eta_a .* is 1.2: give a number from 0.0001 to 1 .*Ma, .*table I"):
        link(eta_a=1.2)


def test_the_watch_sees_an_attack_and_takes_lost_light_for_no_attack():
    honest = link()
    assert not findings(counted(honest, 60), honest)
    attacked = msgspec.structs.replace(honest, intercept_resend_share=0.2)
    assert {QBER_Z, QBER_X} <= {each.instrument for each in findings(counted(attacked, 60), honest)}
    assert power(honest, attacked, 6e9)[QBER_Z] > 0.999
    lossy = msgspec.structs.replace(honest, loss_db=13.0)
    assert [each.instrument for each in findings(counted(lossy, 60), honest)] == [CLICK_RATE]

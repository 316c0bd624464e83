import math

import msgspec
import pytest

from qstrata.physics import decoy_bb84 as bb84
from qstrata.physics.counts import Counts, expected_counts, zero
from qstrata.physics.finite_key import asymptotic_length_rate, key_length_bits
from qstrata.physics.profiles import profile

MADRID_LOSSES_DB = (6.0, 5.4, 11.9)
LINK = profile().link_parameters(loss_db=11.9)


def links(test):
    return pytest.mark.parametrize(
        "link", [profile().link_parameters(db) for db in MADRID_LOSSES_DB], ids=str
    )(test)


def test_length_follows_the_equations_of_the_paper_written_out():
    link = msgspec.structs.replace(
        LINK, signal_intensity=0.5, weak_intensity=0.1, vacuum_intensity=0.01, eps_sec=1e-9
    )
    counts = Counts(
        sent=(3 * 10**10, 5 * 10**10, 2 * 10**10),
        n=((30_000_000, 10_000_000, 500_000), (5_000_000, 1_700_000, 160_000)),
        m=((900_000, 310_000, 20_000), (150_000, 52_000, 3_000)),
        detections=10**8,
    )
    e, ln, sqrt = math.exp, math.log, math.sqrt
    tau_0 = 0.3 * e(-0.5) + 0.5 * e(-0.1) + 0.2 * e(-0.01)
    tau_1 = 0.3 * e(-0.5) * 0.5 + 0.5 * e(-0.1) * 0.1 + 0.2 * e(-0.01) * 0.01

    def photons(n_1: int, n_2: int, n_3: int) -> tuple[float, float]:
        d = sqrt((n_1 + n_2 + n_3) / 2 * ln(21 / 1e-9))
        s_0 = tau_0 / 0.09 * (0.1 * e(0.01) / 0.2 * (n_3 - d) - 0.01 * e(0.1) / 0.5 * (n_2 + d))
        multi = 0.0099 / 0.25 * (e(0.5) / 0.3 * (n_1 + d) - s_0 / tau_0)
        s_1 = tau_1 * 0.5 * (e(0.1) / 0.5 * (n_2 - d) - e(0.01) / 0.2 * (n_3 + d) - multi) / (0.045 - 0.0099)
        return s_0, s_1

    s_z0, s_z1 = photons(*counts.n[0])
    _, s_x1 = photons(*counts.n[1])
    d = sqrt(205_000 / 2 * ln(21 / 1e-9))
    b = tau_1 / 0.09 * (e(0.1) / 0.5 * (52_000 + d) - e(0.01) / 0.2 * (3_000 - d)) / s_x1
    spread = (s_x1 + s_z1) / (s_x1 * s_z1)
    phi = b + sqrt(spread * (1 - b) * b / ln(2) * math.log2(spread / ((1 - b) * b) * 21**2 / 1e-9**2))
    h = bb84.binary_entropy
    leak = 1.22 * 40_500_000 * h(1_230_000 / 40_500_000)
    length = s_z0 + s_z1 * (1 - h(phi)) - leak - 6 * math.log2(21 / 1e-9) - math.log2(2 / 1e-15)

    estimate = key_length_bits(counts, link)
    assert estimate.s_z0_lower == pytest.approx(s_z0, rel=1e-12)
    assert estimate.s_z1_lower == pytest.approx(s_z1, rel=1e-12)
    assert estimate.phase_error_upper == pytest.approx(phi, rel=1e-12)
    assert estimate.leakage_bits == math.ceil(leak)
    assert estimate.qber == pytest.approx(1_230_000 / 40_500_000)
    assert length > 0
    assert estimate.length_bits == pytest.approx(length, abs=2)


@links
def test_asymptote_rests_on_the_vacuum_and_weak_decoy_bounds(link):
    eta, mu, nu = link.eta, link.signal_intensity, link.weak_intensity
    q_mu, q_nu = bb84.gain(eta, mu, link.y0), bb84.gain(eta, nu, link.y0)
    y1 = bb84.single_photon_yield_lower(mu, nu, q_mu, q_nu, link.y0)
    e1 = bb84.single_photon_error_upper(nu, q_nu, bb84.qber(eta, nu, link.y0, link.e_d), link.y0, y1)
    tau_0 = 0.3 * math.exp(-mu) + 0.5 * math.exp(-nu) + 0.2
    tau_1 = 0.3 * mu * math.exp(-mu) + 0.5 * nu * math.exp(-nu)
    raw = 0.3 * q_mu + 0.5 * q_nu + 0.2 * link.y0
    wrong = sum(p * bb84.error_gain(eta, k, link.y0, link.e_d) for p, k in ((0.3, mu), (0.5, nu), (0.2, 0.0)))
    secret = tau_0 * link.y0 + tau_1 * y1 * (1 - bb84.binary_entropy(e1))
    expected = 0.7**2 * (secret - 1.22 * raw * bb84.binary_entropy(wrong / raw))
    assert asymptotic_length_rate(link) == pytest.approx(expected, rel=1e-9)


@links
def test_finite_length_never_exceeds_the_asymptote_and_reaches_it_as_the_block_grows(link):
    limit = asymptotic_length_rate(link)
    shares = [
        key_length_bits(expected_counts(link, pulses), link).length_bits / (pulses * limit)
        for pulses in (1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15)
    ]
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0
    assert shares[-2] >= 0.99


@links
def test_a_minute_of_each_madrid_link_gives_over_two_kilobit_per_second(link):
    assert key_length_bits(expected_counts(link, 60 * link.pulse_rate_hz), link).length_bits > 60 * 2000


def test_an_empty_block_gives_no_key_and_no_error_rate():
    estimate = key_length_bits(zero(), LINK)
    assert estimate.length_bits == 0
    assert estimate.leakage_bits == 0
    assert estimate.qber is None


def test_a_test_basis_without_clicks_leaves_every_bit_suspect():
    counts = Counts(
        sent=(10**10,) * 3,
        n=((10**7, 10**7, 10**3), (0, 0, 0)),
        m=((10**5, 10**5, 500), (0, 0, 0)),
        detections=10**8,
    )
    estimate = key_length_bits(counts, LINK)
    assert estimate.phase_error_upper == 0.5
    assert estimate.length_bits == 0


def test_a_small_test_sample_without_errors_does_not_prove_the_absence_of_errors():
    link = msgspec.structs.replace(LINK, e_d=0.0, y0=0.0)
    mean = expected_counts(link, 1e11)
    assert sum(mean.m[1]) == 0.0
    estimate = key_length_bits(mean, link)
    tested = sum(mean.n[1])
    assert estimate.phase_error_upper > math.log(21 / link.eps_sec) / tested


def test_full_interception_shows_a_quarter_of_errors_and_yields_no_key():
    link = msgspec.structs.replace(LINK, e_d=0.0, y0=0.0, intercept_resend_share=1.0)
    estimate = key_length_bits(expected_counts(link, 1e13), link)
    assert estimate.qber == pytest.approx(0.25, rel=1e-12)
    assert estimate.length_bits == 0
    assert asymptotic_length_rate(link) == 0.0

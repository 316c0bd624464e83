import math

import msgspec
import pytest

from qstrata.physics import decoy_bb84 as bb84
from qstrata.physics.counts import Counts, expected_counts
from qstrata.physics.finite_key import asymptotic_length_rate, key_length_bits, secret_length_bits
from qstrata.physics.profiles import profile

LINK = msgspec.structs.replace(
    profile().link_parameters(loss_db=6.0),
    signal_probability=0.7,
    weak_probability=0.3,
    vacuum_probability=0.0,
    weak_intensity=0.15,
)


def test_length_follows_the_equations_of_the_paper_written_out():
    link = msgspec.structs.replace(LINK, signal_intensity=0.5, weak_intensity=0.2, eps_sec=1e-9)
    counts = Counts(
        sent=(7 * 10**9, 3 * 10**9, 0),
        n=((70_000_000, 12_000_000, 0), (9_000_000, 1_550_000, 0)),
        m=((1_400_000, 250_000, 0), (180_000, 32_000, 0)),
        detections=10**8,
    )
    e, ln, sqrt = math.exp, math.log, math.sqrt
    tau_0 = 0.7 * e(-0.5) + 0.3 * e(-0.2)
    tau_1 = 0.7 * e(-0.5) * 0.5 + 0.3 * e(-0.2) * 0.2

    def photons(n_1: int, n_2: int, m_1: int, m_2: int) -> tuple[float, float]:
        d = sqrt((n_1 + n_2) / 2 * ln(19 / 1e-9))
        d_m = sqrt((m_1 + m_2) / 2 * ln(19 / 1e-9))
        s_0 = tau_0 / 0.3 * (0.5 * e(0.2) / 0.3 * (n_2 - d) - 0.2 * e(0.5) / 0.7 * (n_1 + d))
        s_0_upper = 2 * (tau_0 * e(0.2) / 0.3 * (m_2 + d_m) + d)
        s_0_upper = min(s_0_upper, 2 * (tau_0 * e(0.5) / 0.7 * (m_1 + d_m) + d))
        s_1 = e(0.2) / 0.3 * (n_2 - d) - 0.16 * e(0.5) / 0.7 * (n_1 + d) - 0.84 * s_0_upper / tau_0
        return max(0.0, s_0), tau_1 * 0.5 / (0.2 * 0.3) * s_1

    s_z0, s_z1 = photons(70_000_000, 12_000_000, 1_400_000, 250_000)
    _, s_x1 = photons(9_000_000, 1_550_000, 180_000, 32_000)
    d = sqrt(212_000 / 2 * ln(19 / 1e-9))
    b = tau_1 / 0.3 * (e(0.5) / 0.7 * (180_000 + d) - e(0.2) / 0.3 * (32_000 - d)) / s_x1
    spread = (s_x1 + s_z1) / (s_x1 * s_z1)
    phi = b + sqrt(spread * (1 - b) * b / ln(2) * math.log2(spread / ((1 - b) * b) * 19**2 / 1e-9**2))
    h = bb84.binary_entropy
    leak = 1.22 * 82_000_000 * h(1_650_000 / 82_000_000)
    length = s_z0 + s_z1 * (1 - h(phi)) - leak - 6 * math.log2(19 / 1e-9) - math.log2(2 / 1e-15)

    estimate = key_length_bits(counts, link)
    assert estimate.s_z1_lower == pytest.approx(s_z1, rel=1e-12)
    assert estimate.s_z0_lower == pytest.approx(s_z0, rel=1e-12)
    assert estimate.phase_error_upper == pytest.approx(phi, rel=1e-12)
    assert length > 0
    assert estimate.length_bits == pytest.approx(length, abs=2)


@pytest.mark.parametrize("loss_db", [3.0, 6.0, 11.9])
@pytest.mark.parametrize("pulses", [1e9, 1e11, 1e15])
def test_bounds_hold_against_what_the_photons_really_did(loss_db: float, pulses: float):
    link = msgspec.structs.replace(LINK, loss_db=loss_db)
    both_z = link.sender_z_probability * link.receiver_z_probability
    weights = list(zip(link.intensity_probabilities, link.intensities, strict=True))
    tau_1 = sum(p * math.exp(-mu) * mu for p, mu in weights)
    true_single = pulses * both_z * tau_1 * bb84.single_photon_yield(link.eta, link.y0)
    estimate = key_length_bits(expected_counts(link, pulses), link)
    assert 0.0 < estimate.s_z1_lower <= true_single
    assert estimate.phase_error_upper >= bb84.single_photon_error(link.eta, link.y0, link.e_d)


def test_one_decoy_never_beats_exact_knowledge_of_single_photons():
    for loss_db in (3.0, 6.0, 11.9):
        link = msgspec.structs.replace(LINK, loss_db=loss_db)
        both_z = link.sender_z_probability * link.receiver_z_probability
        weights = list(zip(link.intensity_probabilities, link.intensities, strict=True))
        y1 = bb84.single_photon_yield(link.eta, link.y0)
        e1 = bb84.single_photon_error(link.eta, link.y0, link.e_d)
        tau_0 = sum(p * math.exp(-mu) for p, mu in weights)
        tau_1 = sum(p * math.exp(-mu) * mu for p, mu in weights)
        clicks = sum(p * bb84.gain(link.eta, mu, link.y0) for p, mu in weights)
        errors = sum(p * bb84.error_gain(link.eta, mu, link.y0, link.e_d) for p, mu in weights)
        secret = tau_0 * link.y0 + tau_1 * y1 * (1 - bb84.binary_entropy(e1))
        exact = both_z * (secret - 1.22 * clicks * bb84.binary_entropy(errors / clicks))
        assert 0.0 < asymptotic_length_rate(link) < exact


def test_a_long_block_approaches_the_rate_of_a_block_without_end():
    pulses = 1e17
    length = key_length_bits(expected_counts(LINK, pulses), LINK).length_bits
    assert length / pulses == pytest.approx(asymptotic_length_rate(LINK), rel=1e-3)


def test_one_decoy_gives_more_key_than_two_from_the_same_short_block():
    # The paper's finding for practical block sizes, here at 10^7 bits of raw key.
    two = profile().link_parameters(loss_db=6.0)
    best = {}
    for name, vacuum in (("one", 0.0), ("two", 0.1)):
        lengths = []
        for weak in (0.05, 0.1, 0.15, 0.2):
            for share in (0.1, 0.2, 0.3, 0.4):
                link = msgspec.structs.replace(
                    two,
                    e_d=0.01,
                    weak_intensity=weak,
                    weak_probability=share,
                    vacuum_probability=vacuum,
                    signal_probability=1.0 - share - vacuum,
                )
                per_pulse = sum(expected_counts(link, 1.0).n[0])
                pulses = 1e7 / per_pulse
                lengths.append(key_length_bits(expected_counts(link, pulses), link).length_bits / pulses)
        best[name] = max(lengths)
    assert best["one"] > best["two"]


def test_secret_length_of_what_was_really_told_is_that_of_the_paper():
    counts = expected_counts(LINK, 1e10)
    told = key_length_bits(counts, LINK)
    # log2(2/eps_cor) = 50.83 bits of hash.
    assert told.length_bits > 0
    length = secret_length_bits(counts, LINK, told.leakage_bits + 51)
    assert length == pytest.approx(told.length_bits, abs=1)

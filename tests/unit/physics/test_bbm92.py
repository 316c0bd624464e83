import math

import pytest

from qstrata.physics import bbm92
from qstrata.physics.decoy_bb84 import binary_entropy

CASES = [(0.145, 0.145, 0.05, 6e-6, 6e-6), (0.3, 0.01, 0.4, 1e-5, 1e-4), (0.02, 0.02, 1.0, 0.0, 0.0)]


def pair_numbers(pairs: float):
    """Yield how many pairs a down-conversion pulse has, and how probable that is: (n+1) l^n / (1+l)^(n+2)."""
    lam = pairs / 2
    for n in range(200):
        yield n, (n + 1) * lam**n / (1 + lam) ** (n + 2)


@pytest.mark.parametrize(("eta_a", "eta_b", "pairs", "y0_a", "y0_b"), CASES)
def test_coincidences_are_the_sum_over_pair_numbers(eta_a, eta_b, pairs, y0_a, y0_b):
    def clicks(n: int, eta: float, y0: float) -> float:
        return 1 - (1 - y0) * (1 - eta) ** n

    expected = sum(p * clicks(n, eta_a, y0_a) * clicks(n, eta_b, y0_b) for n, p in pair_numbers(pairs))
    assert bbm92.coincidence_gain(eta_a, eta_b, pairs, y0_a, y0_b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("eta_a", "eta_b", "pairs", "y0_a", "y0_b"), CASES)
def test_errors_are_what_threshold_detectors_make_of_every_split_of_the_photons(
    eta_a, eta_b, pairs, y0_a, y0_b
):
    # m of n pairs have one polarisation, all m alike probable; double clicks get a random bit, so that the
    # mean sign of a bit is P(one detector alone) - P(the other alone).
    e_d = 0.02
    x, y = 1 - eta_a, 1 - eta_b
    correlation = sum(
        p / (n + 1) * sum((x ** (n - m) - x**m) * (y ** (n - m) - y**m) for m in range(n + 1))
        for n, p in pair_numbers(pairs)
    )
    gain = bbm92.coincidence_gain(eta_a, eta_b, pairs, y0_a, y0_b)
    expected = (1 - (1 - 2 * e_d) * correlation / gain) / 2
    assert bbm92.coincidence_qber(eta_a, eta_b, pairs, y0_a, y0_b, e_d) == pytest.approx(expected, rel=1e-9)


def test_without_light_half_the_coincidences_are_wrong():
    assert bbm92.coincidence_qber(0.1, 0.1, 0.0, 1e-5, 1e-5, 0.01) == pytest.approx(0.5)
    assert bbm92.coincidence_qber(0.1, 0.1, 0.0, 0.0, 0.0, 0.01) == 0.5


def test_key_ends_at_eleven_percent_of_errors():
    # 1 - 2 h(e) = 0 at e = 0.11003 (Shor and Preskill 2000).
    assert bbm92.asymptotic_rate(1.0, 0.1100, 1.0, 1.0) > 0.0
    assert bbm92.asymptotic_rate(1.0, 0.1101, 1.0, 1.0) == 0.0


def test_a_finite_block_follows_the_papers_formula_written_out():
    n, k, error, leak = 1e6, 2e5, 0.02, 1.2e5
    mu = math.sqrt((n + k) / (n * k) * (k + 1) / k * math.log(4 / 1e-10))
    expected = n * (1 - binary_entropy(error + mu)) - leak - math.log2(2 / (1e-20 * 1e-15))
    assert bbm92.key_length_bits(n, k, error, leak, 1e-10, 1e-15) == math.floor(expected)


def test_a_block_without_test_bits_gives_no_key():
    assert bbm92.key_length_bits(1e6, 0, 0.0, 0.0, 1e-10, 1e-15) == 0

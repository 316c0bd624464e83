"""BBM92 over a source of entangled photon pairs (parametric down-conversion), with threshold detectors.

Sources: X. Ma, C.-H. F. Fung, H.-K. Lo, "Quantum key distribution with entangled photon sources", Phys. Rev.
A 76, 012307 (2007), equations 9 to 11; M. Tomamichel, C. C. W. Lim, N. Gisin, R. Renner, "Tight finite-key
analysis for quantum cryptography", Nature Communications 3, 634 (2012).

Symbols: `eta_a`, `eta_b` from the source to a click at either end (0 to 1), `pairs` the mean number of pairs
per pulse (the papers' mu = 2 lambda), `y0_a`, `y0_b` the background clicks per pulse of each end, `e_d` the
probability that a pair of detected photons gives unequal bits in equal bases.
"""

import math

from qstrata.physics.decoy_bb84 import BACKGROUND_ERROR, binary_entropy


def coincidence_gain(eta_a: float, eta_b: float, pairs: float, y0_a: float, y0_b: float) -> float:
    """Return Q, the probability that a pulse gives a click at both ends (equation 9)."""
    lam = pairs / 2.0
    at_a, at_b = 1.0 + eta_a * lam, 1.0 + eta_b * lam
    either = 1.0 + (eta_a + eta_b - eta_a * eta_b) * lam
    # The equation is 1 - A - B + N; this is (1 - A)(1 - B) + (N - AB), in which nothing cancels at high loss.
    clicks_a = (eta_a * lam * (1.0 + at_a) + y0_a) / at_a**2
    clicks_b = (eta_b * lam * (1.0 + at_b) + y0_b) / at_b**2
    joint = eta_a * eta_b * lam * (1.0 + lam) * (at_a * at_b + either) / (either * at_a * at_b) ** 2
    return clicks_a * clicks_b + (1.0 - y0_a) * (1.0 - y0_b) * joint


def coincidence_qber(eta_a: float, eta_b: float, pairs: float, y0_a: float, y0_b: float, e_d: float) -> float:
    """Return E, the error rate of coincidences in equal bases (equation 10); 1/2 where there are none."""
    gain = coincidence_gain(eta_a, eta_b, pairs, y0_a, y0_b)
    if gain <= 0.0:
        return BACKGROUND_ERROR
    lam = pairs / 2.0
    either = 1.0 + (eta_a + eta_b - eta_a * eta_b) * lam
    true = 2.0 * eta_a * eta_b * lam * (1.0 + lam) / ((1.0 + eta_a * lam) * (1.0 + eta_b * lam) * either)
    return BACKGROUND_ERROR - (BACKGROUND_ERROR - e_d) * true / gain


def asymptotic_rate(gain: float, qber: float, q: float, f: float) -> float:
    """Return the key per pulse R = q Q [1 - f h(E) - h(E)] (equation 11), 0 where negative.

    `q` is the share of coincidences that is sifted into key, `f` the error-correction efficiency.
    """
    return max(0.0, q * gain * (1.0 - (1.0 + f) * binary_entropy(qber)))


def key_length_bits(
    key_bits: float, test_bits: float, test_error: float, leakage_bits: float, eps_sec: float, eps_cor: float
) -> int:
    """Return the secret key of a finite block (Tomamichel et al. 2012, equations 2 and 3, ideal bases).

    `key_bits` sifted in the key basis, `test_bits` in the test basis with the error rate `test_error`,
    `leakage_bits` told in error correction. A whole number of bits, >= 0.
    """
    phase_error = phase_error_upper(key_bits, test_bits, test_error, eps_sec)
    secret = key_bits * (1.0 - binary_entropy(phase_error)) - leakage_bits
    return max(0, math.floor(secret - math.log2(2.0 / (eps_sec**2 * eps_cor))))


def phase_error_upper(key_bits: float, test_bits: float, test_error: float, eps_sec: float) -> float:
    """Bound the error rate that the key bits would have in the test basis, at most 1/2 (equation 2)."""
    if key_bits < 1.0 or test_bits < 1.0:
        return 0.5
    spread = (key_bits + test_bits) / (key_bits * test_bits) * (test_bits + 1.0) / test_bits
    return min(0.5, test_error + math.sqrt(spread * math.log(4.0 / eps_sec)))

"""Length of the secret key of a finite block of decoy-state BB84 with two decoys.

Source: C. C. W. Lim, M. Curty, N. Walenta, F. Xu, H. Zbinden, "Concise security bounds for practical
decoy-state quantum key distribution", Phys. Rev. A 89, 022307 (2014), equations 1 to 5. The paper's key
basis X is Z here and its test basis Z is X here; all three intensities enter the raw key. The result
is eps_sec-secret and eps_cor-correct against general attacks. Hoeffding's inequality bounds the counts.

Assumed by the paper and not modelled: the click probability does not depend on the receiver's basis,
and double clicks are kept with a random bit.
"""

import math
from collections.abc import Sequence

import msgspec

from qstrata.physics.counts import Counts, ExpectedCounts, expected_counts
from qstrata.physics.decoy_bb84 import binary_entropy
from qstrata.physics.parameters import LinkParameters

FAILURE_TERMS = 21
"""Into how many equal parts the paper splits eps_sec."""


class KeyEstimate(msgspec.Struct, frozen=True):
    """Hold what a block of counts proves.

    `s_z0_lower`, `s_z1_lower`: at least so many bits of the raw key came from pulses without and with
    one photon; `phase_error_upper`: at most this phase error rate of the latter (0 to 1/2);
    `leakage_bits` told in error correction; `length_bits` of secret key; `qber` of the raw key,
    None where it is empty.
    """

    s_z0_lower: float
    s_z1_lower: float
    phase_error_upper: float
    leakage_bits: int
    length_bits: int
    qber: float | None


class _Bounds(msgspec.Struct, frozen=True):
    vacuum: float
    single: float
    phase_error: float
    leakage: float

    @property
    def secret_bits(self) -> float:
        return self.vacuum + self.single * (1.0 - binary_entropy(self.phase_error)) - self.leakage


def key_length_bits(counts: Counts | ExpectedCounts, parameters: LinkParameters) -> KeyEstimate:
    """Return the length of the secret key that the counts of one block prove, and what it rests on.

    Only intensities, their probabilities, error-correction efficiency, eps_sec and eps_cor are read
    from `parameters`; what the channel did is taken from the counts alone. The length is a whole
    number of bits from 0 to the size of the raw key.
    """
    bounds = _bounds(counts, parameters, finite=True)
    raw_bits = sum(counts.n[0])
    leakage_bits = math.ceil(bounds.leakage)
    security_bits = 6.0 * math.log2(FAILURE_TERMS / parameters.eps_sec) + math.log2(2.0 / parameters.eps_cor)
    length_bits = math.floor(bounds.secret_bits - (leakage_bits - bounds.leakage) - security_bits)
    return KeyEstimate(
        s_z0_lower=bounds.vacuum,
        s_z1_lower=bounds.single,
        phase_error_upper=bounds.phase_error,
        leakage_bits=leakage_bits,
        length_bits=max(0, length_bits),
        qber=sum(counts.m[0]) / raw_bits if raw_bits else None,
    )


def asymptotic_length_rate(parameters: LinkParameters) -> float:
    """Return the limit of `key_length_bits` per pulse for a block without end, >= 0.

    The same estimator at the expected counts, without statistical deviations and security constants.
    """
    return max(0.0, _bounds(expected_counts(parameters, 1.0), parameters, finite=False).secret_bits)


def _bounds(counts: Counts | ExpectedCounts, parameters: LinkParameters, *, finite: bool) -> _Bounds:
    log_terms = math.log(FAILURE_TERMS / parameters.eps_sec) if finite else 0.0
    vacuum, single = _photon_bounds(counts.n[0], parameters, log_terms)
    _, single_test = _photon_bounds(counts.n[1], parameters, log_terms)
    phase_error = 0.5
    if single > 0.0 and single_test > 0.0:
        error_share = _single_photon_errors(counts.m[1], parameters, log_terms) / single_test
        if finite and error_share < 0.5:
            error_share += _sampling_gap(parameters.eps_sec, error_share, single_test, single)
        phase_error = min(0.5, error_share)
    raw_bits = sum(counts.n[0])
    leakage = 0.0
    if raw_bits:
        entropy = binary_entropy(min(0.5, sum(counts.m[0]) / raw_bits))
        leakage = parameters.error_correction_efficiency * raw_bits * entropy
    return _Bounds(vacuum=vacuum, single=single, phase_error=phase_error, leakage=leakage)


def _photon_bounds(
    clicks: Sequence[float], parameters: LinkParameters, log_terms: float
) -> tuple[float, float]:
    """Bound the clicks of vacuum and single-photon pulses of one basis from below (equations 2 and 3)."""
    mu_1, mu_2, mu_3 = parameters.intensities
    low, high = _deviated(clicks, parameters, log_terms)
    total = sum(clicks)
    tau_0 = _emission_probability(parameters, 0)
    vacuum = tau_0 * (mu_2 * low[2] - mu_3 * high[1]) / (mu_2 - mu_3)
    vacuum = min(max(0.0, vacuum), total)
    multi_photon = (mu_2**2 - mu_3**2) / mu_1**2 * (high[0] - vacuum / tau_0)
    single = _emission_probability(parameters, 1) * mu_1 * (low[1] - high[2] - multi_photon)
    single /= mu_1 * (mu_2 - mu_3) - mu_2**2 + mu_3**2
    return vacuum, min(max(0.0, single), total - vacuum)


def _single_photon_errors(errors: Sequence[float], parameters: LinkParameters, log_terms: float) -> float:
    """Bound the errors of single-photon pulses of one basis from above (equation 4)."""
    _, mu_2, mu_3 = parameters.intensities
    low, high = _deviated(errors, parameters, log_terms)
    return max(0.0, _emission_probability(parameters, 1) * (high[1] - low[2]) / (mu_2 - mu_3))


def _deviated(
    counts: Sequence[float], parameters: LinkParameters, log_terms: float
) -> tuple[list[float], list[float]]:
    """Return the paper's n_k^- and n_k^+: e^k/p_k times the counts less and plus Hoeffding's deviation."""
    total = sum(counts)
    deviation = math.sqrt(total / 2.0 * log_terms)
    scales = [
        math.exp(intensity) / probability
        for intensity, probability in zip(
            parameters.intensities, parameters.intensity_probabilities, strict=True
        )
    ]
    low = [scale * max(0.0, count - deviation) for scale, count in zip(scales, counts, strict=True)]
    high = [scale * min(total, count + deviation) for scale, count in zip(scales, counts, strict=True)]
    return low, high


def _emission_probability(parameters: LinkParameters, photons: int) -> float:
    """Return the paper's tau_n: the probability that the sender emits `photons` photons."""
    return sum(
        probability * math.exp(-intensity) * intensity**photons / math.factorial(photons)
        for intensity, probability in zip(
            parameters.intensities, parameters.intensity_probabilities, strict=True
        )
    )


def _sampling_gap(eps_sec: float, error_share: float, sampled: float, unseen: float) -> float:
    """Return the paper's gamma: how far the unseen part may exceed the sampled error share (equation 5).

    The Gaussian tail behind it fails where only a few errors were seen, and gives 0 for none. The share
    is therefore taken as ln(21/eps_sec) errors in the smaller part at least: so many can hide with
    probability eps_sec/21 from a sample that shows none.
    """
    hidden = math.log(FAILURE_TERMS / eps_sec) / min(sampled, unseen)
    share = min(0.5, max(error_share, hidden))
    variance = share * (1.0 - share)
    spread = (sampled + unseen) / (sampled * unseen)
    odds = math.log2(spread / variance * (FAILURE_TERMS / eps_sec) ** 2)
    return share - error_share + math.sqrt(max(0.0, spread * variance / math.log(2.0) * odds))

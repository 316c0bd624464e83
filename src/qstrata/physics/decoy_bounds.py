"""What the finite-size bounds of decoy-state BB84 share: Hoeffding deviations, Poisson weights, sampling.

Source: C. C. W. Lim, M. Curty, N. Walenta, F. Xu, H. Zbinden, Phys. Rev. A 89, 022307 (2014). `failure_terms`
is into how many equal parts a bound splits eps_sec; order of intensities: signal, weak, vacuum.
"""

import math
from collections.abc import Sequence

from qstrata.physics.parameters import LinkParameters


def deviated(
    counts: Sequence[float], parameters: LinkParameters, log_terms: float
) -> tuple[list[float], list[float]]:
    """Return n_k^- and n_k^+: e^k/p_k times the counts less and plus Hoeffding's deviation.

    `log_terms` is ln(failure terms / eps_sec), 0 without deviations. An intensity that is never sent gives 0.
    """
    total = sum(counts)
    deviation = math.sqrt(total / 2.0 * log_terms)
    scales = [
        math.exp(intensity) / probability if probability else 0.0
        for intensity, probability in zip(
            parameters.intensities, parameters.intensity_probabilities, strict=True
        )
    ]
    low = [scale * max(0.0, count - deviation) for scale, count in zip(scales, counts, strict=True)]
    high = [scale * min(total, count + deviation) for scale, count in zip(scales, counts, strict=True)]
    return low, high


def emission_probability(parameters: LinkParameters, photons: int) -> float:
    """Return tau_n: the probability that the sender emits `photons` photons, all intensities together."""
    return sum(
        probability * math.exp(-intensity) * intensity**photons / math.factorial(photons)
        for intensity, probability in zip(
            parameters.intensities, parameters.intensity_probabilities, strict=True
        )
    )


def sampling_gap(
    eps_sec: float, failure_terms: int, error_share: float, sampled: float, unseen: float
) -> float:
    """Return gamma: how far the unseen part may exceed the sampled error share (Lim et al., equation 5).

    The Gaussian tail behind it fails where only a few errors were seen, and gives 0 for none. The share
    is therefore taken as ln(terms/eps_sec) errors in the smaller part at least: so many can hide with
    probability eps_sec/terms from a sample that shows none.
    """
    hidden = math.log(failure_terms / eps_sec) / min(sampled, unseen)
    share = min(0.5, max(error_share, hidden))
    variance = share * (1.0 - share)
    spread = (sampled + unseen) / (sampled * unseen)
    odds = math.log2(spread / variance * (failure_terms / eps_sec) ** 2)
    return share - error_share + math.sqrt(max(0.0, spread * variance / math.log(2.0) * odds))

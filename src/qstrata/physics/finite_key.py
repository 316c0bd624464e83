"""Length of the secret key of a finite block of decoy-state BB84, with two decoys or with one.

Source of two decoys: C. C. W. Lim, M. Curty, N. Walenta, F. Xu, H. Zbinden, "Concise security bounds for
practical decoy-state quantum key distribution", Phys. Rev. A 89, 022307 (2014), equations 1 to 5. One decoy,
where the sender sends no vacuum pulses (`vacuum_probability` 0): `one_decoy`. The papers' key basis X is Z
here and the test basis Z is X here (of one decoy, the names are ours); all intensities enter the raw key.
The result is eps_sec-secret and eps_cor-correct against general attacks. Hoeffding's inequality bounds the
counts.

Assumed by the paper and not modelled: the click probability does not depend on the receiver's basis,
and double clicks are kept with a random bit.
"""

import math
from collections.abc import Sequence

import msgspec

from qstrata.physics import one_decoy
from qstrata.physics.counts import Counts, ExpectedCounts, expected_counts
from qstrata.physics.decoy_bb84 import binary_entropy
from qstrata.physics.decoy_bounds import deviated, emission_probability, sampling_gap
from qstrata.physics.key_estimates import PhotonEstimate
from qstrata.physics.parameters import LinkParameters

FAILURE_TERMS = 21
"""Into how many equal parts the paper splits eps_sec with two decoys."""


class _Bounds(msgspec.Struct, frozen=True):
    vacuum: float
    single: float
    phase_error: float
    leakage: float

    @property
    def secret_bits(self) -> float:
        return self.vacuum + self.single * (1.0 - binary_entropy(self.phase_error)) - self.leakage


def key_length_bits(counts: Counts | ExpectedCounts, parameters: LinkParameters) -> PhotonEstimate:
    """Return the length of the secret key that the counts of one block prove, and what it rests on.

    Only intensities, their probabilities, error-correction efficiency, eps_sec and eps_cor are read
    from `parameters`; what the channel did is taken from the counts alone. The length is a whole
    number of bits from 0 to the size of the raw key.
    """
    bounds = _bounds(counts, parameters, finite=True)
    raw_bits = sum(counts.n[0])
    leakage_bits = math.ceil(bounds.leakage)
    security_bits = 6.0 * math.log2(_terms(parameters) / parameters.eps_sec)
    security_bits += math.log2(2.0 / parameters.eps_cor)
    length_bits = math.floor(bounds.secret_bits - (leakage_bits - bounds.leakage) - security_bits)
    return PhotonEstimate(
        s_z0_lower=bounds.vacuum,
        s_z1_lower=bounds.single,
        phase_error_upper=bounds.phase_error,
        leakage_bits=leakage_bits,
        length_bits=max(0, length_bits),
        qber=sum(counts.m[0]) / raw_bits if raw_bits else None,
    )


def secret_length_bits(
    counts: Counts | ExpectedCounts, parameters: LinkParameters, disclosed_bits: int
) -> int:
    """Return the length of the secret key of a block of which `disclosed_bits` >= 0 were really told.

    As `key_length_bits`, with the parities and the hash that the ends told in place of the expected
    leakage and of the term of eps_cor: a hash of more than log2(2/eps_cor) bits keeps eps_cor. The errors
    of the key basis are read with one decoy alone, which bounds vacuum clicks by them: counts that do not
    have them yet give more than can be proved then. From 0 to the size of the raw key.
    """
    bounds = _bounds(counts, parameters, finite=True)
    security_bits = 6.0 * math.log2(_terms(parameters) / parameters.eps_sec)
    unknown_bits = bounds.secret_bits + bounds.leakage
    return max(0, math.floor(unknown_bits - disclosed_bits - security_bits))


def asymptotic_length_rate(parameters: LinkParameters) -> float:
    """Return the limit of `key_length_bits` per pulse for a block without end, >= 0.

    The same estimator at the expected counts, without statistical deviations and security constants.
    """
    return max(0.0, _bounds(expected_counts(parameters, 1.0), parameters, finite=False).secret_bits)


def _terms(parameters: LinkParameters) -> int:
    return FAILURE_TERMS if parameters.vacuum_probability else one_decoy.FAILURE_TERMS


def _bounds(counts: Counts | ExpectedCounts, parameters: LinkParameters, *, finite: bool) -> _Bounds:
    terms = _terms(parameters)
    log_terms = math.log(terms / parameters.eps_sec) if finite else 0.0
    vacuum, single = _photon_bounds(0, counts, parameters, log_terms)
    _, single_test = _photon_bounds(1, counts, parameters, log_terms)
    phase_error = 0.5
    if single > 0.0 and single_test > 0.0:
        error_share = _single_photon_errors(counts.m[1], parameters, log_terms) / single_test
        if finite and error_share < 0.5:
            error_share += sampling_gap(parameters.eps_sec, terms, error_share, single_test, single)
        phase_error = min(0.5, error_share)
    raw_bits = sum(counts.n[0])
    leakage = 0.0
    if raw_bits:
        entropy = binary_entropy(min(0.5, sum(counts.m[0]) / raw_bits))
        leakage = parameters.error_correction_efficiency * raw_bits * entropy
    return _Bounds(vacuum=vacuum, single=single, phase_error=phase_error, leakage=leakage)


def _photon_bounds(
    basis: int, counts: Counts | ExpectedCounts, parameters: LinkParameters, log_terms: float
) -> tuple[float, float]:
    """Bound the clicks of vacuum and single-photon pulses of one basis from below (equations 2 and 3)."""
    clicks = counts.n[basis]
    if not parameters.vacuum_probability:
        return one_decoy.photon_bounds(clicks, counts.m[basis], parameters, log_terms)
    mu_1, mu_2, mu_3 = parameters.intensities
    low, high = deviated(clicks, parameters, log_terms)
    total = sum(clicks)
    tau_0 = emission_probability(parameters, 0)
    vacuum = tau_0 * (mu_2 * low[2] - mu_3 * high[1]) / (mu_2 - mu_3)
    vacuum = min(max(0.0, vacuum), total)
    multi_photon = (mu_2**2 - mu_3**2) / mu_1**2 * (high[0] - vacuum / tau_0)
    single = emission_probability(parameters, 1) * mu_1 * (low[1] - high[2] - multi_photon)
    single /= mu_1 * (mu_2 - mu_3) - mu_2**2 + mu_3**2
    return vacuum, min(max(0.0, single), total - vacuum)


def _single_photon_errors(errors: Sequence[float], parameters: LinkParameters, log_terms: float) -> float:
    """Bound the errors of single-photon pulses of one basis from above (equation 4)."""
    if not parameters.vacuum_probability:
        return one_decoy.single_photon_errors(errors, parameters, log_terms)
    _, mu_2, mu_3 = parameters.intensities
    low, high = deviated(errors, parameters, log_terms)
    return max(0.0, emission_probability(parameters, 1) * (high[1] - low[2]) / (mu_2 - mu_3))

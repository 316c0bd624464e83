"""Bounds of decoy-state BB84 with one decoy: signal and weak pulses, no vacuum.

Source: D. Rusca, A. Boaron, F. Grünenfelder, A. Martin, H. Zbinden, "Finite-key analysis for the 1-decoy
state QKD protocol", Appl. Phys. Lett. 112, 171104 (2018), arXiv:1801.03443. Vacuum clicks are bounded from
above by the errors that they must make: half of them fall on the wrong detector.
"""

import math
from collections.abc import Sequence

from qstrata.physics.decoy_bounds import deviated, emission_probability
from qstrata.physics.parameters import LinkParameters

FAILURE_TERMS = 19
"""Into how many equal parts the paper splits eps_sec."""


def photon_bounds(
    clicks: Sequence[float], errors: Sequence[float], parameters: LinkParameters, log_terms: float
) -> tuple[float, float]:
    """Bound from below the clicks of one basis that came from vacuum and from single photons.

    `clicks` and `errors` are those of signal, weak and vacuum pulses in that basis, the last 0;
    `log_terms` is ln(19/eps_sec), 0 for a block without end.
    """
    mu_1, mu_2, _ = parameters.intensities
    low, high = deviated(clicks, parameters, log_terms)
    total = sum(clicks)
    tau_0 = emission_probability(parameters, 0)
    vacuum_upper = _vacuum_upper(errors, total, parameters, log_terms)
    vacuum = tau_0 / (mu_1 - mu_2) * (mu_1 * low[1] - mu_2 * high[0])
    vacuum = min(max(0.0, vacuum), vacuum_upper)
    single = emission_probability(parameters, 1) * mu_1 / (mu_2 * (mu_1 - mu_2))
    single *= low[1] - (mu_2 / mu_1) ** 2 * high[0] - (mu_1**2 - mu_2**2) / mu_1**2 * vacuum_upper / tau_0
    return vacuum, min(max(0.0, single), total - vacuum)


def single_photon_errors(errors: Sequence[float], parameters: LinkParameters, log_terms: float) -> float:
    """Bound from above the errors of one basis that came from single photons."""
    mu_1, mu_2, _ = parameters.intensities
    low, high = deviated(errors, parameters, log_terms)
    return max(0.0, emission_probability(parameters, 1) * (high[0] - low[1]) / (mu_1 - mu_2))


def _vacuum_upper(
    errors: Sequence[float], total: float, parameters: LinkParameters, log_terms: float
) -> float:
    """Bound the vacuum clicks from above; either intensity gives a bound, the smaller one holds."""
    _, high = deviated(errors, parameters, log_terms)
    deviation = math.sqrt(total / 2.0 * log_terms)
    tau_0 = emission_probability(parameters, 0)
    return min(total, *(2.0 * (tau_0 * high[intensity] + deviation) for intensity in (0, 1)))

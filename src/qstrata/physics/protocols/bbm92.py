"""BBM92 as a key protocol of links: a pulsed source of entangled pairs, and detectors at both ends.

The source stands at `source_position` along the fibre: 0 in the node of the first end (the transmitter,
which drives it), 1 in that of the second, 1/2 in the middle. Pulses are those of its pump, and a click is a
coincidence: both ends saw light. Double clicks of an end give a random bit, as the model of the source
assumes, and are not counted. Raman photons reach the detectors of each end that light reaches through the
fibre. Closed forms and their sources: `physics.bbm92`. Eve can intercept and re-send photons on their way to
one end (`decoy_bb84.intercepted_error`).
"""

import math
from typing import TYPE_CHECKING

from qstrata.physics import bbm92
from qstrata.physics.counts import Counts, ExpectedCounts
from qstrata.physics.decoy_bb84 import binary_entropy, intercepted_error
from qstrata.physics.fibre import transmittance
from qstrata.physics.key_estimates import PhotonEstimate
from qstrata.physics.parameters import (
    EPS_COR,
    EPS_SEC,
    ERROR_CORRECTION,
    INTERCEPT_RESEND,
    LOSS,
    RAMAN,
    ClickLinkParameters,
    Parameter,
    check_ranges,
)
from qstrata.physics.profiles import profile_of
from qstrata.physics.protocols.model import LinkProtocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TABLE = (
    Parameter("pulse_rate_hz", "pump pulses per second", "Hz", 1.0, 1e11),
    Parameter("pairs_per_pulse", "mean number of photon pairs of a pulse", "pairs/pulse", 1e-6, 2.0),
    Parameter("source_position", "where the source is: 0 at one end, 1/2 in the middle", "1", 0.0, 1.0),
    Parameter("eta_a", "efficiency of the first receiver, optics times detector", "1", 1e-4, 1.0),
    Parameter("eta_b", "efficiency of the second receiver", "1", 1e-4, 1.0),
    Parameter("y0_a", "background clicks per pulse of the first receiver", "1/pulse", 0.0, 0.01),
    Parameter("y0_b", "background clicks per pulse of the second receiver", "1/pulse", 0.0, 0.01),
    Parameter("e_d", "probability that a detected pair gives unequal bits", "1", 0.0, 0.5),
    Parameter("z_probability", "how often either end takes the key basis", "1", 0.01, 0.99),
    ERROR_CORRECTION,
    EPS_SEC,
    EPS_COR,
    LOSS,
    RAMAN,
    INTERCEPT_RESEND,
)

_MA = "X. Ma, C.-H. F. Fung, H.-K. Lo, Phys. Rev. A 76, 012307 (2007), table I"
_OURS = "chosen by qstrata"


class PairSourceParameters(ClickLinkParameters, frozen=True, kw_only=True):
    """Describe a link of BBM92: source, both receivers. Units and ranges stand in `TABLE`."""

    pairs_per_pulse: float
    source_position: float
    eta_a: float
    eta_b: float
    y0_a: float
    y0_b: float
    e_d: float
    z_probability: float
    intercept_resend_share: float = 0.0

    @property
    def protocol(self) -> "LinkProtocol[PairSourceParameters]":
        """Return BBM92."""
        return BBM92

    @property
    def seen_share(self) -> float:
        """Return the efficiency of the better receiver."""
        return max(self.eta_a, self.eta_b)

    @property
    def etas(self) -> tuple[float, float]:
        """Transmittances from the source to a click at either end: its part of the channel, its receiver."""
        return (
            self.eta_a * self._arm(self.source_position),
            self.eta_b * self._arm(1.0 - self.source_position),
        )

    @property
    def backgrounds(self) -> tuple[float, float]:
        """Clicks per pulse of either end without a pair: dark counts, stray light, Raman photons."""
        raman = self.raman_rate_hz / self.pulse_rate_hz
        position = self.source_position
        return self.y0_a + (raman if position > 0.0 else 0.0), self.y0_b + (raman if position < 1.0 else 0.0)

    @property
    def coincidences(self) -> tuple[float, float]:
        """Probability that a pulse gives a click at both ends, and the error rate of those in equal bases."""
        (eta_a, eta_b), (y0_a, y0_b) = self.etas, self.backgrounds
        e_d = intercepted_error(self.e_d, self.intercept_resend_share)
        gain = bbm92.coincidence_gain(eta_a, eta_b, self.pairs_per_pulse, y0_a, y0_b)
        return gain, bbm92.coincidence_qber(eta_a, eta_b, self.pairs_per_pulse, y0_a, y0_b, e_d)

    def _arm(self, share: float) -> float:
        return transmittance(self.loss_db * share) if share > 0.0 else 1.0


PROFILE = profile_of(
    PairSourceParameters,
    TABLE,
    "pair-source-100mhz",
    "Receivers as tabulated by Ma, Fung, Lo 2007 at both ends of a pair source pumped at 100 MHz",
    ("pulse_rate_hz", 100e6, _OURS),
    ("pairs_per_pulse", 0.05, _OURS),
    ("source_position", 0.5, _OURS),
    ("eta_a", 0.145, _MA),
    ("eta_b", 0.145, _MA),
    ("y0_a", 6.02e-6, _MA),
    ("y0_b", 6.02e-6, _MA),
    ("e_d", 0.015, _MA),
    ("z_probability", 0.7, _OURS),
    ("error_correction_efficiency", 1.22, _MA),
    ("eps_sec", 1e-10, _OURS),
    ("eps_cor", 1e-15, _OURS),
)


def outcome_probabilities(parameters: PairSourceParameters) -> "NDArray[np.float64]":
    """Return the probability of every outcome of one pump pulse, shape (1, 7), columns `counts.OUTCOMES`."""
    # Messages hold parameters, and commands that only speak to a running network must not wait for numpy.
    import numpy as np

    gain, qber = parameters.coincidences
    z, x = parameters.z_probability, 1.0 - parameters.z_probability
    right, wrong = gain * (1.0 - qber), gain * qber
    differ = z * x * gain
    row = (z * z * right, z * z * wrong, x * x * right, x * x * wrong, differ, differ, 1.0 - gain)
    return np.array([row])


def key_length(counts: Counts | ExpectedCounts, parameters: ClickLinkParameters) -> PhotonEstimate:
    """Return the secret key that one block of qubits or coincidences proves (Tomamichel et al. 2012)."""
    key_bits, test_bits = sum(counts.n[0]), sum(counts.n[1])
    test_error = sum(counts.m[1]) / test_bits if test_bits else 0.5
    qber = sum(counts.m[0]) / key_bits if key_bits else None
    efficiency = parameters.error_correction_efficiency
    leakage_bits = math.ceil(efficiency * key_bits * binary_entropy(min(0.5, qber or 0.0)))
    return PhotonEstimate(
        s_z0_lower=0.0,
        s_z1_lower=key_bits,
        phase_error_upper=bbm92.phase_error_upper(key_bits, test_bits, test_error, parameters.eps_sec),
        leakage_bits=leakage_bits,
        length_bits=bbm92.key_length_bits(
            key_bits, test_bits, test_error, leakage_bits, parameters.eps_sec, parameters.eps_cor
        ),
        qber=qber,
    )


def asymptotic_rate(parameters: PairSourceParameters) -> float:
    """Return the limit of the key per pump pulse for a block without end (Ma, Fung, Lo 2007, equation 11)."""
    gain, qber = parameters.coincidences
    return bbm92.asymptotic_rate(
        gain, qber, parameters.z_probability**2, parameters.error_correction_efficiency
    )


def check(parameters: PairSourceParameters) -> None:
    """Refuse figures outside physics; InputError names the figure and its range."""
    check_ranges(parameters, TABLE)


def no_double_clicks(parameters: PairSourceParameters) -> float:
    """Return 0: double clicks are kept with a random bit and not counted."""
    return 0.0


BBM92: LinkProtocol[PairSourceParameters] = LinkProtocol(
    name="bbm92",
    summary="BBM92 with a pulsed source of entangled photon pairs between the two ends",
    source="Ma, Fung, Lo 2007 (model of the source), Tomamichel et al. 2012 (finite size)",
    table=TABLE,
    profiles=(PROFILE,),
    check=check,
    outcome_probabilities=outcome_probabilities,
    double_click_probability=no_double_clicks,
    key_length=key_length,
    asymptotic_rate=asymptotic_rate,
)

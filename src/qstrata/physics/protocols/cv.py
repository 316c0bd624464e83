"""Gaussian-modulated coherent states as a key protocol of links (CV-QKD), with reverse reconciliation.

The receiver measures one quadrature of each symbol (homodyne) or both (heterodyne). Of some symbols both
ends disclose what they sent and measured, and estimate the channel from them; the others make key. Closed
forms and their sources: `physics.cv_qkd`.

The key of a block is secret against collective attacks but for `eps_sec`, of which one third each is the
failure of smoothing, of the estimate and of privacy amplification; both keys are equal but for `eps_cor`. Eve
can intercept and re-send a share of the symbols: the noise that the ends estimate is that of the mixture,
which is drawn as if it were normal. Raman photons are taken as if all were in the mode that is measured.
"""

import math
from statistics import NormalDist

from qstrata.core.errors import InputError
from qstrata.physics import cv_qkd
from qstrata.physics.cv_qkd import Receiver
from qstrata.physics.fibre import transmittance
from qstrata.physics.key_estimates import GaussianEstimate
from qstrata.physics.parameters import (
    EPS_COR,
    EPS_SEC,
    INTERCEPT_RESEND,
    LOSS,
    RAMAN,
    KeyLinkParameters,
    Parameter,
    check_ranges,
)
from qstrata.physics.profiles import profile_of
from qstrata.physics.protocols.gaussian import QuadratureProtocol
from qstrata.physics.quadratures import ExpectedQuadratures, GaussianLaw, Quadratures, estimate

FAILURE_TERMS = 3
"""Into how many equal parts eps_sec is split."""

TABLE = (
    Parameter("pulse_rate_hz", "symbols sent per second", "Hz", 1.0, 1e11),
    Parameter("modulation_variance", "variance of each modulated quadrature", "shot noise", 0.01, 100.0),
    Parameter("excess_noise", "noise of the channel, at its input", "shot noise", 0.0, 1.0),
    Parameter("eta_bob", "efficiency of the receiver, optics times detector", "1", 1e-4, 1.0),
    Parameter("electronic_noise", "noise of the receiver's electronics", "shot noise", 0.0, 1.0),
    Parameter("quadratures", "measured of each symbol: 1 homodyne, 2 heterodyne", "1", 1.0, 2.0),
    Parameter("trusted_receiver", "1: its loss and noise are not Eve's; 0: they are", "1", 0.0, 1.0),
    Parameter("reconciliation_efficiency", "share of the common information that is used", "1", 0.5, 1.0),
    Parameter("test_share", "share of the symbols disclosed to estimate the channel", "1", 0.01, 0.99),
    EPS_SEC,
    EPS_COR,
    LOSS,
    RAMAN,
    INTERCEPT_RESEND,
)

_OURS = "chosen by qstrata"
_USUAL = "chosen by qstrata: as in usual examples of trusted heterodyne receivers"


class CoherentStateParameters(KeyLinkParameters, frozen=True, kw_only=True):
    """Describe a link of CV-QKD: modulator, coherent receiver. Units and ranges stand in `TABLE`."""

    modulation_variance: float
    excess_noise: float
    eta_bob: float
    electronic_noise: float
    quadratures: float
    trusted_receiver: float
    reconciliation_efficiency: float
    test_share: float
    intercept_resend_share: float = 0.0

    @property
    def protocol(self) -> "QuadratureProtocol[CoherentStateParameters]":
        """Return CV-QKD."""
        return CV_QKD

    @property
    def seen_share(self) -> float:
        """Return the efficiency of the receiver."""
        return self.eta_bob

    @property
    def transmittance(self) -> float:
        """Transmittance of the channel."""
        return transmittance(self.loss_db)

    @property
    def receiver(self) -> Receiver:
        """The receiver alone."""
        trusted = self.trusted_receiver >= 0.5
        return Receiver(round(self.quadratures), self.eta_bob, self.electronic_noise, trusted)

    @property
    def channel_noise(self) -> float:
        """Excess noise of the channel at its input, with what Eve adds, in units of shot noise."""
        return self.excess_noise + self.intercept_resend_share * cv_qkd.INTERCEPT_RESEND_NOISE

    @property
    def scattered_noise(self) -> float:
        """Noise of Raman photons in a result, in units of shot noise: n photons in a mode add 2 n to both."""
        return 2.0 * self.raman_rate_hz / self.pulse_rate_hz / round(self.quadratures)


PROFILE = profile_of(
    CoherentStateParameters,
    TABLE,
    "heterodyne-10mhz",
    "Gaussian modulation at 10 MHz and a trusted heterodyne receiver",
    ("pulse_rate_hz", 10e6, _OURS),
    ("modulation_variance", 4.0, _USUAL),
    ("excess_noise", 0.01, _USUAL),
    ("eta_bob", 0.6, _USUAL),
    ("electronic_noise", 0.05, _USUAL),
    ("quadratures", 2.0, _USUAL),
    ("trusted_receiver", 1.0, _USUAL),
    ("reconciliation_efficiency", 0.95, _USUAL),
    ("test_share", 0.3, f"{_OURS}: near the longest key of a 60 s block at 10 dB"),
    ("eps_sec", 1e-10, f"{_OURS}: a usual secrecy level per block"),
    ("eps_cor", 1e-15, f"{_OURS}: a usual correctness level per block"),
)


def law(parameters: CoherentStateParameters) -> GaussianLaw:
    """Return how the disclosed quadratures of a link are distributed."""
    t, by = parameters.transmittance, parameters.receiver
    return GaussianLaw(
        quadratures=by.quadratures,
        test_share=parameters.test_share,
        variance=parameters.modulation_variance,
        gain=by.gain(t),
        noise=by.noise(t, parameters.channel_noise) + parameters.scattered_noise,
    )


def key_length(
    tally: Quadratures | ExpectedQuadratures, parameters: CoherentStateParameters
) -> GaussianEstimate:
    """Return the secret key that the disclosed quadratures of one block prove (Leverrier et al. 2010).

    Gain and noise are worst but for a third of eps_sec, also where few values were tested; what the ends have
    in common is taken as estimated. Of the link only what its own devices are is read: the channel is what
    the tally says.
    """
    by, variance = parameters.receiver, parameters.modulation_variance
    symbols = tally.key_values / by.quadratures
    found = estimate(tally)
    eps = parameters.eps_sec / FAILURE_TERMS
    errors = -NormalDist().inv_cdf(eps / 2.0)
    # A sum of few squares is small more often than a normal law says: the noise that makes it so is sought.
    rest = 1.0 - errors * math.sqrt(2.0 / max(1.0, tally.tested_values))
    if found is None or rest <= 0.0 or symbols < 1.0:
        return _none(tally)
    least_gain = found.gain - errors * found.gain_error / math.sqrt(rest)
    if least_gain <= 0.0:
        return _none(tally)
    least = by.channel(least_gain, found.noise / rest)
    signal = found.gain**2 * variance / max(found.noise, 1.0 + by.v_el)
    common = by.quadratures / 2.0 * math.log2(1.0 + signal)
    shared = cv_qkd.reconciled(common, by, parameters.reconciliation_efficiency)
    per_symbol = shared - cv_qkd.holevo_bound(variance, *least, by)
    per_symbol -= cv_qkd.smoothing_loss(by.quadratures, symbols, eps)
    security_bits = 2.0 * math.log2(1.0 / eps) + math.log2(2.0 / parameters.eps_cor)
    return GaussianEstimate(
        leakage_bits=max(0, math.ceil(symbols * (by.quadratures - shared))),
        length_bits=max(0, math.floor(symbols * per_symbol - security_bits)),
        qber=None,
        transmittance_lower=least[0],
        excess_noise_upper=least[1],
    )


def asymptotic_rate(parameters: CoherentStateParameters) -> float:
    """Return the limit of the key per symbol for a block without end: of those that are not disclosed."""
    t, by = parameters.transmittance, parameters.receiver
    if t <= cv_qkd.DARK:
        return 0.0
    noise = by.channel(by.gain(t), law(parameters).noise)[1]
    beta = parameters.reconciliation_efficiency
    per_symbol = cv_qkd.devetak_winter(parameters.modulation_variance, t, noise, by, beta)
    return max(0.0, (1.0 - parameters.test_share) * per_symbol)


def check(parameters: CoherentStateParameters) -> None:
    """Refuse figures outside physics; InputError names the figure and its range."""
    check_ranges(parameters, TABLE)
    for name in ("quadratures", "trusted_receiver"):
        if getattr(parameters, name) % 1.0:
            raise InputError(f"link parameter {name} is {getattr(parameters, name):g}: give a whole number")


def _none(tally: Quadratures | ExpectedQuadratures) -> GaussianEstimate:
    raw_bits = math.ceil(tally.key_values)
    return GaussianEstimate(
        leakage_bits=raw_bits, length_bits=0, qber=None, transmittance_lower=0.0, excess_noise_upper=math.inf
    )


CV_QKD: QuadratureProtocol[CoherentStateParameters] = QuadratureProtocol(
    name="cv-qkd",
    summary="Gaussian-modulated coherent states with reverse reconciliation (CV-QKD)",
    source="Fossier et al. 2009 (Holevo bound), Leverrier et al. 2010 (finite size, collective attacks)",
    table=TABLE,
    profiles=(PROFILE,),
    check=check,
    law=law,
    key_length=key_length,
    asymptotic_rate=asymptotic_rate,
)

"""A key protocol as another package would bring it: BB84 with a source of single photons."""

import numpy as np

from qstrata.physics import bbm92
from qstrata.physics.fibre import transmittance
from qstrata.physics.parameters import (
    EPS_COR,
    EPS_SEC,
    ERROR_CORRECTION,
    LOSS,
    RAMAN,
    ClickLinkParameters,
    Parameter,
    check_ranges,
)
from qstrata.physics.profiles import profile_of
from qstrata.physics.protocols.bbm92 import key_length, no_double_clicks
from qstrata.physics.protocols.model import LinkProtocol

TABLE = (
    Parameter("pulse_rate_hz", "photons sent per second", "Hz", 1.0, 1e11),
    Parameter("eta_bob", "efficiency of the receiver", "1", 1e-4, 1.0),
    Parameter("dark_yield", "background clicks per pulse", "1/pulse", 0.0, 0.01),
    Parameter("z_probability", "how often either end takes the key basis", "1", 0.01, 0.99),
    ERROR_CORRECTION,
    EPS_SEC,
    EPS_COR,
    LOSS,
    RAMAN,
)


class SinglePhotons(ClickLinkParameters, frozen=True, kw_only=True):
    eta_bob: float
    dark_yield: float
    z_probability: float

    @property
    def protocol(self):
        return SINGLE_PHOTONS

    @property
    def seen_share(self):
        return self.eta_bob

    @property
    def clicks(self):
        eta = self.eta_bob * transmittance(self.loss_db)
        dark = (self.dark_yield + self.raman_rate_hz / self.pulse_rate_hz) * (1.0 - eta)
        return dark + eta, dark / 2.0 / (dark + eta)


def outcomes(link):
    gain, qber = link.clicks
    z, x = link.z_probability, 1.0 - link.z_probability
    right, wrong = gain * (1.0 - qber), gain * qber
    return np.array(
        [[z * z * right, z * z * wrong, x * x * right, x * x * wrong, x * z * gain, z * x * gain, 1.0 - gain]]
    )


def rate(link):
    gain, qber = link.clicks
    return bbm92.asymptotic_rate(gain, qber, link.z_probability**2, link.error_correction_efficiency)


SINGLE_PHOTONS = LinkProtocol(
    name="single-photons",
    summary="BB84 with a source of single photons",
    source="Tomamichel et al. 2012",
    table=TABLE,
    profiles=(
        profile_of(
            SinglePhotons,
            TABLE,
            "dots",
            "A quantum dot and two detectors",
            ("pulse_rate_hz", 1e7, "chosen"),
            ("eta_bob", 0.1, "chosen"),
            ("dark_yield", 1e-6, "chosen"),
            ("z_probability", 0.7, "chosen"),
            ("error_correction_efficiency", 1.2, "chosen"),
            ("eps_sec", 1e-10, "chosen"),
            ("eps_cor", 1e-15, "chosen"),
        ),
    ),
    check=lambda link: check_ranges(link, TABLE),
    outcome_probabilities=outcomes,
    double_click_probability=no_double_clicks,
    key_length=key_length,
    asymptotic_rate=rate,
)

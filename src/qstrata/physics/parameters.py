"""What describes a link that makes key, and one of decoy-state BB84: parameters, units and ranges."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from qstrata.core.errors import InputError, InternalError
from qstrata.physics.fibre import transmittance

if TYPE_CHECKING:
    from qstrata.physics.protocols.base import KeyProtocol
    from qstrata.physics.protocols.model import LinkProtocol

PROBABILITY_TOLERANCE = 1e-9


class KeyLinkParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Describe what links of all key protocols have; what one protocol needs besides stands in a subclass.

    `loss_db` of the whole channel is infinite where it is cut. Attacks are shares of the pulses or of the
    light (0 to 1); a protocol has fields for those that it can be under.
    """

    pulse_rate_hz: float
    eps_sec: float
    eps_cor: float
    loss_db: float
    raman_rate_hz: float = 0.0

    @property
    def protocol(self) -> "KeyProtocol[Any]":
        """Return the protocol that these are parameters of."""
        raise NotImplementedError

    @property
    def seen_share(self) -> float:
        """Return the probability that a photon behind the fibre is detected (0 to 1)."""
        raise NotImplementedError


class ClickLinkParameters(KeyLinkParameters, frozen=True, kw_only=True):
    """Describe what links have whose detectors click."""

    error_correction_efficiency: float

    @property
    def protocol(self) -> "LinkProtocol[Any]":
        """Return the protocol that these are parameters of."""
        raise NotImplementedError


class LinkParameters(ClickLinkParameters, frozen=True, kw_only=True):
    """Describe a link of decoy-state BB84: source, receiver. Units and ranges stand in `PARAMETERS`."""

    signal_intensity: float
    weak_intensity: float
    vacuum_intensity: float
    signal_probability: float
    weak_probability: float
    vacuum_probability: float
    sender_z_probability: float
    receiver_z_probability: float
    eta_bob: float
    y0: float
    e_d: float
    dead_time_ns: float = 0.0
    afterpulse_probability: float = 0.0
    intercept_resend_share: float = 0.0
    splitting_share: float = 0.0
    blinding_share: float = 0.0
    tap_share: float = 0.0
    mismatch_share: float = 0.0
    time_shift_share: float = 0.0
    trojan_photons: float = 0.0
    efficiency_ratio: float = 0.25
    shift_ps: float = 150.0
    jitter_fwhm_ps: float = 100.0
    window_ps: float = 500.0
    watch_efficiency: float = 0.01
    watch_dark_rate_hz: float = 1000.0

    @property
    def protocol(self) -> "LinkProtocol[LinkParameters]":
        """Return decoy-state BB84."""
        # It is made of functions of these parameters.
        from qstrata.physics.protocols.decoy import DECOY_BB84

        return DECOY_BB84

    @property
    def seen_share(self) -> float:
        """Return the efficiency of the receiver."""
        return self.eta_bob

    @property
    def intensities(self) -> tuple[float, float, float]:
        """Mean photon numbers per pulse: signal, weak, vacuum."""
        return self.signal_intensity, self.weak_intensity, self.vacuum_intensity

    @property
    def intensity_probabilities(self) -> tuple[float, float, float]:
        """How often the sender chooses each intensity: signal, weak, vacuum."""
        return self.signal_probability, self.weak_probability, self.vacuum_probability

    @property
    def eta(self) -> float:
        """Transmittance from the sender's output to a click: channel, what a tap leaves, receiver."""
        return self.eta_bob * transmittance(self.loss_db) * (1.0 - self.tap_share)

    @property
    def background(self) -> float:
        """Clicks per pulse without light of the sender: dark counts, stray light, Raman photons."""
        return self.y0 + self.raman_rate_hz / self.pulse_rate_hz


class Parameter(msgspec.Struct, frozen=True):
    """Say what one figure of a protocol means, in which unit, from where to where."""

    name: str
    meaning: str
    unit: str
    minimum: float
    maximum: float


ERROR_CORRECTION = Parameter(
    "error_correction_efficiency", "leaked bits per bit of the Shannon limit", "1", 1.0, 3.0
)
EPS_SEC = Parameter("eps_sec", "secrecy failure probability of a block", "1", 1e-30, 0.01)
EPS_COR = Parameter("eps_cor", "probability that the two keys of a block differ", "1", 1e-30, 0.01)
LOSS = Parameter("loss_db", "loss of the channel between sender and receiver", "dB", 0.0, 200.0)
RAMAN = Parameter(
    "raman_rate_hz", "clicks per second by photons that classical channels scatter", "1/s", 0.0, 1e7
)
INTERCEPT_RESEND = Parameter(
    "intercept_resend_share", "share of the pulses that Eve measures and re-sends", "1", 0.0, 1.0
)

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("pulse_rate_hz", "pulses sent per second", "Hz", 1.0, 1e11),
    Parameter("signal_intensity", "mean photon number of a signal pulse", "photons/pulse", 1e-3, 2.0),
    Parameter("weak_intensity", "mean photon number of a weak decoy pulse", "photons/pulse", 1e-4, 1.0),
    Parameter("vacuum_intensity", "mean photon number of a vacuum decoy pulse", "photons/pulse", 0.0, 0.1),
    Parameter("signal_probability", "share of signal pulses", "1", 1e-3, 0.998),
    Parameter("weak_probability", "share of weak decoy pulses", "1", 1e-3, 0.998),
    Parameter("vacuum_probability", "share of vacuum decoy pulses; 0: one decoy", "1", 0.0, 0.998),
    Parameter("sender_z_probability", "how often the sender takes the key basis Z", "1", 0.01, 0.99),
    Parameter("receiver_z_probability", "how often the receiver takes the key basis Z", "1", 0.01, 0.99),
    Parameter("eta_bob", "efficiency of the receiver, optics times detector", "1", 1e-4, 1.0),
    Parameter("y0", "background clicks per pulse, all detectors together", "1/pulse", 0.0, 0.01),
    Parameter("e_d", "probability that a photon hits the wrong detector", "1", 0.0, 0.5),
    ERROR_CORRECTION,
    EPS_SEC,
    EPS_COR,
    LOSS,
    RAMAN,
    Parameter("dead_time_ns", "how long a detector is dead after a click", "ns", 0.0, 1e6),
    Parameter("afterpulse_probability", "that a detector clicks of itself after that", "1", 0.0, 0.3),
    INTERCEPT_RESEND,
    Parameter(
        "splitting_share", "share of the pulses whose photons Eve counts and splits off", "1", 0.0, 1.0
    ),
    Parameter("blinding_share", "share of the pulses during which Eve rules the detectors", "1", 0.0, 1.0),
    Parameter("tap_share", "share of the light that Eve takes out of the fibre", "1", 0.0, 1.0),
    Parameter("mismatch_share", "share of the pulses that Eve shifts towards one detector", "1", 0.0, 1.0),
    Parameter("time_shift_share", "share that she shifts towards either detector at random", "1", 0.0, 1.0),
    Parameter("trojan_photons", "photons that Eve sends into the transmitter", "photons/pulse", 0.0, 1e12),
    Parameter(
        "efficiency_ratio",
        "efficiency of one detector in units of the other's, for shifted pulses",
        "1",
        0.0,
        1.0,
    ),
    Parameter("shift_ps", "how far a pulse is shifted to find the detectors so", "ps", 0.0, 1e6),
    Parameter("jitter_fwhm_ps", "spread of clicks in time, full width at half maximum", "ps", 0.0, 1e5),
    Parameter("window_ps", "how long around its instant a click counts for a pulse", "ps", 1.0, 1e6),
    Parameter(
        "watch_efficiency", "that light into the transmitter makes its watch detector click", "1", 0.0, 1.0
    ),
    Parameter("watch_dark_rate_hz", "dark counts of the watch detector", "1/s", 0.0, 1e7),
)


def check_ranges(parameters: KeyLinkParameters, table: Iterable[Parameter]) -> None:
    """Refuse figures outside the ranges of a protocol's table.

    Raises InputError for a value that is not a number or outside its range, naming both, and what the default
    profile says with its source.
    """
    for parameter in table:
        value = getattr(parameters, parameter.name)
        if not (math.isfinite(value) and parameter.minimum <= value <= parameter.maximum):
            raise InputError(
                f"link parameter {parameter.name} ({parameter.meaning}) is {value!r}: "
                f"give a number from {parameter.minimum:g} to {parameter.maximum:g} {parameter.unit}"
                f"{_usual(parameters, parameter.name)}"
            )


def _usual(parameters: KeyLinkParameters, name: str) -> str:
    fields = parameters.protocol.profile().fields
    return next((f"; usual: {field.value:g} ({field.source})" for field in fields if field.name == name), "")


def clicking(parameters: KeyLinkParameters) -> ClickLinkParameters:
    """Return the parameters of a link that must be one of clicks; InternalError for another."""
    if not isinstance(parameters, ClickLinkParameters):
        raise InternalError(f"a link of {parameters.protocol.name} is taken for one of clicks")
    return parameters


def decoy(parameters: KeyLinkParameters) -> LinkParameters:
    """Return the parameters of a link that must be one of decoy-state BB84; InternalError for another."""
    if not isinstance(parameters, LinkParameters):
        raise InternalError(f"a link of {parameters.protocol.name} is taken for one of decoy-bb84")
    return parameters


def check_parameters(parameters: LinkParameters) -> None:
    """Refuse a link that is out of range or that the decoy bounds do not cover.

    Raises InputError: a value that is not a number or outside its range; intensities that do not obey
    signal > weak + vacuum and weak > vacuum (condition of Lim et al. 2014); probabilities of the
    intensities that do not add up to 1.
    """
    check_ranges(parameters, PARAMETERS)
    signal, weak, vacuum = parameters.intensities
    if not (weak > vacuum and signal > weak + vacuum):
        raise InputError(
            f"intensities {signal:g}, {weak:g}, {vacuum:g} photons/pulse give no decoy bounds: "
            "choose signal > weak + vacuum and weak > vacuum"
        )
    total = math.fsum(parameters.intensity_probabilities)
    if abs(total - 1.0) > PROBABILITY_TOLERANCE:
        raise InputError(
            f"signal_probability + weak_probability + vacuum_probability is {total:g}: make them add up to 1"
        )

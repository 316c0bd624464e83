"""What describes one decoy-state BB84 link: the parameters, their units and ranges."""

import math

import msgspec

from qstrata.core.errors import InputError
from qstrata.physics.fibre import transmittance

PROBABILITY_TOLERANCE = 1e-9


class LinkParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a link: source, channel, receiver, security. Units and ranges stand in `PARAMETERS`."""

    pulse_rate_hz: float
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
    error_correction_efficiency: float
    eps_sec: float
    eps_cor: float
    loss_db: float
    raman_rate_hz: float = 0.0
    dead_time_ns: float = 0.0
    afterpulse_probability: float = 0.0
    intercept_resend_share: float = 0.0
    splitting_share: float = 0.0
    blinding_share: float = 0.0
    tap_share: float = 0.0

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
    """Say what one field of `LinkParameters` means, in which unit, from where to where."""

    name: str
    meaning: str
    unit: str
    minimum: float
    maximum: float


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
    Parameter("error_correction_efficiency", "leaked bits per bit of the Shannon limit", "1", 1.0, 3.0),
    Parameter("eps_sec", "secrecy failure probability of a block", "1", 1e-30, 0.01),
    Parameter("eps_cor", "probability that the two keys of a block differ", "1", 1e-30, 0.01),
    Parameter("loss_db", "loss of the channel between sender and receiver", "dB", 0.0, 200.0),
    Parameter(
        "raman_rate_hz", "clicks per second by photons that classical channels scatter", "1/s", 0.0, 1e7
    ),
    Parameter("dead_time_ns", "how long a detector is dead after a click", "ns", 0.0, 1e6),
    Parameter("afterpulse_probability", "that a detector clicks of itself after that", "1", 0.0, 0.3),
    Parameter("intercept_resend_share", "share of the pulses that Eve measures and re-sends", "1", 0.0, 1.0),
    Parameter(
        "splitting_share", "share of the pulses whose photons Eve counts and splits off", "1", 0.0, 1.0
    ),
    Parameter("blinding_share", "share of the pulses during which Eve rules the detectors", "1", 0.0, 1.0),
    Parameter("tap_share", "share of the light that Eve takes out of the fibre", "1", 0.0, 1.0),
)


def check_parameters(parameters: LinkParameters) -> None:
    """Refuse a link that is out of range or that the decoy bounds do not cover.

    Raises InputError: a value that is not a number or outside its range; intensities that do not obey
    signal > weak + vacuum and weak > vacuum (condition of Lim et al. 2014); probabilities of the
    intensities that do not add up to 1.
    """
    for parameter in PARAMETERS:
        value = getattr(parameters, parameter.name)
        if not (math.isfinite(value) and parameter.minimum <= value <= parameter.maximum):
            raise InputError(
                f"link parameter {parameter.name} ({parameter.meaning}) is {value!r}: "
                f"give a number from {parameter.minimum:g} to {parameter.maximum:g} {parameter.unit}"
            )
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

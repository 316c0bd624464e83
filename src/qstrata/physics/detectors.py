"""Single-photon detectors: what they make of photons, and what they add and leave out.

A receiver has two detectors behind an active choice of basis, one for each bit. After a click a detector
is dead for `dead_time_ns`, whatever falls on it (non-paralysable); with `afterpulse_probability` it clicks of
itself at the first pulse after that. The pulses between two clicks of one detector are a renewal process,
so that its rate has a closed form; without after-pulses it is m = n/(1 + n tau). Source: G. F. Knoll,
"Radiation Detection and Measurement", chapter 4; after-pulses: S. Cova, A. Lacaita, G. Ripamonti, IEEE
Electron Device Lett. 12, 685 (1991), their release from traps taken as all at once.
"""

import math

import msgspec

from qstrata.core.errors import InputError

DETECTORS = 2
"""One for each bit."""

FWHM_IN_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


class DetectorParameter(msgspec.Struct, frozen=True):
    """Say what one figure of a detector means: unit, range, default and where the default comes from."""

    name: str
    meaning: str
    unit: str
    minimum: float
    maximum: float
    default: float
    source: str


_INGAAS = (
    "usual for gated InGaAs avalanche diodes: J. Zhang, M. A. Itzler, H. Zbinden, J.-W. Pan, "
    "Light: Sci. Appl. 4, e286 (2015)"
)

DETECTOR_PARAMETERS: tuple[DetectorParameter, ...] = (
    DetectorParameter("efficiency", "probability that a photon makes it click", "1", 1e-4, 1.0, 0.2, _INGAAS),
    DetectorParameter(
        "dark_count_rate_hz", "clicks per second in the dark", "1/s", 0.0, 1e7, 1000.0, _INGAAS
    ),
    DetectorParameter("dead_time_ns", "how long it is dead after a click", "ns", 0.0, 1e6, 100.0, _INGAAS),
    DetectorParameter(
        "afterpulse_probability", "that it clicks of itself when it lives again", "1", 0.0, 0.3, 0.01, _INGAAS
    ),
    DetectorParameter(
        "jitter_fwhm_ps",
        "spread of its clicks in time, full width at half maximum",
        "ps",
        0.0,
        1e5,
        100.0,
        _INGAAS,
    ),
    DetectorParameter(
        "window_ps",
        "how long around its instant a click counts for a pulse",
        "ps",
        1.0,
        1e6,
        500.0,
        "chosen by qstrata: half a period at 1 GHz",
    ),
)


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """Describe each of the detectors of a receiver; units, ranges and sources in `DETECTOR_PARAMETERS`."""

    efficiency: float = 0.2
    dark_count_rate_hz: float = 1000.0
    dead_time_ns: float = 100.0
    afterpulse_probability: float = 0.01
    jitter_fwhm_ps: float = 100.0
    window_ps: float = 500.0

    @property
    def window_share(self) -> float:
        """Share of the clicks of a pulse that fall into its window, for jitter of Gaussian shape (0 to 1)."""
        if not self.jitter_fwhm_ps:
            return 1.0
        sigma_ps = self.jitter_fwhm_ps / FWHM_IN_SIGMA
        return math.erf(self.window_ps / 2.0 / (sigma_ps * math.sqrt(2.0)))

    @property
    def seen_share(self) -> float:
        """Probability that a photon makes a click that counts for its pulse (0 to 1)."""
        return self.efficiency * self.window_share

    @property
    def dark_yield(self) -> float:
        """Dark clicks per pulse, all detectors together."""
        return DETECTORS * self.dark_count_rate_hz * self.window_ps * 1e-12


def check_detector(detector: Detector) -> None:
    """Refuse a detector with a figure that is not a number or out of range; InputError names it."""
    for parameter in DETECTOR_PARAMETERS:
        value = getattr(detector, parameter.name)
        if not (math.isfinite(value) and parameter.minimum <= value <= parameter.maximum):
            raise InputError(
                f"detector figure {parameter.name} ({parameter.meaning}) is {value!r}: "
                f"give a number from {parameter.minimum:g} to {parameter.maximum:g} {parameter.unit}"
            )


class Response(msgspec.Struct, frozen=True):
    """Say what detectors make of the clicks that would be.

    `live_share` of them are recorded (0 to 1), and `afterpulses` clicks per pulse are added.
    """

    live_share: float
    afterpulses: float


def dead_pulses(dead_time_ns: float, pulse_rate_hz: float) -> int:
    """Return how many pulses a detector misses after a click: those within its dead time."""
    return math.floor(dead_time_ns * 1e-9 * pulse_rate_hz + 1e-9)


def response(clicks: float, dead: int, afterpulse_probability: float) -> Response:
    """Return what the two detectors make of `clicks` per pulse (0 to 1), half on either.

    A cycle of one detector, from click to click, lasts the `dead` pulses, and one more with the probability
    of an after-pulse; otherwise as long as a click lets itself be waited for.
    """
    if clicks <= 0.0:
        return Response(1.0, 0.0)
    each = clicks / DETECTORS
    cycle = dead + afterpulse_probability + (1.0 - afterpulse_probability) / each
    recorded = DETECTORS / cycle
    return Response((1.0 - afterpulse_probability) * recorded / clicks, afterpulse_probability * recorded)

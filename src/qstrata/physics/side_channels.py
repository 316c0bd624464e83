"""What Eve does to devices rather than to photons: pulses shifted in time, and light into the transmitter.

- time shift: the two detectors of a receiver are not equally efficient all the time. A pulse that comes
  `shift_ps` early or late finds one of them `efficiency_ratio` as efficient as the other, so that a click
  tells Eve the likelier bit. Shifted all to one side (`mismatch_share`) bits lean that way; to either side at
  random (`time_shift_share`) they do not. She replaces fibre by a better one, so that signal pulses click as
  often as before, as far as the loss of the channel goes. B. Qi, C.-H. F. Fung, H.-K. Lo, X. Ma, Quantum Inf.
  Comput. 7, 73 (2007); Y. Zhao et al., Phys. Rev. A 78, 042333 (2008).
- Trojan horse: Eve sends `trojan_photons` per pulse into the transmitter, and reads its settings in what is
  reflected. N. Gisin et al., Phys. Rev. A 73, 022320 (2006); M. Lucamarini et al., Phys. Rev. X 5, 031030
  (2015).

What devices see of these: which detector clicked, when within the window of the pulse, and, of a transmitter,
the clicks of a watch detector on what comes in from the fibre (Poisson: light and its own dark counts).
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from qstrata.physics.attacks import click_cells
from qstrata.physics.detectors import FWHM_IN_SIGMA, Response, dead_pulses, response
from qstrata.physics.fibre import transmittance
from qstrata.physics.parameters import LinkParameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OUTER = 0.5
"""The outer part of a window: a quarter of it at either end, where few clicks of light fall."""


class DeviceOdds(NamedTuple):
    """Probabilities per pulse: clicks of the detector of bit 1, clicks off centre, clicks of the watch."""

    one: float = 0.0
    outer: float = 0.0
    watch: float = 0.0


NOTHING_SEEN = DeviceOdds()
"""Of devices that tell none of these."""


class Side(NamedTuple):
    """A share of the pulses: whether they come shifted, and the link as either detector (0, 1) sees it."""

    share: float
    shifted: bool
    links: tuple[LinkParameters, LinkParameters]


def sides(parameters: LinkParameters) -> tuple[Side, ...]:
    """Return the pulses of a link by where Eve shifts them; pulses under both attacks go to one side."""
    one, either = parameters.mismatch_share, parameters.time_shift_share * (1.0 - parameters.mismatch_share)
    if not one and not either:
        return (Side(1.0, False, (parameters, parameters)),)
    ratio, through = parameters.efficiency_ratio, transmittance(parameters.loss_db)
    made_up = 2.0 / (1.0 + ratio)
    made_up = min(made_up, 1.0 / through) if through > 0.0 else made_up
    better, worse = _amplified(parameters, made_up), _amplified(parameters, made_up * ratio)
    return (
        Side(1.0 - one - either, False, (parameters, parameters)),
        Side(one + either / 2.0, True, (better, worse)),
        Side(either / 2.0, True, (worse, better)),
    )


def detector_cells(parameters: LinkParameters) -> "NDArray[np.float64]":
    """Return the probability of every kind of click of a pulse by detector, shape (2, 3, 6).

    Detectors are those of bit 0 and bit 1, rows and columns as in `counts.outcome_probabilities`. Dead time
    and after-pulses are left out.
    """
    # Messages hold counts, and commands that only speak to a running network must not wait for numpy.
    import numpy as np

    cells = np.zeros((2, 3, 6))
    for side in sides(parameters):
        for detector, link in enumerate(side.links):
            clicks = np.array([click_cells(link, intensity) for intensity in parameters.intensities])
            cells[detector] += side.share / 2.0 * clicks
    cells *= np.array(parameters.intensity_probabilities)[:, None]
    return cells


def responses(parameters: LinkParameters, clicks: tuple[float, float]) -> tuple[Response, Response]:
    """Return what either detector makes of its `clicks` per pulse, its after-pulses alone in the second."""
    dead = dead_pulses(parameters.dead_time_ns, parameters.pulse_rate_hz)
    chance = parameters.afterpulse_probability
    first, second = (response(2.0 * each, dead, chance) for each in clicks)
    return (
        Response(first.live_share, first.afterpulses / 2.0),
        Response(second.live_share, second.afterpulses / 2.0),
    )


def device_odds(parameters: LinkParameters) -> DeviceOdds:
    """Return what the devices of a link see by themselves, per pulse.

    Background and after-pulses fall anywhere in a window, light around the instant at which it comes.
    """
    clicks = detector_cells(parameters).sum(axis=(1, 2))
    seen = responses(parameters, (float(clicks[0]), float(clicks[1])))
    recorded = [answer.live_share * float(each) for answer, each in zip(seen, clicks, strict=True)]
    after = [answer.afterpulses for answer in seen]
    background = parameters.background * (1.0 - parameters.blinding_share) / 2.0
    outer = OUTER * sum(after)
    for side in sides(parameters):
        late = outer_share(parameters, parameters.shift_ps if side.shifted else 0.0)
        for answer, link in zip(seen, side.links, strict=True):
            light = _clicks(link) / 2.0 - background
            outer += answer.live_share * side.share * (late * light + OUTER * background)
    return DeviceOdds(recorded[1] + after[1], outer, watch_clicks(parameters))


def outer_share(parameters: LinkParameters, shift_ps: float) -> float:
    """Return the share of light `shift_ps` off its instant that clicks in the outer half (0 to 1)."""
    edge_ps = parameters.window_ps * OUTER / 2.0
    if not parameters.jitter_fwhm_ps:
        return 1.0 if abs(shift_ps) > edge_ps else 0.0
    spread_ps = math.sqrt(2.0) * parameters.jitter_fwhm_ps / FWHM_IN_SIGMA
    early, late = (edge_ps + shift_ps) / spread_ps, (edge_ps - shift_ps) / spread_ps
    return (math.erfc(early) + math.erfc(late)) / 2.0


def watch_clicks(parameters: LinkParameters) -> float:
    """Return how often the watch detector of the transmitter clicks per pulse, by light or of itself."""
    mean = parameters.trojan_photons * parameters.watch_efficiency
    return -math.expm1(-mean - parameters.watch_dark_rate_hz / parameters.pulse_rate_hz)


def _clicks(link: LinkParameters) -> float:
    """Return the clicks of a pulse of any intensity and basis."""
    chosen = zip(link.intensities, link.intensity_probabilities, strict=True)
    return sum(share * sum(click_cells(link, intensity)) for intensity, share in chosen)


def _amplified(parameters: LinkParameters, factor: float) -> LinkParameters:
    """Return a link through which so much more light comes."""
    gain_db = 10.0 * math.log10(factor) if factor > 0.0 else -math.inf
    return msgspec.structs.replace(parameters, loss_db=parameters.loss_db - gain_db)

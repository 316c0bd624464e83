"""How probable it is that the watch over a link raises an alarm by one of its instruments, sample by sample.

Hits of one instrument are a random walk with normal steps between two limits that every sample moves: the
density of the walks that have not crossed is convolved with the step, and cut off at the limits: the
roots of n KL(k/n || p) = ln(2/alpha), found by scipy; of the click rate also those within which it is as
commissioned.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import rel_entr

from qstrata.physics.counts import expected_counts
from qstrata.physics.monitors import CLICK_RATE, FALSE_ALARM, INSTRUMENTS, Instruments
from qstrata.physics.parameters import LinkParameters
from qstrata.strata.forwarding.telemetry.watch import LIGHT_SHARE

STEPS_PER_SD = 50


def _deviance(hits: float, trials: float, share: float) -> float:
    seen = hits / trials
    return trials * float(rel_entr(seen, share) + rel_entr(1.0 - seen, 1.0 - share))


def limits(trials: float, share: float, is_rate: bool) -> tuple[float, float]:
    """Return the hits between which there is no alarm."""
    limit, mean = math.log(2.0 / FALSE_ALARM), trials * share
    low, high = -math.inf, math.inf
    if _deviance(0.0, trials, share) > limit:
        low = brentq(lambda hits: _deviance(hits, trials, share) - limit, 0.0, mean)
    if _deviance(trials, trials, share) > limit:
        high = brentq(lambda hits: _deviance(hits, trials, share) - limit, mean, trials)
    if is_rate:
        low, high = min(low, mean * (1.0 - LIGHT_SHARE)), max(high, mean * (1.0 + LIGHT_SHARE))
    return math.floor(low) + 0.5 if low > -math.inf else low, math.ceil(high) - 0.5


def crossing(
    commissioned: LinkParameters, attacked: LinkParameters, pulses: int, samples: int, instrument: str
) -> float:
    """Return the probability of an alarm by an instrument within so many samples of `pulses` each."""
    truth = expected_counts(attacked, pulses)
    readings = Instruments(commissioned).readings(expected_counts(attacked, pulses * samples))
    reading = next(each for each in readings if each.instrument == instrument)
    assert instrument in INSTRUMENTS
    (each,) = [r for r in Instruments(attacked).readings(truth) if r.instrument == instrument]
    mean = each.trials * each.observed
    sd = math.sqrt(mean * (1.0 - each.observed))
    dx = sd / STEPS_PER_SD
    half = int(8 * STEPS_PER_SD * math.sqrt(samples))
    grid = np.arange(-half, half + 1) * dx
    reach = np.arange(-8 * STEPS_PER_SD, 8 * STEPS_PER_SD + 1) * dx
    step = np.exp(-0.5 * (reach / sd) ** 2)
    step /= step.sum()
    density = np.zeros_like(grid)
    density[half] = 1.0
    for number in range(1, samples + 1):
        density = np.convolve(density, step, mode="same")
        low, high = limits(each.trials * number, reading.expected, instrument == CLICK_RATE)
        hits = grid + mean * number
        density[(hits <= low) | (hits >= high)] = 0.0
    return float(1.0 - density.sum())

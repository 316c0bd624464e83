"""How probable it is that the watch over a circuit raises an alarm by its errors on all axes, look by look.

Exact for a fixed number of trials a look: the distribution of errors of the walks that have not crossed is
convolved with the binomial of the next look, and cut off where n KL(k/n || p) >= ln(2/alpha), with scipy.
"""

import math

import numpy as np
from scipy.special import rel_entr
from scipy.stats import binom

from qstrata.physics.bell import BellDiagonal
from qstrata.physics.monitors import FALSE_ALARM

AXES = {"x": 3 / 8, "y": 2 / 8, "z": 3 / 8}
"""How the trials on axes share out: heads draw x and z three times of eight, y twice."""

ON_AXES = 8 / 32
"""Share of the tested pairs that both ends measure along one axis."""


def errors(state: BellDiagonal) -> float:
    """Return the share of trials on all axes that err."""
    correlators = {"x": state.xx, "y": state.yy, "z": state.zz}
    return sum(share * (1.0 - correlators[axis]) / 2.0 for axis, share in AXES.items())


def limit(trials: int, share: float) -> int:
    """Return the least number of errors that is an alarm; beyond the trials where none is."""
    hits = np.arange(math.ceil(trials * share), trials + 1)
    seen = hits / trials
    deviance = trials * (rel_entr(seen, share) + rel_entr(1.0 - seen, 1.0 - share))
    found = hits[deviance >= math.log(2.0 / FALSE_ALARM)]
    return int(found[0]) if found.size else trials + 1


def crossing(expected: float, attacked: float, tested: int, looks: int) -> float:
    """Return the probability of an alarm within so many looks at `tested` pairs each."""
    density = np.ones(1)
    for look in range(1, looks + 1):
        before, after = (round(number * tested * ON_AXES) for number in (look - 1, look))
        fresh = after - before
        density = np.convolve(density, binom.pmf(np.arange(fresh + 1), fresh, attacked))
        density[limit(after, expected) :] = 0.0
    return float(1.0 - density.sum())

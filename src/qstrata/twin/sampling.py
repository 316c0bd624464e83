"""Counts of a link at level `counts`: pure functions from probabilities and a stream to counts.

A pulse ends in one of 18 cells (`physics.counts`); pulses are independent, so the counts of a stretch
of pulses are one multinomial draw, and the draws of adjacent stretches add up to the draw of both.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import Counts, counts_from_outcomes, outcome_probabilities
from qstrata.physics.parameters import LinkParameters

_MILLI = 1000


def _to_row(counts: Counts) -> list[int]:
    return [*counts.sent, *counts.n[0], *counts.n[1], *counts.m[0], *counts.m[1], counts.detections]


def _to_counts(*row: int) -> Counts:
    s0, s1, s2, z0, z1, z2, x0, x1, x2, a0, a1, a2, b0, b1, b2, detections = row
    return Counts((s0, s1, s2), ((z0, z1, z2), (x0, x1, x2)), ((a0, a1, a2), (b0, b1, b2)), detections)


_TALLY = np.array([_to_row(counts_from_outcomes(cell.reshape(3, 6))) for cell in np.eye(18, dtype=np.int64)])
"""What one pulse in each of the 18 cells adds to each figure of `Counts`; shape (18, 16)."""


def pulses_before(pulse_rate_hz: float, running_ps: int) -> int:
    """Return how many pulses a source has sent after `running_ps` of running, rounded down.

    Exact in integers: differences of adjacent stretches add up. The rate is taken in whole millihertz.
    """
    return running_ps * round(pulse_rate_hz * _MILLI) // (PS_PER_S * _MILLI)


def phase_ps(link: str, period_ps: int) -> int:
    """Return where in the report period a link reports: fixed by its name, spread evenly over links."""
    return int.from_bytes(blake2b(link.encode(), digest_size=16).digest(), "big") % period_ps


def cell_probabilities(parameters: LinkParameters) -> NDArray[np.float64]:
    """Return the probabilities of the 18 cells of one pulse, flat."""
    return outcome_probabilities(parameters).ravel()


def draw_counts(
    generator: np.random.Generator, cells: NDArray[np.float64], pulses: Sequence[int]
) -> list[Counts]:
    """Draw the counts of each stretch of `pulses`, in one vectorised multinomial."""
    drawn = generator.multinomial(np.asarray(pulses, dtype=np.int64), cells)
    return [_to_counts(*row) for row in (drawn @ _TALLY).tolist()]


def disturbed(parameters: LinkParameters, extra_loss_db: float, share: float, cut: bool) -> LinkParameters:
    """Return a link under faults: extra loss, an intercepted share, or no light at all.

    Behind a cut fibre the detectors still count their background: eta is 0, the error rate 1/2.
    """
    loss_db = math.inf if cut else parameters.loss_db + extra_loss_db
    return msgspec.structs.replace(parameters, loss_db=loss_db, intercept_resend_share=share)

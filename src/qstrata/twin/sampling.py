"""Counts of a link at level `counts`: pure functions from probabilities and a stream to counts.

A pulse ends in one of 7 cells (`physics.counts`) of each intensity that its protocol has; pulses are
independent, so the counts of a stretch of pulses are one multinomial draw, and the draws of adjacent
stretches add up to the draw of both.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import Counts, counts_from_outcomes
from qstrata.physics.parameters import KeyLinkParameters, clicking
from qstrata.twin.faults import (
    BLINDING,
    CUT,
    INTERCEPT,
    LOSS,
    MISMATCH,
    RAMAN,
    SPLITTING,
    TAP,
    TIME_SHIFT,
    TROJAN,
    FaultBook,
)

P = TypeVar("P", bound=KeyLinkParameters)

_MILLI = 1000

_SHARES = {
    INTERCEPT: "intercept_resend_share",
    SPLITTING: "splitting_share",
    BLINDING: "blinding_share",
    TAP: "tap_share",
    MISMATCH: "mismatch_share",
    TIME_SHIFT: "time_shift_share",
    TROJAN: "trojan_photons",
}
"""The parameter in which an attack is given, of protocols that can be under it."""


def _to_row(counts: Counts) -> list[int]:
    n, m = counts.n, counts.m
    return [*counts.sent, *n[0], *n[1], *m[0], *m[1], counts.detections, counts.clicks_z]


def _to_counts(*row: int) -> Counts:
    s0, s1, s2, z0, z1, z2, x0, x1, x2, a0, a1, a2, b0, b1, b2, *clicks = row
    return Counts((s0, s1, s2), ((z0, z1, z2), (x0, x1, x2)), ((a0, a1, a2), (b0, b1, b2)), *clicks)


_TALLY = np.array([_to_row(counts_from_outcomes(cell.reshape(3, 7))) for cell in np.eye(21, dtype=np.int64)])
"""What a pulse in each of the 21 cells adds to the figures of `Counts` up to clicks in Z; (21, 17)."""
_DETECTIONS = 15


class Odds(NamedTuple):
    """The probabilities of the 7 to 21 cells of a pulse, flat, and of what devices see besides.

    `double_share`, `one_share` and `outer_share` are shares of the clicks: double ones, those of bit 1 and
    those off centre; `watch` is the probability of a click of the watch detector in a pulse.
    """

    cells: NDArray[np.float64]
    double_share: float
    one_share: float
    outer_share: float
    watch: float


def pulses_before(pulse_rate_hz: float, running_ps: int) -> int:
    """Return how many pulses a source has sent after `running_ps` of running, rounded down.

    Exact in integers: differences of adjacent stretches add up. The rate is taken in whole millihertz.
    """
    return running_ps * round(pulse_rate_hz * _MILLI) // (PS_PER_S * _MILLI)


def odds(parameters: KeyLinkParameters) -> Odds:
    """Return what is drawn from for a link."""
    parameters = clicking(parameters)
    protocol = parameters.protocol
    table = protocol.outcome_probabilities(parameters)
    clicks = float(table[:, :6].sum())
    doubles = protocol.double_click_probability(parameters)
    seen = protocol.device_odds(parameters)
    double_share, one_share, outer_share = (
        min(1.0, each / clicks) if clicks > 0.0 else 0.0 for each in (doubles, seen.one, seen.outer)
    )
    return Odds(table.ravel(), double_share, one_share, outer_share, seen.watch)


def draw_counts(generator: np.random.Generator, drawn_from: Odds, pulses: Sequence[int]) -> list[Counts]:
    """Draw the counts of each stretch of `pulses`: one multinomial, then what devices see besides.

    Which detector clicked and when is drawn of all clicks alike, whether they are right or wrong.
    """
    drawn = generator.multinomial(np.asarray(pulses, dtype=np.int64), drawn_from.cells)
    drawn = drawn @ _TALLY[: len(drawn_from.cells)]
    clicks = drawn[:, _DETECTIONS]
    shares = drawn_from.double_share, drawn_from.one_share, drawn_from.outer_share
    seen = [generator.binomial(clicks, share) for share in shares]
    watch = generator.binomial(pulses, drawn_from.watch)
    return [_to_counts(*row) for row in np.column_stack((drawn, *seen, watch)).tolist()]


def watched(generator: np.random.Generator, drawn_from: Odds, counts: Counts) -> Counts:
    """Draw what devices see besides recorded clicks: double clicks, clicks off centre, those of the watch."""
    return msgspec.structs.replace(
        counts,
        double_clicks=int(generator.binomial(counts.detections, drawn_from.double_share)),
        clicks_outer=int(generator.binomial(counts.detections, drawn_from.outer_share)),
        watch_clicks=int(generator.binomial(counts.pulses, drawn_from.watch)),
    )


def disturbed(parameters: P, bearer: str, faults: FaultBook) -> P:
    """Return a link under the faults that stand on its fibre: extra loss, attacks, or no light at all.

    Behind a cut fibre the detectors still count their background: eta is 0, the error rate 1/2.
    """
    loss_db = parameters.loss_db + faults.amount(LOSS, bearer)
    attacks = {
        share: faults.amount(kind, bearer)
        for kind, share in _SHARES.items()
        if share in parameters.__struct_fields__
    }
    return msgspec.structs.replace(
        parameters,
        loss_db=math.inf if faults.amount(CUT, bearer) else loss_db,
        raman_rate_hz=parameters.raman_rate_hz + faults.amount(RAMAN, bearer),
        **attacks,
    )


def check_fault(parameters: KeyLinkParameters, kind: str) -> None:
    """Refuse a fault that a link's protocol has no closed form of; InputError names those it can be under."""
    own = parameters.__struct_fields__
    if _SHARES.get(kind, "loss_db") in own:
        return
    known = (CUT, LOSS, RAMAN, *(each for each, share in _SHARES.items() if share in own))
    raise InputError(
        f"{kind} is not modelled on links of {parameters.protocol.name}: inject one of {', '.join(known)}"
    )

"""Detection statistics of a decoy-state BB84 link: probabilities, sampled and expected counts.

Order everywhere: intensities are signal, weak, vacuum; bases are Z (key), X (test).
"""

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from qstrata.physics.attacks import double_click_probability
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.side_channels import (
    NOTHING_SEEN,
    DeviceOdds,
    detector_cells,
    device_odds,
    responses,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INTENSITIES = ("signal", "weak", "vacuum")
BASES = ("Z", "X")
OUTCOMES = (
    "Z correct",
    "Z error",
    "X correct",
    "X error",
    "bases differ, receiver Z",
    "bases differ, receiver X",
    "no detection",
)

Triple: TypeAlias = tuple[int, int, int]
FloatTriple: TypeAlias = tuple[float, float, float]


class Counts(msgspec.Struct, frozen=True, tag=True):
    """Hold what both ends counted over some pulses.

    `sent[intensity]` pulses emitted, `n[basis][intensity]` clicks in equal bases,
    `m[basis][intensity]` errors among those, `detections` all clicks, unequal bases included; of these
    `clicks_z` where the receiver took basis Z, `double_clicks` where both its detectors clicked, `clicks_one`
    of the detector of bit 1, and `clicks_outer` in the outer half of the window. `watch_clicks` are those
    of the detector that watches what comes into the transmitter.
    """

    sent: Triple
    n: tuple[Triple, Triple]
    m: tuple[Triple, Triple]
    detections: int
    clicks_z: int = 0
    double_clicks: int = 0
    clicks_one: int = 0
    clicks_outer: int = 0
    watch_clicks: int = 0

    @property
    def pulses(self) -> int:
        """Pulses emitted, all intensities together."""
        return sum(self.sent)


class ExpectedCounts(msgspec.Struct, frozen=True):
    """Hold the mean of `Counts`, same fields, not rounded."""

    sent: FloatTriple
    n: tuple[FloatTriple, FloatTriple]
    m: tuple[FloatTriple, FloatTriple]
    detections: float
    clicks_z: float = 0.0
    double_clicks: float = 0.0
    clicks_one: float = 0.0
    clicks_outer: float = 0.0
    watch_clicks: float = 0.0

    @property
    def pulses(self) -> float:
        """Pulses emitted, all intensities together."""
        return sum(self.sent)


ZERO_COUNTS = Counts(sent=(0, 0, 0), n=((0, 0, 0), (0, 0, 0)), m=((0, 0, 0), (0, 0, 0)), detections=0)


def zero() -> Counts:
    """Return the counts of no pulse, the neutral element of `add`."""
    return ZERO_COUNTS


def add(a: Counts, b: Counts) -> Counts:
    """Add the counts of two stretches of pulses; partial sums of a block add up to the block."""
    return Counts(
        sent=_add(a.sent, b.sent),
        n=(_add(a.n[0], b.n[0]), _add(a.n[1], b.n[1])),
        m=(_add(a.m[0], b.m[0]), _add(a.m[1], b.m[1])),
        detections=a.detections + b.detections,
        clicks_z=a.clicks_z + b.clicks_z,
        double_clicks=a.double_clicks + b.double_clicks,
        clicks_one=a.clicks_one + b.clicks_one,
        clicks_outer=a.clicks_outer + b.clicks_outer,
        watch_clicks=a.watch_clicks + b.watch_clicks,
    )


def outcome_probabilities(parameters: LinkParameters) -> "NDArray[np.float64]":
    """Return the probability of every outcome of one emitted pulse, shape (3, 7), sum 1.

    Rows are the intensities, columns `OUTCOMES`: Z correct, Z error, X correct, X error (both ends in
    that basis), bases differ with the receiver in Z and in X (clicks, not sifted), no detection. Draw a
    multinomial over the 21 cells with the number of pulses and hand the result to `counts_from_outcomes`.
    Gains and error rates are those of `decoy_bb84`, changed by the attacks of the parameters as `attacks` and
    `side_channels` say, and by the dead time and the after-pulses of the detectors as `detectors.response`
    says.
    """
    import numpy as np

    chosen = np.array(parameters.intensity_probabilities)
    cells = detector_cells(parameters)
    first, second = responses(parameters, (float(cells[0].sum()), float(cells[1].sum())))
    z, z_bob = parameters.sender_z_probability, parameters.receiver_z_probability
    both_z, both_x = z * z_bob / 2.0, (1.0 - z) * (1.0 - z_bob) / 2.0
    by_chance = (both_z, both_z, both_x, both_x, (1.0 - z) * z_bob, z * (1.0 - z_bob))
    table = np.empty((len(INTENSITIES), len(OUTCOMES)))
    table[:, :6] = first.live_share * cells[0] + second.live_share * cells[1]
    table[:, :6] += (first.afterpulses + second.afterpulses) * np.outer(chosen, by_chance)
    table[:, 6] = chosen - table[:, :6].sum(axis=1)
    return table


def counts_from_outcomes(outcomes: "NDArray[np.int64]", double_clicks: int = 0) -> Counts:
    """Sum up drawn outcomes, an integer array of shape (3, 7) as `outcome_probabilities` orders it."""
    cells = outcomes.tolist()
    return Counts(
        sent=_triple([sum(row) for row in cells]),
        n=(_triple([row[0] + row[1] for row in cells]), _triple([row[2] + row[3] for row in cells])),
        m=(_triple([row[1] for row in cells]), _triple([row[3] for row in cells])),
        detections=sum(sum(row[:6]) for row in cells),
        clicks_z=sum(row[0] + row[1] + row[4] for row in cells),
        double_clicks=double_clicks,
    )


def expected_counts(parameters: LinkParameters, pulses: float) -> ExpectedCounts:
    """Return the mean counts of `pulses` >= 0 emitted pulses, as floats, not rounded."""
    doubles, seen = double_click_probability(parameters), device_odds(parameters)
    return means(outcome_probabilities(parameters), doubles, pulses, seen)


def means(
    outcomes: "NDArray[np.float64]", double_clicks: float, pulses: float, seen: DeviceOdds = NOTHING_SEEN
) -> ExpectedCounts:
    """Return the mean counts of `pulses` pulses whose outcomes have these probabilities, shape (1 to 3, 7).

    Rows are the intensities that the protocol has, columns `OUTCOMES`; `double_clicks` is their probability,
    `seen` that of what the devices see besides.
    """
    cells = (outcomes * pulses).tolist()
    return ExpectedCounts(
        sent=_float_triple([sum(row) for row in cells]),
        n=(
            _float_triple([row[0] + row[1] for row in cells]),
            _float_triple([row[2] + row[3] for row in cells]),
        ),
        m=(_float_triple([row[1] for row in cells]), _float_triple([row[3] for row in cells])),
        detections=sum(sum(row[:6]) for row in cells),
        clicks_z=sum(row[0] + row[1] + row[4] for row in cells),
        double_clicks=pulses * double_clicks,
        clicks_one=pulses * seen.one,
        clicks_outer=pulses * seen.outer,
        watch_clicks=pulses * seen.watch,
    )


def _add(a: Triple, b: Triple) -> Triple:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _triple(values: list[int]) -> Triple:
    signal, weak, vacuum = values
    return signal, weak, vacuum


def _float_triple(values: list[float]) -> FloatTriple:
    signal, weak, vacuum = (*values, 0.0, 0.0)[:3]
    return signal, weak, vacuum

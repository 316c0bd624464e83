"""What a circuit over a path can be expected to give: rate and fidelity in closed form.

All links are asked for pairs at the same instants, and all hops wait for the slowest one. A station frees its
cells when it has swapped, so that the inner links of three hops and more begin anew earlier than that: such
circuits give somewhat more.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from qstrata.physics import bell
from qstrata.physics.bell import BellDiagonal
from qstrata.planes.pair_routes import PairLinkView, PairNodeView, PairPath, Resources

STEPS = 160
"""Points of the integral over time: its error stays below 1 part in 1000."""

ROUNDS_MAX = 64
"""So many rounds are summed one by one, later ones as an integral."""


DARK = 1e-12
"""A link whose attempts succeed more rarely is taken as dark: nothing comes of it."""


class Expectation(msgspec.Struct, frozen=True):
    """Pairs in a second that both ends have, and their state when they have them.

    `age_s` is the mean age of the older of a pair's two halves at the ends then.
    """

    rate_per_s: float
    pair: BellDiagonal
    age_s: float = 0.0

    @property
    def fidelity(self) -> float:
        """Return the fidelity to the Bell state that the ends know."""
        return bell.fidelity(self.pair)


class _Wait(msgspec.Struct, frozen=True, gc=False):
    """When a link has its pair, from asking: from `first_s` on with `rate_per_s`."""

    first_s: float
    rate_per_s: float

    @property
    def mean_s(self) -> float:
        return self.first_s + 1.0 / self.rate_per_s


def expect(
    resources: Resources, path: PairPath, pairs_per_s: float, cutoff_s: float = math.inf
) -> Expectation:
    """Return what a circuit over a path gives, asked `pairs_per_s` times a second.

    `cutoff_s` after its creation half of a pair is given up.

    A link is ready after a geometric number of attempts, here a shifted exponential of the same mean; the
    time of all is the mean of their maximum, as in `qstrata.physics.waiting`, for links that differ. A pair
    decays as it does in the mean wait of each of its memories, which is a lower bound of the mean fidelity
    (Jensen). Swaps multiply correlators (Briegel et al. 1998). With a cut-off waits are those that it leaves
    of exponential ones, and a try fails with the probability that a station's two halves miss each other: of
    two equal links that is `qstrata.physics.waiting.mean_attempts_with_cutoff`.
    """
    views = [resources.links[link] for link in path.links]
    if min(view.probability for view in views) < DARK:
        return Expectation(0.0, BellDiagonal(0.0, 0.0, 0.0))
    nodes = [resources.nodes[site] for site in path.sites]
    waits = [_wait(view) for view in views]
    travel_s = math.fsum(view.travel_s for view in views)
    swap_s = max((node.swap_s for node in nodes[1:-1]), default=0.0)
    round_s = 1.0 / pairs_per_s
    period_s = _period_s(waits, travel_s + swap_s, round_s)
    spare_s = max(0.0, cutoff_s - max(view.herald_s for view in views) - swap_s)
    meets = math.prod(_meets(apart_s, spare_s) for apart_s in _apart_s(waits))
    first_s = 1.0 / math.fsum(1.0 / wait.mean_s for wait in waits)
    again_s = (1.0 / meets - 1.0) * max(first_s, round_s) if meets > 0.0 else math.inf
    earlier_s = waits[0].mean_s + waits[-1].mean_s - _late_after((waits[0], waits[-1]), 0.0)
    idle_s = _late_after(waits, 0.0) - earlier_s if len(waits) > 1 else 0.0
    age_s = _within(idle_s, spare_s) + travel_s + max(view.herald_s for view in views)
    return Expectation(1.0 / (period_s + again_s), _pair(views, nodes, waits, travel_s, spare_s), age_s)


def _wait(view: PairLinkView) -> _Wait:
    if view.probability >= 1.0:
        return _Wait(view.herald_s, math.inf)
    rate_per_s = -math.log1p(-view.probability) / view.attempt_s
    mean_s = view.herald_s + (1.0 / view.probability - 1.0) * view.attempt_s
    return _Wait(mean_s - 1.0 / rate_per_s, rate_per_s)


def _late(waits: Sequence[_Wait], time_s: float) -> float:
    """Return the probability that a link has no pair yet at a time after asking."""
    ready = 1.0
    for wait in waits:
        if time_s < wait.first_s:
            return 1.0
        if not math.isinf(wait.rate_per_s):
            ready *= -math.expm1(-wait.rate_per_s * (time_s - wait.first_s))
    return 1.0 - ready


def _late_after(waits: Sequence[_Wait], from_s: float) -> float:
    """Return the integral of `_late` from a time on, in equal steps of what the slowest link has left."""
    first_s = max(wait.first_s for wait in waits)
    if from_s < first_s:
        return first_s - from_s + _late_after(waits, first_s)
    slowest = min(wait.rate_per_s for wait in waits)
    if math.isinf(slowest):
        return 0.0
    shares = ((step + 0.5) / STEPS for step in range(STEPS))
    return math.fsum(
        _late(waits, from_s - math.log(share) / slowest) / (slowest * STEPS * share) for share in shares
    )


def _period_s(waits: Sequence[_Wait], words_s: float, round_s: float) -> float:
    """Return the mean time from one pair to the next, a whole number of rounds."""
    rounds = 1.0
    for number in range(1, ROUNDS_MAX + 1):
        late = _late(waits, number * round_s - words_s)
        rounds += late
        if late < 1e-9:
            return rounds * round_s
    return rounds * round_s + _late_after(waits, (ROUNDS_MAX + 0.5) * round_s - words_s)


def _apart_s(waits: Sequence[_Wait]) -> list[float]:
    """Return the mean time between both heralds at each station: E|a - b| = 2 E[max(a, b)] - E[a + b]."""
    return [2.0 * _late_after(both, 0.0) - both[0].mean_s - both[1].mean_s for both in pairwise(waits)]


def _meets(mean_s: float, cutoff_s: float) -> float:
    """Return how often an exponential wait ends before a cut-off."""
    return 1.0 if mean_s <= 0.0 else -math.expm1(-cutoff_s / mean_s)


def _within(mean_s: float, cutoff_s: float) -> float:
    """Return the mean of those exponential waits that end before a cut-off."""
    if mean_s <= 0.0 or cutoff_s > 500.0 * mean_s:
        return max(0.0, mean_s)
    if cutoff_s <= 1e-6 * mean_s:
        return cutoff_s / 2.0
    return mean_s - cutoff_s / math.expm1(cutoff_s / mean_s)


def _pair(
    views: Sequence[PairLinkView],
    nodes: Sequence[PairNodeView],
    waits: Sequence[_Wait],
    travel_s: float,
    spare_s: float,
) -> BellDiagonal:
    xx = math.prod(view.xx for view in views)
    yy = math.prod(view.yy for view in views)
    zz = math.prod(view.zz for view in views)
    lost_xy = lost_z = 0.0
    for node, apart_s, both in zip(nodes[1:-1], _apart_s(waits), pairwise(views), strict=True):
        bit = 2.0 * node.readout_fidelity - 1.0
        kept = node.gate_reliability * bit
        xx, yy, zz = xx * kept, yy * kept * bit, zz * kept
        heralds_s = math.fsum(view.herald_s for view in both)
        held_s = _within(apart_s, spare_s) + 2.0 * node.swap_s + heralds_s
        lost_xy += node.xy_per_s * held_s
        lost_z += node.z_per_s * held_s
    all_s = _late_after(waits, 0.0)
    for at in (0, -1):
        held_s = _within(all_s - waits[at].mean_s, spare_s) + travel_s + views[at].herald_s
        lost_xy += nodes[at].xy_per_s * held_s
        lost_z += nodes[at].z_per_s * held_s
    kept_xy = math.exp(-lost_xy)
    return BellDiagonal(xx * kept_xy, yy * kept_xy, zz * math.exp(-lost_z))

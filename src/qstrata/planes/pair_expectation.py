"""What a circuit over a path can be expected to give: rate and fidelity in closed form.

All links are asked for pairs at the same instants, and all hops wait for the slowest one. A station frees its
cells when it has swapped, so that the inner links of three hops and more begin anew earlier than that: such
circuits give somewhat more. Cut-offs are not counted.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from qstrata.planes.pair_routes import PairLinkView, PairNodeView, PairPath, Resources

STEPS = 160
"""Points of the integral over time: its error stays below 1 part in 1000."""

ROUNDS_MAX = 64
"""So many rounds are summed one by one, later ones as an integral."""


class Expectation(msgspec.Struct, frozen=True, gc=False):
    """Pairs in a second that both ends have, and their fidelity when they have them."""

    rate_per_s: float
    fidelity: float


class _Wait(msgspec.Struct, frozen=True, gc=False):
    """When a link has its pair, from asking: from `first_s` on with `rate_per_s`."""

    first_s: float
    rate_per_s: float

    @property
    def mean_s(self) -> float:
        return self.first_s + 1.0 / self.rate_per_s


def expect(resources: Resources, path: PairPath, pairs_per_s: float) -> Expectation:
    """Return what a circuit over a path gives, asked `pairs_per_s` times a second.

    A link is ready after a geometric number of attempts, here a shifted exponential of the same mean; the
    time of all is the mean of their maximum, as in `qstrata.physics.waiting`, for links that differ. A pair
    decays as it does in the mean wait of each of its memories, which is a lower bound of the mean fidelity
    (Jensen). Swaps multiply correlators (Briegel et al. 1998).
    """
    views = [resources.links[link] for link in path.links]
    nodes = [resources.nodes[site] for site in path.sites]
    waits = [_wait(view) for view in views]
    travel_s = math.fsum(view.travel_s for view in views)
    swap_s = max((node.swap_s for node in nodes[1:-1]), default=0.0)
    return Expectation(
        rate_per_s=1.0 / _period_s(waits, travel_s + swap_s, 1.0 / pairs_per_s),
        fidelity=_fidelity(views, nodes, waits, travel_s),
    )


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


def _fidelity(
    views: Sequence[PairLinkView], nodes: Sequence[PairNodeView], waits: Sequence[_Wait], travel_s: float
) -> float:
    xx = math.prod(view.xx for view in views)
    yy = math.prod(view.yy for view in views)
    zz = math.prod(view.zz for view in views)
    lost_xy = lost_z = 0.0
    for node, left, right in zip(nodes[1:-1], pairwise(waits), pairwise(views), strict=True):
        bit = 2.0 * node.readout_fidelity - 1.0
        kept = node.gate_reliability * bit
        xx, yy, zz = xx * kept, yy * kept * bit, zz * kept
        both_s = _late_after(left, 0.0) + node.swap_s
        held_s = math.fsum(
            both_s - wait.mean_s + view.herald_s for wait, view in zip(left, right, strict=True)
        )
        lost_xy += node.xy_per_s * held_s
        lost_z += node.z_per_s * held_s
    all_s = _late_after(waits, 0.0) + travel_s
    for at in (0, -1):
        held_s = all_s - waits[at].mean_s + views[at].herald_s
        lost_xy += nodes[at].xy_per_s * held_s
        lost_z += nodes[at].z_per_s * held_s
    return (1.0 + (xx + yy) * math.exp(-lost_xy) + zz * math.exp(-lost_z)) / 4.0

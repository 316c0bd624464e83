"""What is left of the pairs of a circuit once its ends have distilled them by pumping, and how good it is.

Time goes in rounds, for pairs are asked for at the same instants. In each a fresh pair comes with the same
probability; the pair aside ages by a round, until the oldest half in it has waited for the cut-off.
"""

import math

import msgspec

from qstrata.physics.bell import BellDiagonal, from_probabilities, probabilities
from qstrata.physics.entanglement_distillation import Distillation, distil
from qstrata.planes.pair_expectation import Expectation
from qstrata.planes.pair_routes import PairNodeView

STEPS_MAX = 2000
"""A cut-off of more rounds than that is followed in steps of several rounds."""

LEFT = 1e-9
"""What is left of a pair aside with less probability is not followed any more."""


class EndPumping(msgspec.Struct, frozen=True, kw_only=True):
    """Describe the distillation at the ends of a circuit: `rounds` >= 1, its instants, the cut-off."""

    protocol: Distillation
    rounds: int
    round_s: float
    cutoff_s: float = math.inf


def pumped(raw: Expectation, pumping: EndPumping, ends: tuple[PairNodeView, PairNodeView]) -> Expectation:
    """Return what a circuit gives whose ends distil; `raw` is what it gives without.

    A protocol's output is bilinear in its inputs before it is normalised, so that the mean of many pairs
    aside gives the mean of what comes of them. A rate of 0 comes with noise: no pair outlives the cut-off.
    Words are taken to be back before the next instant. Source: Duer, Briegel, Cirac, Zoller, Phys. Rev. A 59,
    169 (1999); the protocols and their noise: `qstrata.physics.entanglement_distillation`.
    """
    fresh = min(1.0, raw.rate_per_s * pumping.round_s)
    if fresh <= 0.0:
        return Expectation(0.0, _NOISE)
    follow = _without_cutoff if math.isinf(pumping.cutoff_s) else _with_cutoff
    left_s = pumping.cutoff_s - raw.age_s
    success, rounds, pair = follow(raw.pair, fresh, msgspec.structs.replace(pumping, cutoff_s=left_s), ends)
    if success <= 0.0:
        return Expectation(0.0, _NOISE)
    return Expectation(success / ((1.0 / fresh + rounds) * pumping.round_s), pair, raw.age_s)


_NOISE = BellDiagonal(0.0, 0.0, 0.0)


def _without_cutoff(
    raw: BellDiagonal, fresh: float, pumping: EndPumping, ends: tuple[PairNodeView, PairNodeView]
) -> tuple[float, float, BellDiagonal]:
    """Return how often a try succeeds, its mean rounds after the first pair, and the pair if it does."""
    xy, z = (_mean_kept(fresh, kept) for kept in _kept(ends, pumping.round_s))
    success, rounds, pair = 1.0, 0.0, raw
    for _ in range(pumping.rounds):
        rounds += success / fresh
        share, pair = _bettered(_aged(pair, xy, z), raw, pumping.protocol, ends)
        success *= share
    return success, rounds, pair


def _mean_kept(fresh: float, kept: float) -> float:
    """Return the mean of kept^K over a geometric K >= 1."""
    return fresh * kept / (1.0 - (1.0 - fresh) * kept)


def _with_cutoff(
    raw: BellDiagonal, fresh: float, pumping: EndPumping, ends: tuple[PairNodeView, PairNodeView]
) -> tuple[float, float, BellDiagonal]:
    most = math.floor(max(0.0, pumping.cutoff_s) / pumping.round_s * (1.0 + 1e-12))
    step = max(1, -(-most // STEPS_MAX))
    comes = -math.expm1(step * math.log1p(-fresh)) if fresh < 1.0 else 1.0
    xy, z = _kept(ends, pumping.round_s * step)
    aside: list[tuple[float, BellDiagonal]] = [(1.0, raw)] + [(0.0, _NOISE)] * (pumping.rounds - 1)
    done, rounds = (0.0, _NOISE), 0.0
    for _ in range(most // step):
        left = math.fsum(weight for weight, _ in aside)
        if left < LEFT:
            break
        rounds += left * step
        after = [(weight * (1.0 - comes), _aged(pair, xy, z)) for weight, pair in aside]
        for level, (weight, pair) in enumerate(aside):
            share, better = _bettered(_aged(pair, xy, z), raw, pumping.protocol, ends)
            came = weight * comes * share, better
            if level + 1 < pumping.rounds:
                after[level + 1] = _mixed(after[level + 1], came)
            else:
                done = _mixed(done, came)
        aside = after
    return done[0], rounds, done[1]


def _mixed(one: tuple[float, BellDiagonal], other: tuple[float, BellDiagonal]) -> tuple[float, BellDiagonal]:
    total = one[0] + other[0]
    if total <= 0.0:
        return 0.0, _NOISE
    parts = [
        (one[0] * a + other[0] * b) / total
        for a, b in zip(probabilities(one[1]), probabilities(other[1]), strict=True)
    ]
    return total, from_probabilities(parts)


def _kept(ends: tuple[PairNodeView, PairNodeView], time_s: float) -> tuple[float, float]:
    """Return what waiting at both ends leaves of xx and yy, and of zz."""
    xy, z = math.fsum(end.xy_per_s for end in ends), math.fsum(end.z_per_s for end in ends)
    return math.exp(-xy * time_s), math.exp(-z * time_s)


def _aged(pair: BellDiagonal, xy: float, z: float) -> BellDiagonal:
    return BellDiagonal(pair.xx * xy, pair.yy * xy, pair.zz * z)


def _bettered(
    aside: BellDiagonal,
    fresh: BellDiagonal,
    protocol: Distillation,
    ends: tuple[PairNodeView, PairNodeView],
) -> tuple[float, BellDiagonal]:
    """Return how often both ends agree, and the pair then; unequal ends count as two equal ones do."""
    gate = math.sqrt(ends[0].gate_reliability * ends[1].gate_reliability)
    bits = (2.0 * ends[0].readout_fidelity - 1.0) * (2.0 * ends[1].readout_fidelity - 1.0)
    got = distil(protocol, aside, fresh, gate, (1.0 + math.sqrt(bits)) / 2.0)
    return got.probability, BellDiagonal(got.pair.xx, got.pair.yy, got.pair.zz)

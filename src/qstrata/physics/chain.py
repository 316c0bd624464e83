"""A repeater chain as a recursion over end-to-end pairs: millions of them a second, equal bit by bit
with and without a compiler.

One memory per link side, swap as soon as both sides have a pair, heralds from midpoints, deterministic swaps.
Whoever lies on both sides of a memory frees it, so the instants of pair k follow from those of pair k - 1
by maxima and sums: no queue of events and no loop over attempts. Correlators decay by exponentials, which
multiply: the kernel adds up the exponents of a pair, and one exponential is taken of the sum.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError
from qstrata.physics.bell import BellDiagonal, BellState
from qstrata.physics.compiled import kernel
from qstrata.physics.density import bell_diagonal
from qstrata.physics.fibre import propagation_delay_ps
from qstrata.physics.heralding import attempts_until_success
from qstrata.physics.memories import MemoryParameters, rates_per_ps
from qstrata.physics.pair_link import PairLinkParameters, cycle_ps, herald_ps, heralded_state, heralding

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

PAIRS_PER_BLOCK = 16_384
"""So many pairs are drawn at once; instants inside a block are relative to its start."""


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one elementary link.

    An attempt takes `cycle_ps` and succeeds with `probability`; its herald is at both ends `herald_ps` after
    the emission, from when the pair `state` ages. A classical message takes `travel_ps` from end to end; both
    ends of the chain hold a pair until the word that the far end sends at its herald has come through.
    """

    probability: float
    state: BellDiagonal
    cycle_ps: int
    herald_ps: int
    travel_ps: int


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a chain: its hops in order, every node's memory (no T1), and the stations' swaps.

    A swap takes `swap_ps`; its gate works with `gate_reliability`, its bits with `readout_fidelity`.
    """

    hops: tuple[Hop, ...]
    memory: MemoryParameters = MemoryParameters()
    swap_ps: int = 0
    gate_reliability: float = 1.0
    readout_fidelity: float = 1.0


class ChainRun(msgspec.Struct, frozen=True):
    """Hold what a chain delivered: when the later end knew of each pair (ps), and its state.

    `xx`, `yy`, `zz` are correlators relative to the frame that the ends know; all of shape (pairs,).
    """

    delivered_ps: Integers
    xx: Floats
    yy: Floats
    zz: Floats

    @property
    def fidelity(self) -> Floats:
        """Return the fidelity of every pair when it was delivered."""
        total: Floats = (1.0 + self.xx + self.yy + self.zz) / 4.0
        return total


@kernel
def advance(
    attempts: Integers,
    cycle: Integers,
    herald: Integers,
    travel: Integers,
    swap_ps: int,
    free: Integers,
    delivered: Integers,
    waited: Integers,
) -> None:
    """Follow the pairs of one block; attempts of shape (pairs, hops), instants in ps from the block's start.

    `free` (hops + 1) holds when each node's memories are free, and is left as the block leaves it. Written:
    `delivered` (pairs), and `waited`, the time that all memories together held each pair.
    """
    hops = cycle.shape[0]
    emitted = np.zeros(hops, dtype=np.int64)
    ready = np.zeros(hops, dtype=np.int64)
    for k in range(attempts.shape[0]):
        for i in range(hops):
            start = free[i] if free[i] > free[i + 1] else free[i + 1]
            emitted[i] = start + (attempts[k, i] - 1) * cycle[i]
            ready[i] = emitted[i] + herald[i]
        held = 0
        for j in range(1, hops):
            both = ready[j - 1] if ready[j - 1] > ready[j] else ready[j]
            done = both + swap_ps
            held += done - emitted[j - 1] + done - emitted[j]
            free[j] = done
        right = ready[0]
        for j in range(1, hops):
            right += travel[j - 1]
            if free[j] > right:
                right = free[j]
        left = ready[hops - 1]
        for j in range(hops - 1, 0, -1):
            left += travel[j]
            if free[j] > left:
                left = free[j]
        right += travel[hops - 1]
        left += travel[0]
        if ready[hops - 1] > right:
            right = ready[hops - 1]
        if ready[0] > left:
            left = ready[0]
        free[0] = left
        free[hops] = right
        delivered[k] = left if left > right else right
        waited[k] = held + left - emitted[0] + right - emitted[hops - 1]


def hop_over(link: PairLinkParameters) -> Hop:
    """Return the hop that a link with its midpoint is, its state without what is not Bell-diagonal in it.

    Swaps bring none of that back on average over their outcomes: means of correlators stay exact.
    """
    frame = BellState.PSI_PLUS
    return Hop(
        probability=heralding(link).probability,
        state=bell_diagonal(heralded_state(link, frame), frame),
        cycle_ps=cycle_ps(link),
        herald_ps=herald_ps(link),
        travel_ps=propagation_delay_ps(link.length_km),
    )


def run(chain: Chain, pairs: int, generator: np.random.Generator) -> ChainRun:
    """Sample the first `pairs` pairs of a chain that starts with empty memories at instant 0.

    Raises InputError for no hops, a probability outside (0, 1], or a memory with T1.
    """
    if not chain.hops:
        raise InputError("a chain needs at least one hop")
    if not np.isinf(chain.memory.t1_s):
        raise InputError(
            "a memory with T1 leaves the Bell-diagonal states: give the chain T2 or depolarising alone"
        )
    cycle, herald, travel = (
        np.array([getattr(hop, name) for hop in chain.hops], dtype=np.int64)
        for name in ("cycle_ps", "herald_ps", "travel_ps")
    )
    free = np.zeros(len(chain.hops) + 1, dtype=np.int64)
    delivered = np.empty(pairs, dtype=np.int64)
    waited = np.empty(pairs, dtype=np.int64)
    start_ps = 0
    for begin in range(0, pairs, PAIRS_PER_BLOCK):
        part = slice(begin, min(begin + PAIRS_PER_BLOCK, pairs))
        attempts = np.empty((part.stop - begin, len(chain.hops)), dtype=np.int64)
        for index, hop in enumerate(chain.hops):
            attempts[:, index] = attempts_until_success(generator, hop.probability, len(attempts))
        advance(attempts, cycle, herald, travel, chain.swap_ps, free, delivered[part], waited[part])
        delivered[part] += start_ps
        passed_ps = int(free.min())
        free -= passed_ps
        start_ps += passed_ps
    return _states(chain, delivered, waited)


def _states(chain: Chain, delivered: Integers, waited: Integers) -> ChainRun:
    swaps = len(chain.hops) - 1
    bit = 2.0 * chain.readout_fidelity - 1.0
    xx = zz = chain.gate_reliability**swaps * bit**swaps
    yy = xx * bit**swaps
    for hop in chain.hops:
        xx, yy, zz = xx * hop.state.xx, yy * hop.state.yy, zz * hop.state.zz
    rate_xy, rate_z = rates_per_ps(chain.memory)
    kept_xy = np.exp(-rate_xy * waited)
    kept_z = kept_xy if rate_z == rate_xy else np.exp(-rate_z * waited)
    return ChainRun(delivered, xx * kept_xy, yy * kept_xy, zz * kept_z)

"""Repeater chains: end-to-end pairs a second, on one core.

Heralding, swapping and decoherence included: 10 km hops of 0.2 dB/km, one memory a link side, swap as soon as
possible, memory efficiency 0.9, detectors 0.8, fidelity 0.98, depolarising memories of 1 s.
"""

import time

from benchmarks.measures import Figure
from qstrata.core.randomness import stream
from qstrata.physics.chain import Chain, ChainRun, hop_over, run
from qstrata.physics.memories import MemoryParameters
from qstrata.physics.pair_link import PairLinkParameters

NODES = (3, 9, 33)
PAIRS = 2_000_000
BOUND_NODES = 9


def chain() -> list[Figure]:
    """Sample chains of each length on one core."""
    return [figure for nodes in NODES for figure in _chain(nodes)]


def description(nodes: int) -> Chain:
    """Return the chain that peers are compared on."""
    hop = hop_over(PairLinkParameters(length_km=10.0, loss_db=2.0))
    return Chain(hops=(hop,) * (nodes - 1), memory=MemoryParameters(depolarising_s=1.0))


def _chain(nodes: int) -> list[Figure]:
    described = description(nodes)
    run(described, PAIRS, stream(1, "warm"))
    began_s = time.process_time()
    sampled: ChainRun = run(described, PAIRS, stream(1, "chain", nodes))
    fidelity = float(sampled.fidelity.mean())
    spent_s = time.process_time() - began_s
    name = f"chain of {nodes} nodes"
    simulated_s = float(sampled.delivered_ps[-1]) * 1e-12
    return [
        Figure(name, "sampled", PAIRS / spent_s, "pairs/s", "at least 1e6" if nodes == BOUND_NODES else ""),
        Figure(name, "ratio to real time", simulated_s / spent_s, "virtual s/s"),
        Figure(name, "rate of the network", PAIRS / simulated_s, "pairs/virtual s"),
        Figure(name, "mean fidelity", fidelity, ""),
    ]

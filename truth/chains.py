"""Repeater chains by the sampler of many pairs: rates and fidelities."""

import math

import numpy as np

from qstrata.core.randomness import stream
from qstrata.physics.bell import werner
from qstrata.physics.chain import Chain, Hop, run
from qstrata.physics.memories import MemoryParameters
from truth import closed_forms as cf
from truth.row import ROUNDING, Row, at_least

CYCLE_PS, TRAVEL_PS = 50_000_000, 50_000_000


def _hop(travel_ps: int = TRAVEL_PS) -> Hop:
    return Hop(
        probability=0.1, state=werner(0.98), cycle_ps=CYCLE_PS, herald_ps=CYCLE_PS, travel_ps=travel_ps
    )


def chains(share: float) -> list[Row]:
    """Sample chains without decay, and two hops with it."""
    rows = []
    for nodes in (3, 9):
        sampled = run(
            Chain(hops=(_hop(),) * (nodes - 1)), at_least(1_000, 100_000, share), stream(1, "truth", nodes)
        )
        name = f"chain sampler, {nodes} nodes of links of 0.98: fidelity"
        rows.append(
            Row(
                name,
                float(sampled.fidelity.mean()),
                ROUNDING,
                cf.chain(0.98, nodes - 1),
                "(1 + 3 w^n)/4",
                f"{len(sampled.fidelity)} pairs, seed 1",
            )
        )
    one = run(Chain(hops=(_hop(),)), at_least(2_000, 400_000, share), stream(1, "truth", "one"))
    # Each end holds its half until the word of the other end's herald has come.
    cycles = np.diff(one.delivered_ps) / CYCLE_PS
    rows.append(
        _mean(
            "chain sampler, one hop: cycles from pair to pair",
            cycles,
            11.0,
            "1/p, and a cycle for the far end's word",
        )
    )
    firsts = [
        run(Chain(hops=(_hop(travel_ps=0),) * 8), 1, stream(seed, "truth", "first")).delivered_ps[0]
        for seed in range(at_least(1_000, 60_000, share))
    ]
    name = "chain sampler, eight hops: attempts until all have a pair"
    rows.append(
        _mean(name, np.array(firsts) / CYCLE_PS, cf.attempts_of_all(8, 0.1), "E[max], Bernardes et al. 2011")
    )
    return [*rows, *_with_decay(share)]


def _with_decay(share: float) -> list[Row]:
    rows = []
    for name, memory, spared in (
        ("depolarising", MemoryParameters(depolarising_s=2e-3), 0),
        ("dephasing", MemoryParameters(t2_s=2e-3), 1),
    ):
        hops = (_hop(travel_ps=0),) * 2
        two = run(
            Chain(hops=hops, memory=memory), at_least(5_000, 400_000, share), stream(1, "truth", "two", name)
        )
        factor = CYCLE_PS * 1e-12 / 2e-3
        waited = math.exp(-4 * factor) * cf.mean_decay_of_waiting(0.1, math.exp(-2 * factor))
        expected = (1 + cf.werner(0.98) ** 2 * ((3 - spared) * waited + spared)) / 4
        rows.append(
            _mean(
                f"chain sampler, two hops, memories {name} in 2 ms: fidelity",
                two.fidelity,
                expected,
                "w^2 E[e^(-waits/T)]",
            )
        )
    return rows


def _mean(name: str, values: np.ndarray, expected: float, source: str) -> Row:
    error = float(values.std()) / math.sqrt(len(values))
    return Row(name, float(values.mean()), error, expected, source, f"{len(values)} pairs, seed 1")

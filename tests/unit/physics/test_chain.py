import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S, PS_PER_US
from qstrata.physics import bell, chain, compiled, waiting
from qstrata.physics.chain import Chain, Hop
from qstrata.physics.memories import MemoryParameters

PAIRS = 400_000
TRIP_PS = 50 * PS_PER_US


def hop(probability=0.2, fidelity=0.98, cycle_ps=TRIP_PS, travel_ps=TRIP_PS):
    return Hop(
        probability=probability,
        state=bell.werner(fidelity),
        cycle_ps=cycle_ps,
        herald_ps=cycle_ps,
        travel_ps=travel_ps,
    )


def run(pairs=PAIRS, **description):
    return chain.run(Chain(**description), pairs, stream(1, "chain"))


def within_5_errors(samples, expected):
    error = np.std(samples) / math.sqrt(len(samples))
    assert error * 5 < 0.01 * abs(expected), "the sample is too small to show an error of 1 %"
    return np.mean(samples) == pytest.approx(expected, abs=5 * error)


@pytest.mark.parametrize("hops", [1, 2, 8])
def test_without_decay_every_pair_has_the_closed_forms_fidelity(hops):
    got = run(pairs=1000, hops=(hop(),) * hops)
    assert got.fidelity == pytest.approx(bell.chain_fidelity(0.98, hops), abs=1e-12)


def test_stations_errors_enter_every_swap():
    got = run(pairs=10, hops=(hop(),) * 3, gate_reliability=0.99, readout_fidelity=0.98)
    state = bell.werner(0.98)
    for _ in range(2):
        state = bell.swap(state, bell.werner(0.98), gate_reliability=0.99, readout_fidelity=0.98)
    assert got.fidelity == pytest.approx(bell.fidelity(state), abs=1e-12)


def test_one_hop_delivers_as_often_as_it_is_heralded():
    took = np.diff(run(hops=(hop(0.2),)).delivered_ps)
    assert within_5_errors(took, TRIP_PS / 0.2 + TRIP_PS)  # the last trip is the far end's word


def test_two_hops_wait_for_the_slower_one():
    took = np.diff(run(hops=(hop(0.2, travel_ps=0),) * 2, swap_ps=PS_PER_US).delivered_ps)
    assert within_5_errors(took, TRIP_PS * waiting.mean_attempts_of_all(2, 0.2) + PS_PER_US)


def test_a_chain_that_starts_empty_waits_for_its_slowest_link():
    description = Chain(hops=(hop(0.1, travel_ps=0),) * 8)
    firsts = [chain.run(description, 1, stream(seed, "first")).delivered_ps[0] for seed in range(60_000)]
    assert within_5_errors(np.array(firsts), TRIP_PS * waiting.mean_attempts_of_all(8, 0.1))


def test_the_far_ends_word_passes_every_station_and_waits_there_for_the_swap():
    got = run(pairs=2, hops=(hop(1.0),) * 3, swap_ps=4 * TRIP_PS)
    # Heralded after 1 trip, swapped after 5, then two more trips from the first station to the far end.
    assert got.delivered_ps.tolist() == [7 * TRIP_PS, 14 * TRIP_PS]
    assert run(pairs=1, hops=(hop(1.0),) * 3).delivered_ps.tolist() == [4 * TRIP_PS]


@pytest.mark.parametrize("memory", [MemoryParameters(depolarising_s=1e-3), MemoryParameters(t2_s=1e-3)])
def test_waiting_for_the_other_side_costs_what_the_memories_lose(memory):
    p = 0.2
    got = run(hops=(hop(p, travel_ps=0),) * 2, memory=memory)
    rate = TRIP_PS / (1e-3 * PS_PER_S)
    # The earlier pair waits |k1 - k2| cycles in two memories; all four wait for the herald.
    factor, x = 1 - p, math.exp(-2 * rate)
    mean_wait = p / (2 - p) * (1 + 2 * factor * x / (1 - factor * x))
    expected = bell.werner(0.98).xx ** 2 * math.exp(-4 * rate) * mean_wait
    assert within_5_errors(got.xx, expected)
    assert got.yy == pytest.approx(got.xx)
    if math.isinf(memory.depolarising_s):  # dephasing spares it
        expected = bell.werner(0.98).xx ** 2
        assert got.zz == pytest.approx(expected)
    else:
        assert within_5_errors(got.zz, expected)


def test_unequal_hops_are_as_slow_as_the_slowest():
    slow, fast = hop(0.01), hop(1.0, cycle_ps=1000, travel_ps=0)
    took = np.diff(run(hops=(fast, slow, fast)).delivered_ps)
    assert took.mean() == pytest.approx(TRIP_PS / 0.01, rel=0.05)


def test_blocks_do_not_show():
    whole = run(pairs=3 * chain.PAIRS_PER_BLOCK, hops=(hop(),))
    assert (np.diff(whole.delivered_ps) >= TRIP_PS).all()
    first = run(pairs=chain.PAIRS_PER_BLOCK, hops=(hop(),))
    assert (whole.delivered_ps[: chain.PAIRS_PER_BLOCK] == first.delivered_ps).all()


def digest():
    got = run(pairs=2000, hops=(hop(0.1), hop(0.3), hop(0.2)), memory=MemoryParameters(t2_s=1e-2), swap_ps=7)
    return hashlib.sha256(got.delivered_ps.tobytes() + got.fidelity.tobytes()).hexdigest()


@pytest.mark.skipif(not compiled.HAS_NUMBA, reason="numba is not installed: there is one path only")
def test_pure_python_and_the_compiler_give_the_same_bits():
    script = "from tests.unit.physics.test_chain import digest; print(digest())"
    for disabled in ("0", "1"):
        ended = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout.strip() == digest()


@pytest.mark.skipif(not compiled.HAS_NUMBA, reason="numba is not installed: there is one path only")
def test_the_kernels_own_python_gives_the_same_integers():
    attempts = stream(1, "attempts").integers(1, 50, (300, 4))
    steps = [np.array(step, dtype=np.int64) for step in ([50, 60, 70, 80], [51, 61, 71, 81], [5, 6, 7, 8])]
    results = []
    for way in (chain.advance, getattr(chain.advance, "py_func", chain.advance)):
        free, delivered, waited = (np.zeros(size, dtype=np.int64) for size in (5, 300, 300))
        way(attempts, *steps, 3, free, delivered, waited)
        results.append((free.tolist(), delivered.tolist(), waited.tolist()))
    assert results[0] == results[1]


def test_a_chain_without_hops_is_refused():
    with pytest.raises(InputError, match="hop"):
        run(hops=())


def test_damping_is_refused_for_it_leaves_the_bell_diagonal_states():
    with pytest.raises(InputError, match="T1"):
        run(hops=(hop(),), memory=MemoryParameters(t1_s=1.0))

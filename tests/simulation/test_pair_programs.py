"""Programs that use nothing but the instruction set, against closed forms, in virtual time on the fabric."""

import math

import numpy as np
import pytest

from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.fabric.memory import Mischief
from qstrata.physics import bell, chain
from qstrata.physics.entanglement_distillation import Distillation, distil
from qstrata.physics.memories import MemoryParameters
from qstrata.physics.pair_link import BARRETT_KOK, SINGLE_CLICK, PairLinkParameters
from tests.simulation.pair_programs import Collecting, Distilling, Measuring, Teleporting
from tests.simulation.pair_world import PairWorld

NEAR = {"length_km": 0.1, "loss_db": 0.0}
SAMPLES = [4_000, pytest.param(300_000, marks=pytest.mark.campaign)]


def within_5_errors(mean, expected, error):
    return abs(mean - expected) <= 5 * error


@pytest.mark.parametrize("stations", [2, 4])
def test_both_ends_get_the_same_pairs_with_the_same_frames(stations):
    world = PairWorld(stations, Collecting, link=NEAR)
    world.run_until(lambda: len(world.tail.pairs) >= 200)
    head, tail = ([(pair.name, pair.frame) for _, pair in end.pairs] for end in (world.head, world.tail))
    assert len(set(head)) == len(head)
    assert abs(len(head) - len(tail)) <= 1
    assert all(a == b for a, b in zip(head, tail, strict=False))
    assert world.fabric.refusals() == ()


@pytest.mark.parametrize("pairs", SAMPLES)
@pytest.mark.parametrize("stations", [2, 3])
def test_bbm92_and_e91_find_the_error_rate_and_the_chsh_value_of_werner_pairs(stations, pairs):
    world = PairWorld(stations, Measuring, link=NEAR | {"fidelity": 0.95})
    world.run_until(lambda: len(world.tail.own) >= pairs)
    w = bell.werner(0.95).xx ** (stations - 1)
    ours, theirs = world.head.key(), world.tail.key()
    common = [name for name in ours if name in theirs]
    assert len(common) == pytest.approx(pairs / 4, abs=5 * math.sqrt(pairs * 3 / 16))
    errors = np.mean([ours[name] != theirs[name] for name in common])
    qber = bell.qber(bell.BellDiagonal(w, w, w))[0]
    assert within_5_errors(errors, qber, math.sqrt(qber * (1 - qber) / len(common)))
    for end in (world.head, world.tail):
        value, error = end.chsh()
        assert within_5_errors(value, 2 * math.sqrt(2) * w, error)
        assert value - 5 * error > 2 or pairs < 300_000  # no local model gives more


@pytest.mark.parametrize("stations", [2, 3])
def test_teleported_qubits_have_the_mean_fidelity_that_the_pair_allows(stations):
    world = PairWorld(stations, Teleporting, link=NEAR | {"fidelity": 0.95}, cells=3)
    world.run_until(lambda: len(world.tail.checks) >= 4_000)
    expected = bell.teleportation_fidelity(bell.chain_fidelity(0.95, stations - 1))
    error = math.sqrt(expected * (1 - expected) / 4_000)
    assert within_5_errors(1 - np.mean(world.tail.checks), expected, error)


def test_a_perfect_pair_teleports_perfectly():
    world = PairWorld(3, Teleporting, link=NEAR | {"fidelity": 1.0}, cells=3)
    world.run_until(lambda: len(world.tail.checks) >= 300)
    assert not any(world.tail.checks)


@pytest.mark.parametrize("stations", [2, 3])
def test_ends_distil_pairs_that_never_met(stations):
    world = PairWorld(stations, Distilling, link=NEAR | {"fidelity": 0.9}, cells=3)
    world.run_until(lambda: world.tail.tries >= 3_000)
    of_link = bell.werner(bell.chain_fidelity(0.9, stations - 1))
    expected = distil(Distillation.DEJMPS, of_link, of_link)
    ends = world.head, world.tail
    p, count = expected.probability, world.tail.tries
    assert within_5_errors(len(world.tail.measured) / count, p, math.sqrt(p * (1 - p) / count))
    errors = [
        a ^ b ^ frame >> 1
        for (name, frame, a), (same, _, b) in zip(*(end.measured for end in ends), strict=False)
        if name == same
    ]
    assert len(errors) >= count * p * 0.9
    qber = bell.qber(expected.pair)[0]
    assert within_5_errors(np.mean(errors), qber, math.sqrt(qber * (1 - qber) / len(errors)))
    assert qber < bell.qber(of_link)[0]


def kernel_run(stations, pairs, figures, memory):
    hop = chain.hop_over(PairLinkParameters(**figures))
    description = chain.Chain(hops=(hop,) * (stations - 1), memory=memory)
    return chain.run(description, pairs, stream(5, "kernel"))


@pytest.mark.parametrize("stations", [2, 3, 5])
def test_elements_and_kernel_deliver_at_the_same_rate(stations):
    figures = {"length_km": 10.0, "loss_db": 2.0}
    world = PairWorld(stations, Collecting, link=figures)
    world.run_until(lambda: len(world.tail.pairs) >= 2_000 and len(world.head.pairs) >= 2_000)
    took = np.diff([
        max(a, b) for (a, _), (b, _) in zip(world.head.pairs[:2000], world.tail.pairs, strict=False)
    ])  # fmt: skip
    reference = np.diff(kernel_run(stations, 200_000, figures, MemoryParameters()).delivered_ps)
    # Successive pairs share little: compare the means of tens.
    tens = took[: len(took) // 10 * 10].reshape(-1, 10).mean(axis=1)
    assert within_5_errors(tens.mean(), reference.mean(), tens.std() / math.sqrt(len(tens)))


@pytest.mark.parametrize(
    ("protocol", "memory"),
    [
        (BARRETT_KOK, MemoryParameters(depolarising_s=0.01)),
        (BARRETT_KOK, MemoryParameters(t2_s=0.005)),
        (SINGLE_CLICK, MemoryParameters(depolarising_s=0.01)),
    ],
)
def test_elements_and_kernel_deliver_the_same_errors_after_the_waits(protocol, memory):
    figures = {"length_km": 10.0, "loss_db": 2.0, "protocol": protocol}
    world = PairWorld(3, Measuring, link=figures, memory=memory)
    world.run_until(lambda: len(world.tail.own) >= 6_000)
    reference = kernel_run(3, 100_000, figures, memory)
    ours, theirs = world.head.key(), world.tail.key()
    for basis, correlator in ((0, reference.zz), (1, reference.xx)):
        wrong = [
            ours[name] != theirs[name] for name in ours if name in theirs and world.head.own[name][0] == basis
        ]
        expected = (1 - correlator.mean()) / 2
        assert within_5_errors(np.mean(wrong), expected, math.sqrt(expected * (1 - expected) / len(wrong)))


def test_a_cut_fibre_stops_the_chain_and_a_healed_one_lets_it_go_on():
    world = PairWorld(3, Collecting)
    world.run(0.1)
    world.inject("cut", "fibre/n01-n02")
    world.run(0.1)
    stopped = len(world.tail.pairs)
    assert stopped
    world.run(1.0)
    assert len(world.tail.pairs) == stopped
    world.heal("cut", "fibre/n01-n02")
    world.run(0.1)
    assert len(world.tail.pairs) > stopped
    head, tail = ([pair for _, pair in end.pairs] for end in (world.head, world.tail))
    assert [pair.name for pair in head][: len(tail)] == [pair.name for pair in tail][: len(head)]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_station_that_starts_anew_goes_on_with_its_device(index):
    world = PairWorld(3, Collecting)
    for _ in range(20):
        world.run(0.001)
        world.restart(index)
    before = len(world.tail.pairs)
    world.run(0.4)
    assert len(world.tail.pairs) > before
    head, tail = ({pair.name: pair.frame for _, pair in end.pairs} for end in (world.head, world.tail))
    assert all(tail[name] == frame for name, frame in head.items() if name in tail)


def test_lost_messages_cost_pairs_and_time_but_never_agreement():
    world = PairWorld(4, Collecting, mischief=Mischief(seed=1, loss_share=0.05))
    world.run(10.0)
    head, tail = ({pair.name: pair.frame for _, pair in end.pairs} for end in (world.head, world.tail))
    common = head.keys() & tail.keys()
    assert len(common) > 100
    assert all(head[name] == tail[name] for name in common)
    late = [max(at for at, _ in end.pairs) for end in (world.head, world.tail)]
    assert min(late) > world.queue.now - PS_PER_S


def test_pairs_that_wait_too_long_are_given_up_and_both_ends_go_on():
    figures = {"length_km": 10.0, "loss_db": 10.0}
    cutoff_ps = PS_PER_S // 2_000
    world = PairWorld(4, Measuring, link=figures, cutoff_ps=cutoff_ps, memory=MemoryParameters(t2_s=1e-3))
    world.run_until(lambda: len(world.tail.own) >= 300)
    free = PairWorld(4, Measuring, link=figures, memory=MemoryParameters(t2_s=1e-3))
    free.run_until(lambda: len(free.tail.own) >= 300)
    ours, theirs = world.head.key(), world.tail.key()
    assert {name for name in ours if name in theirs}
    errors = [
        np.mean([a.head.key()[name] != bit for name, bit in a.tail.key().items() if name in a.head.own])
        for a in (world, free)
    ]
    assert errors[0] < errors[1]


def test_equal_seeds_give_equal_event_logs_and_measured_bits_are_not_in_them():
    def log(seed):
        lines = []
        world = PairWorld(3, Measuring, seed=seed, lines=lines)
        world.run(0.05)
        world.recorder.flush()
        return lines

    first = log(1)
    assert first == log(1) != log(2)
    assert any(b"Measured" in line for line in first)
    assert all(line.rstrip().endswith(b'"]]') for line in first if b'"Measured"' in line)

"""Ends of a circuit that distil what they deliver, by the instruction set: states, words, losses."""

import math
from itertools import pairwise

import pytest

from qstrata.core.effects import SetBearer
from qstrata.core.time import PS_PER_MS
from qstrata.fabric.memory import Mischief
from qstrata.physics import bell
from qstrata.physics.bell import SIGNS
from qstrata.physics.entanglement_distillation import Distillation, distil
from qstrata.strata.forwarding.resource.pair_distiller import Pumping
from tests.simulation.pair_programs import AxisMeasuring, Collecting
from tests.simulation.pair_world import PairWorld

NEAR = {"length_km": 0.1, "loss_db": 0.0}
PAIRS = [2_000, pytest.param(60_000, marks=pytest.mark.campaign)]
"""Of the larger sample, 5 standard errors are less than 1 %."""


def pumped(protocol, raw, rounds, **figures):
    """Return the pair after so many rounds on fresh ones, and the mean number of fresh ones it took."""
    kept, spent = raw, 1.0
    for _ in range(rounds):
        got = distil(protocol, kept, raw, **figures)
        kept, spent = got.pair, (spent + 1.0) / got.probability
    return kept, spent


def seen(world):
    """Return the fidelity of the pairs that both ends measured, its standard error, and their number."""
    sums = [[0, 0] for _ in range(3)]
    for name, (frame, bit) in world.head.outcomes.items():
        if name in world.tail.outcomes:
            same, other = world.tail.outcomes[name]
            assert same == frame
            axis = AxisMeasuring.axis(name)
            sums[axis][0] += 1
            sums[axis][1] += SIGNS[frame][axis] * (1 - 2 * (bit ^ other))
    means = [total / count for count, total in sums]
    variance = sum((1 - mean**2) / count for (count, _), mean in zip(sums, means, strict=True))
    return (1 + sum(means)) / 4, math.sqrt(variance) / 4, sum(count for count, _ in sums)


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("protocol", Distillation)
@pytest.mark.parametrize(("stations", "rounds"), [(2, 2), (4, 1)])
def test_pairs_that_ends_deliver_are_as_good_and_cost_as_many_as_the_closed_form_says(
    protocol, stations, rounds, pairs
):
    noise = {"gate_reliability": 0.99}
    world = PairWorld(
        stations, AxisMeasuring, link=NEAR | {"fidelity": 0.93}, pumping=Pumping(protocol, rounds), **noise
    )
    world.run_until(lambda: len(world.tail.outcomes) >= pairs)
    raw = bell.werner(0.93)
    for _ in range(stations - 2):
        raw = bell.swap(raw, bell.werner(0.93), **noise)
    expected, cost = pumped(protocol, raw, rounds, **noise)
    fidelity, error, _ = seen(world)
    assert abs(fidelity - bell.fidelity(expected)) <= 5 * error
    assert bell.fidelity(expected) > bell.fidelity(raw)
    made = max(int(name.rpartition("/")[2]) for name in world.head.outcomes)
    assert made / len(world.head.outcomes) == pytest.approx(cost, rel=5 * 1.5 / math.sqrt(pairs))


def delivered(world):
    """Return what each end was given, by name."""
    return [{pair.name: pair.frame for _, pair in end.pairs} for end in (world.head, world.tail)]


def assert_agreed(world):
    """Hold that what one end kept the other kept too, as the same Bell state; the last may be on its way."""
    head, tail = delivered(world)
    assert all(tail[name] == frame for name, frame in head.items() if name in tail)
    late = {end.pairs[-1][1].name for end in (world.head, world.tail)}
    assert set(head) ^ set(tail) <= late


@pytest.mark.parametrize("protocol", Distillation)
@pytest.mark.parametrize("rounds", [1, 2])
def test_lost_messages_cost_pairs_but_no_end_keeps_what_the_other_has_given_up(protocol, rounds):
    world = PairWorld(
        4,
        Collecting,
        link=NEAR | {"fidelity": 0.9},
        pumping=Pumping(protocol, rounds),
        mischief=Mischief(seed=1, loss_share=0.02),
        gate_ps=1_000_000,
        two_qubit_gate_ps=5_000_000,
        measure_ps=5_000_000,
    )
    stops = []
    for _ in range(20):
        world.run(5.0)
        stops.append(len(world.tail.pairs))
    # It goes on at all times: every word that is missing is asked for within a tenth of a second or two.
    assert all(after - before >= 5 for before, after in pairwise(stops))
    assert_agreed(world)


@pytest.mark.parametrize("cutoff_ms", [0.7, 3])
def test_halves_that_wait_too_long_are_given_up_at_both_ends(cutoff_ms):
    cutoff_ps = round(cutoff_ms * PS_PER_MS)
    world = PairWorld(
        3,
        Collecting,
        link={"length_km": 10.0, "loss_db": 2.0, "fidelity": 0.95},
        pumping=Pumping(Distillation.DEJMPS, 1, cutoff_ps=cutoff_ps),
        cutoff_ps=cutoff_ps,
        mischief=Mischief(seed=2, loss_share=0.01),
    )
    world.run(4.0)
    assert len(world.tail.pairs) > 20
    head, tail = delivered(world)
    assert all(tail[name] == frame for name, frame in head.items() if name in tail)
    oldest = max(now - pair.created_ps for end in (world.head, world.tail) for now, pair in end.pairs)
    assert oldest <= cutoff_ps


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_station_that_starts_anew_in_the_midst_of_a_distillation_goes_on(index):
    world = PairWorld(3, Collecting, pumping=Pumping(Distillation.DEJMPS, 1), two_qubit_gate_ps=100_000_000)
    for _ in range(20):
        world.run(0.0015)
        world.restart(index)
    before = len(world.tail.pairs)
    world.run(2.0)
    assert len(world.tail.pairs) > before + 20
    assert all(len(end.pairs) > 20 for end in (world.head, world.tail))


def test_a_channel_that_is_cut_stops_distillation_and_a_healed_one_lets_it_go_on():
    world = PairWorld(3, Collecting, pumping=Pumping(Distillation.DEJMPS, 1))
    world.run(0.1)
    world.bearers.apply(SetBearer("n00-n01/pairs", intact=False))
    world.run(0.1)
    stopped = len(world.tail.pairs)
    world.run(1.0)
    assert len(world.tail.pairs) == stopped
    world.bearers.apply(SetBearer("n00-n01/pairs", intact=True))
    world.run(1.0)
    assert len(world.tail.pairs) > stopped
    assert_agreed(world)


def test_the_same_seed_gives_the_same_log():
    def log():
        lines = []
        world = PairWorld(3, Collecting, lines=lines, pumping=Pumping(Distillation.BBPSSW, 1))
        world.run(0.02)
        world.recorder.flush()
        return lines

    first = log()
    assert first == log()
    assert any(b"DistilPairs" in line for line in first)

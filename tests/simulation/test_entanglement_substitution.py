"""An eavesdropper gives separable pairs: programs at the ends see it by their test measurements."""

import math

import pytest

from qstrata.core.errors import InputError
from qstrata.physics import bell
from qstrata.physics.pair_attacks import (
    CHSH_GAME,
    PairCounts,
    chsh_of_settings,
    pair_findings,
    pair_power,
    substituted,
)
from qstrata.twin.faults import FaultBook
from tests.simulation.pair_programs import Measuring
from tests.simulation.pair_world import PairWorld

NEAR = {"length_km": 0.1, "loss_db": 0.0, "fidelity": 0.95}
HONEST = bell.werner(0.95)
SAMPLES = [3_000, pytest.param(60_000, marks=pytest.mark.campaign)]
WANTED = {(0, 2): 1, (0, 3): 1, (1, 2): 1, (1, 3): -1}


def compared(world: PairWorld) -> PairCounts:
    """Return what the head counts in its tests."""
    won = trials = 0.0
    found = world.head.correlations()
    for bases, sign in WANTED.items():
        mean, count = found[bases]
        trials += count
        won += count * (1 + sign * mean) / 2
    ours, theirs = world.head.key(), world.tail.key()
    basis = {name: world.head.own[name][0] for name in ours if name in theirs}
    tests = []
    for wanted in (0, 1):
        names = [name for name, used in basis.items() if used == wanted]
        tests.append((len(names), sum(ours[name] != theirs[name] for name in names)))
    return PairCounts((trials, round(won)), *tests)


def run(share: float, pairs: int, seed: int = 1) -> PairWorld:
    world = PairWorld(2, Measuring, link=NEAR, seed=seed)
    if share:
        world.inject("entanglement-substitution", "n00-n01", share)
        world.run(0.001)
    world.run_until(lambda: len(world.tail.own) >= pairs)
    return world


@pytest.mark.parametrize("pairs", SAMPLES)
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_e91_and_bbm92_find_what_the_closed_form_says(share, pairs):
    world = run(share, pairs)
    state = substituted(HONEST, share)
    value, error = world.head.chsh()
    assert abs(value - chsh_of_settings(state)) <= 5 * error
    counts = compared(world)
    for (trials, wrong), expected in zip((counts.z, counts.x), bell.qber(state), strict=True):
        assert abs(wrong / trials - expected) <= 5 * math.sqrt(expected * (1 - expected) / trials)


def test_the_tests_of_a_circuit_tell_the_attack_and_only_the_attack():
    counts = compared(run(0.7, 3_000))
    assert pair_power(HONEST, 0.7, counts)[CHSH_GAME] > 0.99
    assert CHSH_GAME in {reading.instrument for reading in pair_findings(counts, HONEST)}
    assert not pair_findings(compared(run(0.0, 3_000)), HONEST)


def test_only_a_link_of_pairs_can_be_attacked_so():
    book = FaultBook({"a-b": "fibre/a-b", "b-c": "fibre/b-c"}, (), ("fibre/b-c",))
    assert book.inject("entanglement-substitution", "b-c", 0.5, 0) == "fibre/b-c"
    with pytest.raises(InputError, match="b-c"):
        book.inject("entanglement-substitution", "a-b", 0.5, 0)

"""Keys for several slaves in virtual time: all or none of them, each once, whatever crashes or is lost."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec
import pytest

from qstrata.fabric.memory import Mischief
from qstrata.strata.service.resource import order
from qstrata.testing.checker import check
from qstrata.testing.history import calls_of
from tests.simulation.crash_mutants import KEYS, Mutant, flipped, wrapped
from tests.simulation.crash_world import DOWN_PS, Outcome, Point
from tests.simulation.several_world import MASTER, NAMED, SLAVE, UNNAMED, SeveralSlaves

SAMPLED = 12
LOSSY_SAMPLED = 4
LOSS_SHARE = 0.02
SHARES = 16
CAMPAIGN_SEEDS = tuple(range(1, 9))

ORDER = order.Order


@cache
def clean() -> tuple[Outcome, tuple[Point, ...], SeveralSlaves]:
    """Run without a crash: what comes of it, and where it could crash."""
    world = SeveralSlaves()
    return world.scenario(), tuple(world.points), world


def faults_of(outcome: Outcome) -> list[str]:
    broken = [f"{violation.rule}: {violation.text}" for violation in outcome.verdict.violations]
    return [f"{outcome.point}: {fault}" for fault in (*broken, *outcome.faults)]


def spread(points: Sequence[Point], count: int, start: int = 0) -> list[Point]:
    return [points[(start + index * len(points)) // count] for index in range(count)]


def test_every_named_slave_gets_every_key_and_nobody_else_does() -> None:
    outcome, points, world = clean()
    assert not faults_of(outcome)
    given = world.got(MASTER, "enc")
    assert len(given) > 100
    assert all(world.got(sae, "dec") == given for sae in NAMED)
    assert not world.got(UNNAMED, "dec")
    assert not world.got(MASTER, "dec")
    met = {point.what.split()[0] for point in points if point.how == "deliver"}
    assert {"TransferRequest", "Relay", "Placement", "Placed", "Returned", "TransferSettled"} <= met


def test_crash_at_a_sampled_point_leaves_all_slaves_with_the_same_keys_or_none() -> None:
    points = spread(clean()[1], SAMPLED, start=7)
    assert not [fault for point in points for fault in faults_of(SeveralSlaves(point).scenario())]


@pytest.mark.campaign
@pytest.mark.parametrize("share", range(SHARES))
def test_crash_at_any_point_leaves_all_slaves_with_the_same_keys_or_none(share: int) -> None:
    points = clean()[1][share::SHARES]
    assert not [fault for point in points for fault in faults_of(SeveralSlaves(point).scenario())]


def lossy_runs(seed: int, crashes: int) -> list[str]:
    mischief = Mischief(seed=seed, loss_share=LOSS_SHARE)
    world = SeveralSlaves(None, seed, mischief)
    faults = faults_of(world.scenario())
    for point in spread(world.points, crashes, start=seed):
        faults += faults_of(SeveralSlaves(point, seed, mischief).scenario())
    return faults


def test_lost_and_repeated_messages_break_nothing_for_several_slaves() -> None:
    assert not lossy_runs(1, LOSSY_SAMPLED)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", CAMPAIGN_SEEDS)
def test_lost_and_repeated_messages_break_nothing_for_several_slaves_at_many_crashes(seed: int) -> None:
    assert not lossy_runs(seed, 25)


def _unnamed_too(original: Any, self: Any, store: Any, *rest: Any) -> None:
    refill, deliver, sessions, *asked = rest
    unnamed = [store.pairs[pair] for pair in ((MASTER, UNNAMED),) if pair in store.pairs]
    original(self, store, refill, deliver, (*sessions, *unnamed), *asked)


def _copies_otherwise(original: Any, self: Any, mine: Any) -> Any:
    keys = original(self, mine)
    if mine.record.peer != NAMED[1]:
        return keys
    return [msgspec.structs.replace(key, bits=flipped(key.bits)) for key in keys]


def _do_not_wait(original: Any, self: Any, transfer: Any, now: int) -> Any:
    if not self._missing:
        return []
    self._missing = {transfer.header.transfer: transfer}
    return original(self, transfer, now)


def _finish_once_more(original: Any, self: Any, keys: Any, state: Any, sae: str = "") -> Any:
    saved = [msgspec.structs.replace(key, bits=key.bits.copy()) for key in keys if not key.own]
    changes = original(self, keys, state, sae)
    for key in saved:
        self.keys[key.key_id] = key
        self.from_peer.setdefault(key.sequence, {})[key.key_id] = None
    return changes


def far_end_crashed() -> SeveralSlaves:
    world = SeveralSlaves(Point("deliver", 0, "b", "Placement"))
    world.tell_ps = 3 * DOWN_PS
    return world


def fetched_twice() -> SeveralSlaves:
    world = SeveralSlaves()
    world.tries = (SLAVE, SLAVE)
    return world


MUTANTS: list[tuple[Mutant, Callable[[], SeveralSlaves]]] = [
    (Mutant("unnamed SAE has a copy", "right-pair", wrapped(ORDER, "__init__", _unnamed_too)), SeveralSlaves),
    (Mutant("copy differs", "equal-ends", wrapped(ORDER, "_copies", _copies_otherwise)), SeveralSlaves),
    (Mutant("one copy suffices", "nothing-lost", wrapped(ORDER, "placed", _do_not_wait)), far_end_crashed),
    (Mutant("copy given twice", "key-once", wrapped(KEYS, "finish", _finish_once_more)), fetched_twice),
]


def rules_broken(world: SeveralSlaves) -> set[str]:
    with suppress(Exception):  # what a mutant did until it fell over its own fault is judged all the same
        world.play()
    world.sim.recorder.flush()
    return {violation.rule for violation in check(world.lines, calls_of(world.sim.history)).violations}


@pytest.mark.parametrize(("mutant", "world"), MUTANTS, ids=[mutant.name for mutant, _ in MUTANTS])
def test_mutant_of_several_slaves_is_reported_by_the_rule_it_breaks(
    mutant: Mutant, world: Callable[[], SeveralSlaves], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant.install(monkeypatch)
    assert mutant.rule in rules_broken(world())


@pytest.mark.parametrize("world", [far_end_crashed, fetched_twice])
def test_unchanged_code_breaks_no_rule_for_several_slaves(world: Callable[[], SeveralSlaves]) -> None:
    assert not rules_broken(world())

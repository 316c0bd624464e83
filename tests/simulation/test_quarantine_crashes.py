"""The quarantine comes about whatever is lost and whoever crashes, and nothing set aside is used."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest

from qstrata.core.effects import Commit, Effects, Send
from qstrata.fabric.memory import Mischief
from qstrata.fabric.messages.service_control import KeysQuarantined
from qstrata.strata.forwarding.resource.pool import LinkPool
from qstrata.strata.service.resource.quarantine import Quarantine
from qstrata.strata.service.resource.session import Session
from tests.simulation.crash_mutants import wrapped
from tests.simulation.suspect_world import ORDERS, SITES, SuspectWorld

LOSS_SHARE = 0.02
EVERY = 16
SEEDS = (1, 2)


@cache
def clean() -> SuspectWorld:
    return SuspectWorld().play()


def faults_of(world: SuspectWorld) -> list[str]:
    found = [f"{world.point}: {one.rule}: {one.text}" for one in world.judged().violations]
    found += [f"{world.point}: {key} is left" for key in world.left()]
    if not world.windows():
        found.append(f"{world.point}: no block was suspected")
    if world.alarms():
        found.append(f"{world.point}: {world.alarms()} stand")
    return found


def crashed(point: tuple[str, int]) -> list[str]:
    world = SuspectWorld(point).play()
    assert world.crashed_ps >= 0, point
    return faults_of(world)


def test_without_a_crash_the_window_is_set_aside_down_to_the_keys() -> None:
    world = clean()
    assert not faults_of(world)
    assert all(world.quarantined(site) > 50 for site in SITES)
    assert min(first for first, _ in world.windows()) == 4
    assert world.judged().counts.answers_enc > 1000
    assert {how for how, _ in world.points} == {"lose", "keep-then-crash", "deliver"}


def test_crash_at_a_sampled_point_of_the_quarantine_leaves_no_suspect_key() -> None:
    assert not [fault for point in clean().points[::EVERY] for fault in crashed(point)]


@pytest.mark.campaign
def test_crash_at_any_point_of_the_quarantine_leaves_no_suspect_key() -> None:
    assert not [fault for point in clean().points for fault in crashed(point)]


@pytest.mark.parametrize("seed", SEEDS)
def test_lost_messages_do_not_keep_the_quarantine_from_coming_about(seed: int) -> None:
    mischief = Mischief(seed=seed, loss_share=LOSS_SHARE)
    assert not faults_of(SuspectWorld(mischief=mischief).play())


def test_the_first_messages_of_each_kind_may_be_lost() -> None:
    world = SuspectWorld()
    lost: Counter[str] = Counter()
    before = world.sim.assembly.fabric.hooks.before_deliver

    def lose(handle: Any, message: Any) -> bool:
        name = type(message).__name__
        if name in ORDERS and lost[name] < 3:
            lost[name] += 1
            return False
        return before(handle, message)

    world.sim.assembly.fabric.hooks.before_deliver = lose
    assert not faults_of(world.play())
    assert len(lost) == len(ORDERS)


def _keep_keys(original: Any, self: Session, batches: Any) -> list[Any]:
    return []


def _keep_blocks(original: Any, self: LinkPool, *args: Any) -> Any:
    return {}


def _forget_exposed(original: Any, self: Quarantine, *args: Any) -> Effects:
    (commit,) = original(self, *args)

    def answer(now: int) -> list[Any]:
        sends = [effect for effect in commit.then(now) if isinstance(effect, Send)]
        return [Send(s.to, _without_exposed(s.message)) for s in sends]

    return [Commit(commit.changes, answer)]


def _without_exposed(message: Any) -> Any:
    assert isinstance(message, KeysQuarantined)
    return msgspec.structs.replace(message, exposed=())


def _bar_nothing(patch: pytest.MonkeyPatch) -> None:
    wrapped(LinkPool, "forgo", _keep_blocks)(patch)
    wrapped(LinkPool, "bar", _keep_blocks)(patch)


MUTANTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a KME keeps suspect keys": ("set-aside", wrapped(Session, "quarantine", _keep_keys)),
    "a relay keeps suspect blocks": ("set-aside", _bar_nothing),
    "a KME forgets what it gave": ("exposed-named", wrapped(Quarantine, "impose", _forget_exposed)),
}
RULES_WITH_MUTANTS = {rule for rule, _ in MUTANTS.values()}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_quarantine_that_is_skipped_is_reported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, install = MUTANTS[name]
    install(monkeypatch)
    assert rule in {violation.rule for violation in SuspectWorld().play().judged().violations}

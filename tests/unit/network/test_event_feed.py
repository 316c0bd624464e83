"""The feed of events: one look serves every reader, a slow reader is cut, and the end is told."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest

from qstrata.core.errors import EnvironmentFaultError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.lab import Fault
from qstrata.fabric.messages.policy import ServiceState, UnitState
from qstrata.network import event_feed
from qstrata.network.event_feed import LOOKS_PER_S, MAX_READERS, EventFeed
from qstrata.network.remote import NetworkView
from qstrata.network.views import Heard
from tests.unit.network.test_events import seen

LOSS = Fault("loss", "fibre/a-b", 3.0, 0)
QUIET = Heard(faults=(), service=ServiceState(()))
HURT = Heard(faults=(LOSS,), service=ServiceState(()))


class Desk:
    """Answers from a list; waits when it is empty."""

    def __init__(self, *answers: Heard) -> None:
        self.answers = deque(answers)
        self.asked = 0
        self.more = asyncio.Event()
        self.now_ps = 7 * PS_PER_S

    async def hear(self) -> Heard:
        self.asked += 1
        while not self.answers:
            self.more.clear()
            await self.more.wait()
        return self.answers.popleft()

    def view(self, heard: Heard) -> NetworkView:
        return seen(heard)

    def say(self, *answers: Heard) -> None:
        self.answers.extend(answers)
        self.more.set()


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "_LOOK_S", 0.0)
    monkeypatch.setattr(event_feed, "_REST", 0.0)


def failed(error: Exception) -> None:
    raise error


def run(feed_of: Any, *answers: Heard) -> None:
    """Run a test with a feed that looks, and a desk with these answers."""

    async def main() -> None:
        desk = Desk(*answers)
        feed = EventFeed(desk, failed)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(feed.run())
            await feed_of(feed, desk)
            looking.cancel()

    asyncio.run(main())


async def event(lines: AsyncGenerator[bytes, None]) -> dict[str, Any]:
    told = json.loads(await anext(lines))
    assert isinstance(told, dict)
    return told


async def fault(lines: AsyncGenerator[bytes, None]) -> dict[str, Any]:
    while (told := await event(lines))["is"] != "fault":
        pass
    return told


def test_the_first_line_is_a_snapshot_and_then_comes_what_changed() -> None:
    async def reading(feed: EventFeed, desk: Desk) -> None:
        lines = feed.follow()
        first = await event(lines)
        assert (first["is"], first["at_s"], first["network"]["faults"]) == ("snapshot", 7.0, [])
        desk.say(HURT)
        assert await event(lines) == {
            "is": "fault",
            "at_s": 7.0,
            "injected": True,
            "kind": "loss",
            "target": "fibre/a-b",
            "amount": 3.0,
        }

    run(reading, QUIET)


def test_levels_come_once_a_second() -> None:
    async def reading(feed: EventFeed, desk: Desk) -> None:
        lines = feed.follow()
        await event(lines)
        desk.say(*[QUIET] * (3 * LOOKS_PER_S), HURT)
        told = [(await event(lines))["is"] for _ in range(4)]
        assert told == ["levels", "levels", "levels", "fault"]

    run(reading, QUIET)


def test_a_second_reader_gets_a_snapshot_of_its_own_and_the_same_events() -> None:
    async def reading(feed: EventFeed, desk: Desk) -> None:
        first, second = feed.follow(), feed.follow()
        await event(first)
        asking = asyncio.ensure_future(event(second))
        await asyncio.sleep(0)
        desk.say(HURT)
        assert (await event(first))["is"] == "fault"
        assert (await asking)["network"]["faults"] != []
        desk.say(QUIET)
        assert await event(first) == await event(second)

    run(reading, QUIET)


def test_a_fault_that_is_healed_between_two_looks_is_told() -> None:
    async def reading(feed: EventFeed, desk: Desk) -> None:
        lines = feed.follow()
        await event(lines)
        feed.heard_faults((LOSS,))
        feed.heard_faults(())
        desk.say(QUIET)
        assert [(await event(lines))["injected"] for _ in range(2)] == [True, False]

    run(reading, QUIET)


def test_a_manager_that_is_silent_for_a_while_changes_nothing() -> None:
    unit = UnitState("s", "u", "a", "b", "open", 1, ("a", "b"), "")

    async def reading(feed: EventFeed, desk: Desk) -> None:
        lines = feed.follow()
        await event(lines)
        desk.say(Heard(), HURT)
        assert (await event(lines))["is"] == "fault"

    run(reading, Heard(faults=(), service=ServiceState((unit,))))


def test_nobody_is_asked_while_nobody_reads() -> None:
    async def reading(feed: EventFeed, desk: Desk) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        assert desk.asked == 0
        lines = feed.follow()
        await event(lines)
        await lines.aclose()
        desk.say(*[QUIET] * 20)
        for _ in range(20):
            await asyncio.sleep(0)
        assert desk.asked <= 2

    run(reading, QUIET)


def test_a_reader_that_is_too_slow_is_cut_with_a_line_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_feed, "MAX_WAITING_BYTES", 4096)

    async def reading(feed: EventFeed, desk: Desk) -> None:
        slow, quick = feed.follow(), feed.follow()
        waiting = asyncio.ensure_future(event(slow))
        await event(quick)
        desk.say(QUIET)
        await waiting
        for _ in range(50):
            desk.say(HURT, QUIET)
            assert [(await fault(quick))["injected"] for _ in range(2)] == [True, False]
        told = [json.loads(line) async for line in slow]
        assert told[-1]["is"] == "cut"
        assert "too slow" in told[-1]["text"]
        assert sum(len(json.dumps(row, separators=(",", ":"))) for row in told[:-1]) <= 4096

    run(reading, QUIET)


def test_the_end_of_the_network_is_the_last_line_also_for_who_comes_late() -> None:
    async def reading(feed: EventFeed, desk: Desk) -> None:
        lines = feed.follow()
        await event(lines)
        feed.close("network lab goes down")
        feed.close("twice does no harm")
        late = feed.follow()
        for reader in (lines, late):
            (last,) = [json.loads(line) async for line in reader]
            assert (last["is"], last["text"]) == ("ended", "network lab goes down")

    run(reading, QUIET)


def test_one_reader_too_many_is_refused() -> None:
    async def reading(feed: EventFeed, desk: Desk) -> None:
        readers = [feed.follow() for _ in range(MAX_READERS)]
        waiting = [asyncio.ensure_future(event(reader)) for reader in readers]
        await asyncio.gather(*waiting)
        with pytest.raises(EnvironmentFaultError, match=f"{MAX_READERS} readers"):
            await event(feed.follow())
        await readers[0].aclose()
        again = asyncio.ensure_future(event(feed.follow()))
        await asyncio.sleep(0)
        desk.say(QUIET)
        assert (await again)["is"] == "snapshot"

    run(reading, QUIET)


def test_a_feed_that_fails_says_so_to_its_readers_and_ends() -> None:
    found: list[Exception] = []

    async def main() -> None:
        desk = Desk(QUIET)
        feed = EventFeed(desk, found.append)

        def broken(heard: Heard) -> NetworkView:
            raise ZeroDivisionError

        desk.view = broken  # type: ignore[method-assign]
        reading: Coroutine[Any, Any, dict[str, Any]] = event(feed.follow())
        told, _ = await asyncio.gather(reading, feed.run())
        assert told["is"] == "ended"
        assert "crash.log" in told["text"]

    asyncio.run(main())
    assert [type(error) for error in found] == [ZeroDivisionError]

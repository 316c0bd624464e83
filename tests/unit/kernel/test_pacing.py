"""Pacing: no event before its instant, logical time, input from outside, failures that surface."""

import asyncio
import threading

import pytest

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_MS
from qstrata.kernel.pacing import RealTimePacer
from qstrata.kernel.queue import EventQueue

NS_PER_MS = 1_000_000


class FakeClock:
    """A clock that stands at `ns` and goes on by `step_ns` each time it is read."""

    def __init__(self, step_ns=0):
        self.ns = 5_000 * NS_PER_MS
        self.step_ns = step_ns

    def __call__(self):
        self.ns += self.step_ns
        return self.ns


class Topical:
    topic = "T5"


def paced(rate=1.0, step_ns=0):
    queue, clock = EventQueue(), FakeClock(step_ns)
    pacer = RealTimePacer(queue, rate, clock)
    pacer.advance()
    return queue, clock, pacer


def test_an_event_does_not_run_while_the_clock_stands_before_it():
    queue, clock, pacer = paced()
    seen = []
    queue.push(3 * PS_PER_MS, seen.append, "due")
    clock.ns += 3 * NS_PER_MS - 1
    pacer.advance()
    assert seen == []
    clock.ns += 1
    pacer.advance()
    assert seen == ["due"]


def test_now_of_a_late_event_is_its_due_instant():
    queue, clock, pacer = paced()
    seen = []
    queue.push(2 * PS_PER_MS, lambda: seen.append(queue.now))
    clock.ns += 9 * NS_PER_MS
    pacer.advance()
    assert seen == [2 * PS_PER_MS]
    assert queue.now == 9 * PS_PER_MS


@pytest.mark.parametrize(
    ("rate", "reached_ps"), [(1.0, 4 * PS_PER_MS), (10.0, 40 * PS_PER_MS), (0.5, 2 * PS_PER_MS)]
)
def test_scaled_time_runs_at_its_rate(rate, reached_ps):
    queue, clock, pacer = paced(rate)
    clock.ns += 4 * NS_PER_MS
    pacer.advance()
    assert (queue.now, pacer.clock_ps()) == (reached_ps, reached_ps)


def test_network_time_goes_on_from_where_the_queue_stood():
    queue = EventQueue()
    queue.run_until(7 * PS_PER_MS)
    clock = FakeClock()
    pacer = RealTimePacer(queue, clock=clock)
    assert pacer.clock_ps() == 7 * PS_PER_MS
    clock.ns += NS_PER_MS
    assert pacer.clock_ps() == 8 * PS_PER_MS


def test_input_from_outside_comes_at_the_clock_after_what_was_due_before():
    queue, clock, pacer = paced()
    seen = []
    queue.push(2 * PS_PER_MS, lambda: seen.append(("due", queue.now)))
    pacer.post(lambda: seen.append(("outside", queue.now)))
    clock.ns += 5 * NS_PER_MS
    pacer.advance()
    assert seen == [("due", 2 * PS_PER_MS), ("outside", 5 * PS_PER_MS)]


def test_what_outside_input_makes_due_runs_in_the_same_turn():
    queue, _, pacer = paced()
    seen = []
    pacer.post(lambda: queue.push(queue.now, seen.append, "at once"))
    pacer.advance()
    assert seen == ["at once"]


def test_lateness_is_measured_by_topic_and_none_is_early():
    queue, clock, pacer = paced()
    queue.push(1 * PS_PER_MS, lambda handle: None, Topical())
    queue.push(2 * PS_PER_MS, lambda: None)
    clock.ns += 5 * NS_PER_MS
    pacer.advance()
    rows = {row.topic: row for row in pacer.lateness()}
    assert (rows["T5"].count, rows["T5"].max_ps, rows["T5"].early) == (1, 4 * PS_PER_MS, 0)
    assert (rows["timer"].count, rows["timer"].max_ps, rows["timer"].early) == (1, 3 * PS_PER_MS, 0)


def test_quantiles_are_within_a_sixteenth_of_the_exact_ones():
    queue, clock, pacer = paced()
    for late_ms in range(1, 201):
        queue.push((200 - late_ms) * PS_PER_MS, lambda: None)
    clock.ns += 200 * NS_PER_MS
    pacer.advance()
    (row,) = pacer.lateness()
    assert 100 * PS_PER_MS <= row.p50_ps <= 100 * PS_PER_MS * 17 // 16
    assert 198 * PS_PER_MS <= row.p99_ps <= row.max_ps == 200 * PS_PER_MS


def test_a_backlog_is_worked_off_in_slices_so_that_sockets_get_their_turn():
    queue, _, pacer = paced(step_ns=NS_PER_MS)
    seen = []
    for _ in range(100):
        queue.push(0, seen.append, "x")
    pacer.advance()
    assert 0 < len(seen) < 100
    while len(queue):
        pacer.advance()
    assert len(seen) == 100


def test_a_rate_of_zero_is_refused():
    with pytest.raises(InputError, match="above 0"):
        RealTimePacer(EventQueue(), 0.0)


def test_run_paces_along_the_real_clock_and_never_early():
    queue = EventQueue()
    pacer = RealTimePacer(queue)
    seen = []

    async def main():
        stop = asyncio.Event()

        def tick(left):
            seen.append((queue.now, pacer.clock_ps()))
            if left:
                queue.push(queue.now + PS_PER_MS, tick, left - 1)
            else:
                stop.set()

        queue.push(PS_PER_MS, tick, 9)
        await pacer.run(stop)

    asyncio.run(main())
    assert [now for now, _ in seen] == [n * PS_PER_MS for n in range(1, 11)]
    assert all(clock_ps >= now for now, clock_ps in seen)
    assert [row.early for row in pacer.lateness()] == [0]


def test_an_event_loop_that_fires_early_does_not_make_events_early(monkeypatch):
    queue = EventQueue()
    pacer = RealTimePacer(queue)

    async def main():
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        monkeypatch.setattr(
            loop, "call_later", lambda wait_s, *rest: loop.call_at(loop.time() + wait_s / 3, *rest)
        )
        queue.push(PS_PER_MS, stop.set)
        await pacer.run(stop)

    asyncio.run(main())
    assert [(row.count, row.early) for row in pacer.lateness()] == [(1, 0)]


def test_another_thread_may_post_and_the_call_runs_on_the_pacers_thread():
    queue = EventQueue()
    pacer = RealTimePacer(queue)
    threads = []

    async def main():
        stop = asyncio.Event()

        def outside():
            threads.append(threading.get_ident())
            stop.set()

        poster = threading.Thread(target=pacer.post, args=(outside,))
        queue.push(0, poster.start)
        await pacer.run(stop)
        poster.join()

    asyncio.run(main())
    assert threads == [threading.get_ident()]


def test_what_was_posted_on_the_pacers_thread_has_happened_when_post_returns():
    pacer = RealTimePacer(EventQueue())
    seen = []

    async def main():
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(pacer.run(stop))
            await asyncio.sleep(0)
            pacer.post(seen.append, "posted")
            assert seen == ["posted"]
            stop.set()

    asyncio.run(main())


def test_a_failure_in_an_event_ends_the_run_with_it():
    queue = EventQueue()
    pacer = RealTimePacer(queue)
    seen = []

    def broken():
        raise ValueError("broken")

    queue.push(0, broken)
    queue.push(0, seen.append, "after")
    stop = asyncio.Event()
    with pytest.raises(ValueError, match="broken"):
        asyncio.run(pacer.run(stop))
    assert stop.is_set()
    assert seen == []


def test_a_post_after_the_end_is_dropped_quietly():
    pacer = RealTimePacer(EventQueue())
    stop = asyncio.Event()
    stop.set()
    asyncio.run(pacer.run(stop))
    pacer.post(pytest.fail, "must not run")

"""Pacing: run the event queue along the clock, in real or scaled time, inside asyncio.

The logical `now` of an event stays its due instant; the clock only says when it may run. An event never
runs before its instant (event loops fire early: the clock is read again), and lateness is measured.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from time import monotonic_ns
from typing import Any

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.kernel.lateness import Lateness
from qstrata.kernel.queue import Event, EventQueue

_PS_PER_NS = 1_000
_SUB_BUCKETS = 16
_SLICE_PS = 5 * PS_PER_MS
_LONGEST_SLEEP_S = 1.0


class _Histogram:
    """Count latenesses in logarithmic buckets: bounded, whatever the length of the run."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.max_ps = 0
        self.early = 0

    def add(self, late_ps: int) -> None:
        self.count += 1
        if late_ps < 0:
            self.early += 1
            late_ps = 0
        if late_ps > self.max_ps:
            self.max_ps = late_ps
        bucket = _bucket(late_ps)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def quantile(self, share: Fraction) -> int:
        rank, seen = share * self.count, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(_upper(bucket), self.max_ps)
        return self.max_ps


class RealTimePacer:
    """Run an event queue at `rate` picoseconds of network time per picosecond of the clock.

    `clock` returns nanoseconds and never goes back; it is tied to the queue's `now` when `run` begins.
    Input from outside comes in with `post`. An exception in an event sets `stop` and ends `run` with it.
    """

    def __init__(self, queue: EventQueue, rate: float = 1.0, clock: Callable[[], int] = monotonic_ns) -> None:
        if not rate > 0:
            raise InputError(f"a pacing rate of {rate} is not possible: it must be above 0")
        self._queue = queue
        exact = Fraction(rate).limit_denominator(1_000_000)
        self._times, self._over_times = exact.numerator, exact.denominator
        self._is_real = self._times == self._over_times
        self._slice_ps = int(_SLICE_PS * exact)
        self._clock = clock
        self._start_ns: int | None = None
        self._start_ps = 0
        self._inbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._topics: dict[str, _Histogram] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._stop: asyncio.Event | None = None
        self._timer: asyncio.Handle | None = None
        self._armed_ps = 0
        self._running = False
        self._over = False
        self._failure: Exception | None = None

    def clock_ps(self) -> int:
        """Return the instant of network time that the clock has reached."""
        if self._start_ns is None:
            self._start_ns = self._clock()
            self._start_ps = self._queue.now
        elapsed_ps = (self._clock() - self._start_ns) * _PS_PER_NS
        if not self._is_real:
            elapsed_ps = elapsed_ps * self._times // self._over_times
        return self._start_ps + elapsed_ps

    def behind_ps(self) -> int:
        """Return how far the clock has gone past what is due next; 0 where nothing is."""
        due_ps = self._queue.next_due()
        return 0 if due_ps is None else max(0, self.clock_ps() - due_ps)

    def post(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function(*arguments)` on the pacer's thread, at the clock's instant; from any thread.

        Events that are due before run first. On the pacer's own thread it has been called when this
        returns, unless an event is running; before `run` it waits for it, after `run` it never is.
        """
        if self._over:
            return
        self._inbox.append((function, arguments))
        loop = self._loop
        if loop is None:
            return
        if threading.get_ident() == self._thread:
            self._turn()
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._turn)

    async def run(self, stop: asyncio.Event) -> None:
        """Pace the queue until `stop` is set; raises what an event raised."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stop = stop
        try:
            self._turn()
            await stop.wait()
        finally:
            self._disarm()
            self._over = True
            self._loop = self._stop = None
        if self._failure is not None:
            raise self._failure

    def advance(self) -> None:
        """Run what is due by the clock and what has been posted; what is due, in slices of time."""
        for _ in range(len(self._inbox)):
            self._run_due()
            function, arguments = self._inbox.popleft()
            function(*arguments)
        self._run_due()

    def lateness(self) -> tuple[Lateness, ...]:
        """Return how late events ran, by topic: the arrow of a delivery, `timer` for everything else."""
        return tuple(
            Lateness(
                topic=topic,
                count=histogram.count,
                p50_ps=histogram.quantile(Fraction(1, 2)),
                p99_ps=histogram.quantile(Fraction(99, 100)),
                max_ps=histogram.max_ps,
                early=histogram.early,
            )
            for topic, histogram in sorted(self._topics.items())
        )

    def _run_due(self) -> None:
        queue = self._queue
        limit_ps = clock_ps = self.clock_ps()
        while (head := queue.head()) is not None and head[0] <= limit_ps:
            if clock_ps > limit_ps + self._slice_ps:
                return
            self._measure(head, clock_ps)
            queue.step()
            clock_ps = self.clock_ps()
        queue.run_until(limit_ps)

    def _measure(self, event: Event, clock_ps: int) -> None:
        due_ps, _, _, arguments = event
        topic: str = getattr(arguments[0], "topic", "timer") if arguments else "timer"
        self.count(topic, clock_ps - due_ps)

    def count(self, topic: str, late_ps: int) -> None:
        """Count something that came so many picoseconds of network time after its instant."""
        histogram = self._topics.get(topic)
        if histogram is None:
            histogram = self._topics[topic] = _Histogram()
        histogram.add(late_ps if self._is_real else late_ps * self._over_times // self._times)

    def _turn(self) -> None:
        if self._running or self._failure is not None or self._stop is None or self._stop.is_set():
            return
        self._running = True
        try:
            self.advance()
        except Exception as error:
            self._failure = error
            self._stop.set()
            return
        finally:
            self._running = False
        self._arm()

    def _fired(self) -> None:
        self._timer = None
        self._turn()

    def _arm(self) -> None:
        if self._loop is None:
            return
        due_ps = self._queue.now if self._inbox else self._queue.next_due()
        if due_ps is None:
            self._disarm()
        elif self._timer is None or due_ps < self._armed_ps:
            # A timer that fires too soon arms the next one: cheaper than a new one after every turn.
            self._disarm()
            self._armed_ps = due_ps
            wait_ps = (due_ps - self.clock_ps()) * self._over_times // self._times
            wait_s = min(max(wait_ps, 0) / PS_PER_S, _LONGEST_SLEEP_S)
            self._timer = self._loop.call_later(wait_s, self._fired)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _bucket(value: int) -> int:
    """Return the number of the bucket: exact below 16, then 16 buckets for each doubling."""
    if value < _SUB_BUCKETS:
        return value
    shift = value.bit_length() - _SUB_BUCKETS.bit_length()
    return (shift + 1) * _SUB_BUCKETS + (value >> shift) - _SUB_BUCKETS


def _upper(bucket: int) -> int:
    """Return the largest value of a bucket."""
    if bucket < _SUB_BUCKETS:
        return bucket
    shift = bucket // _SUB_BUCKETS - 1
    return ((bucket % _SUB_BUCKETS + _SUB_BUCKETS + 1) << shift) - 1

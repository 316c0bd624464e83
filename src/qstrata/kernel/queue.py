"""The event queue: one heap of (due instant, sequence number); virtual and real time share it."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Event = tuple[int, int, Callable[..., object], tuple[Any, ...]]


class EventQueue:
    """Hold what is due, in integer picoseconds; equal instants keep the order in which they came.

    `now` is the due instant of the event that runs, so time inside the network is logical: it never
    goes back, and no clock is read here.
    """

    __slots__ = ("_heap", "_sequence", "now")

    def __init__(self) -> None:
        self.now = 0
        self._heap: list[Event] = []
        self._sequence = 0

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._heap)

    def push(self, due_ps: int, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function(*arguments)` at an instant; one that has passed means now, after what waits."""
        if due_ps < self.now:
            due_ps = self.now
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (due_ps, sequence, function, arguments))

    def next_due(self) -> int | None:
        """Return the instant of the next event, None when nothing waits."""
        return self._heap[0][0] if self._heap else None

    def head(self) -> Event | None:
        """Return the next event without taking it, None when nothing waits."""
        return self._heap[0] if self._heap else None

    def step(self) -> bool:
        """Process the next event at its due instant; tell whether there was one."""
        if not self._heap:
            return False
        self.now, _, function, arguments = heappop(self._heap)
        function(*arguments)
        return True

    def run_until(self, time_ps: int) -> None:
        """Process every event due at or before an instant, also those that arise; then it is now."""
        heap = self._heap
        while heap and heap[0][0] <= time_ps:
            self.now, _, function, arguments = heappop(heap)
            function(*arguments)
        if time_ps > self.now:
            self.now = time_ps

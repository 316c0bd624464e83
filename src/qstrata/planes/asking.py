"""What must arrive is asked again: requests that stand until answered, serial numbers, subscriptions."""

from collections.abc import Hashable, Sequence
from functools import partial

from qstrata.core.effects import Effect, Effects, Handle, Send, Timer
from qstrata.core.time import PS_PER_S, PS_PER_US
from qstrata.fabric.messages.base import Message


class Serials:
    """Draw rising numbers that also rise over a restart, for they follow the clock in microseconds.

    A restart within as many microseconds as numbers were drawn ahead of the clock would repeat some;
    `observe` tells of numbers still in force elsewhere.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self, now: int) -> int:
        """Return a number above all drawn or observed."""
        self._last = max(self._last + 1, now // PS_PER_US)
        return self._last

    def observe(self, number: int) -> None:
        """Take note of a number in force elsewhere."""
        self._last = max(self._last, number)


class _Asked:
    __slots__ = ("due_ps", "sends", "wait_ps")

    def __init__(self, sends: tuple[Send, ...], wait_ps: int, due_ps: int) -> None:
        self.sends = sends
        self.wait_ps = wait_ps
        self.due_ps = due_ps


class Outbox:
    """Keep requests until they are settled, and send them again at doubling intervals.

    `period_ps` is the first interval, `longest_ps` the greatest. Nothing is sent, and no timer runs,
    while nothing stands.
    """

    def __init__(self, period_ps: int = PS_PER_S, longest_ps: int = 8 * PS_PER_S) -> None:
        self._period_ps = period_ps
        self._longest_ps = longest_ps
        self._asked: dict[Hashable, _Asked] = {}
        self._armed_ps: int | None = None

    def ask(self, key: Hashable, sends: Sequence[Send], now: int) -> list[Effect]:
        """Send now, and again until settled; replaces what stood under the same key."""
        self._asked[key] = _Asked(tuple(sends), self._period_ps, now + self._period_ps)
        return [*sends, *self._arm()]

    def settle(self, key: Hashable) -> bool:
        """Forget a request; tells whether it stood."""
        return self._asked.pop(key, None) is not None

    def stands(self, key: Hashable) -> bool:
        """Tell whether a request is unanswered."""
        return key in self._asked

    def clear(self) -> None:
        """Forget every request."""
        self._asked.clear()

    def _arm(self) -> list[Effect]:
        due_ps = min((asked.due_ps for asked in self._asked.values()), default=None)
        if due_ps is None or (self._armed_ps is not None and self._armed_ps <= due_ps):
            return []
        self._armed_ps = due_ps
        return [Timer(due_ps, partial(self._again, due_ps))]

    def _again(self, armed_ps: int, now: int) -> Effects:
        if armed_ps != self._armed_ps:
            return ()
        self._armed_ps = None
        effects: list[Effect] = []
        for asked in self._asked.values():
            if asked.due_ps <= now:
                effects += asked.sends
                asked.wait_ps = min(2 * asked.wait_ps, self._longest_ps)
                asked.due_ps = now + asked.wait_ps
        return [*effects, *self._arm()]


class Subscription:
    """Subscribe at a telemetry element, and again whenever it has been silent for `patience_ps`."""

    def __init__(self, to: Handle, request: Message, patience_ps: int = 3 * PS_PER_S) -> None:
        self._send = Send(to, request)
        self._patience_ps = patience_ps
        self._heard_ps = 0

    def start(self, now: int) -> Effects:
        """Subscribe, and keep watch."""
        self._heard_ps = now
        return (self._send, Timer(now + self._patience_ps, self._watch))

    def heard(self, now: int) -> None:
        """Take note of a report."""
        self._heard_ps = now

    def _watch(self, now: int) -> Effects:
        again = Timer(now + self._patience_ps, self._watch)
        return (self._send, again) if now - self._heard_ps >= self._patience_ps else (again,)

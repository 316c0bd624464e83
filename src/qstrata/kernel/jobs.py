"""Jobs in virtual time: joined at their due instant, in the order of the queue, whatever they take."""

from collections.abc import Callable
from typing import Protocol

from qstrata.core.effects import Work, WorkDone
from qstrata.kernel.queue import EventQueue


class Ticket(Protocol):
    """Work under way."""

    def wait(self) -> WorkDone:
        """Wait until it is over, and return what came of it."""
        ...


class JoinedJobs:
    """Begin work when it is asked for, and wait for it at its due instant: the executor of virtual runs."""

    def __init__(self, queue: EventQueue, begin: Callable[[Work], Ticket]) -> None:
        self._queue = queue
        self._begin = begin

    def __call__(self, work: Work, due_ps: int, done: Callable[[WorkDone], None]) -> None:
        """Call `done` at `due_ps` with what came of the work."""
        self._queue.push(due_ps, self._join, self._begin(work), done)

    def _join(self, ticket: Ticket, done: Callable[[WorkDone], None]) -> None:
        done(ticket.wait())

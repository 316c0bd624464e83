"""What an element asks for when it has been called: messages, durable changes, wake-ups, notes, work.

An element returns effects and performs none. Where an effect ends later (a commit, a timer), it
carries `then`: what to do at that instant, which again returns effects. If the node crashes in
between, `then` is never called.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

import msgspec


class Handle(Protocol):
    """One direction of one arrow between two elements, bound once; made by a port of the fabric."""


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of the durable ledger; a subclass names its `kind` and makes its `key`."""

    kind: ClassVar[str] = ""

    @property
    def key(self) -> str:
        """Return the identity of the row among the rows of its kind at one node."""
        raise NotImplementedError

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return what the event log may hold of the row: integers and ids, never secrets."""
        return ()


class LogEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of the event log that an element writes itself: integers and ids only."""


class Send(msgspec.Struct, frozen=True):
    """Send a message on a bound handle; it may be lost, the sender learns by its own deadline."""

    to: Handle
    message: object


class Put(msgspec.Struct, frozen=True, gc=False):
    """Insert or replace one row of the ledger."""

    record: Record


class Drop(msgspec.Struct, frozen=True, gc=False):
    """Delete one row of the ledger; harmless when absent."""

    kind: str
    key: str


class Commit(msgspec.Struct, frozen=True):
    """Make changes durable, all or none, in the order of the node's commits; then go on."""

    changes: tuple["Put | Drop", ...]
    then: "Then | None" = None


class Timer(msgspec.Struct, frozen=True):
    """Go on at an instant; an instant that has passed means at once."""

    due_ps: int
    then: "Then"


class Note(msgspec.Struct, frozen=True, gc=False):
    """Write an entry to the event log."""

    entry: LogEntry


class SetBearer(msgspec.Struct, frozen=True, gc=False):
    """Change one side of a row of the bearer table.

    `granted` is said by connectivity.res, `intact`, `delay_ps` and `replayed` by the world; None leaves it.
    """

    bearer: str
    granted: bool | None = None
    intact: bool | None = None
    delay_ps: int | None = None
    replayed: float | None = None


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Say what is to be done off the loop, whole: a pure function of these fields and the code that does it.

    `topic` is what its lateness is counted under; `limit_s` how long it may take by the clock.
    """

    topic: str
    limit_s: float


class Wipeable(Protocol):
    """What may hold secrets, shows none, and can be overwritten."""

    def wipe(self) -> None:
        """Overwrite the secrets, as well as may be; harmless when they are gone already."""


class Computation(Work, frozen=True, kw_only=True):
    """Work on a thread of this process, for what must not leave it: `turn` is called once and shows nothing.

    What it works on is its own until it is joined: nobody else reads or writes it meanwhile. `limit_s` is
    not kept, for a thread cannot be stopped.
    """

    turn: Callable[[], Wipeable]
    limit_s: float = math.inf

    def __repr__(self) -> str:
        """Show what it is counted under, and nothing of what it works on."""
        return f"Computation({self.topic!r})"


class WorkDone(msgspec.Struct, frozen=True, kw_only=True):
    """What came of work: `output`, or `made` by a computation; or in `failure` why there is none.

    `took_s` is what it took by the clock, for figures of speed alone; `late_ps` how long after its due
    instant it came.
    """

    output: bytes = b""
    made: Wipeable | None = None
    failure: str = ""
    took_s: float = 0.0
    late_ps: int = 0


class Job(msgspec.Struct, frozen=True):
    """Have work done off the loop and go on with what came of it at `due_ps`, never earlier.

    Virtual time waits for it there; in real time what is not done by then is handed over when it is, and
    counted as late.
    """

    work: Work
    due_ps: int
    then: "Callable[[WorkDone, int], Effects]"


Effect = Send | Commit | Timer | Note | SetBearer | Job
Effects = Sequence[Effect]
Then = Callable[[int], Effects]

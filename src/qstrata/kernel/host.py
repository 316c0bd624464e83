"""The host: holds the elements of nodes, and performs what they ask for through injected executors."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from qstrata.core.address import Address
from qstrata.core.effects import (
    Commit,
    Drop,
    Effects,
    Job,
    LogEntry,
    Note,
    Put,
    Send,
    SetBearer,
    Then,
    Timer,
    Work,
    WorkDone,
)
from qstrata.core.errors import InternalError
from qstrata.kernel.element import Element
from qstrata.kernel.queue import EventQueue

Changes = Sequence[Put | Drop]
Receiver = Callable[[Any, Address], None]


class CommitExecutor(Protocol):
    """Make changes of a node durable, in order, and call `done` once they are."""

    def __call__(self, node: str, changes: Changes, done: Callable[[], None], now: int, /) -> None: ...


class JobExecutor(Protocol):
    """Have work done off the loop and call `done` with what came of it, at its due instant or later."""

    def __call__(self, work: Work, due_ps: int, done: Callable[[WorkDone], None], /) -> None: ...


def no_jobs(work: Work, due_ps: int, done: Callable[[WorkDone], None]) -> None:
    """Be the executor of a host whose elements have no work done off the loop; InternalError."""
    raise InternalError(f"{type(work).__name__} for {work.topic}: this host has no executor of jobs")


class _Seat:
    """Who asks for effects at a node; what was asked for by a dead one is never gone on with."""

    __slots__ = ("alive", "node")

    def __init__(self, node: str) -> None:
        self.node = node
        self.alive = True


class _Life(_Seat):
    """One incarnation of a node, and the seats of its elements."""

    __slots__ = ("elements", "incarnation", "seats")

    def __init__(self, node: str, incarnation: int) -> None:
        super().__init__(node)
        self.incarnation = incarnation
        self.elements: dict[Address, Element] = {}
        self.seats: dict[Address, _Seat] = {}

    def end(self) -> tuple[Element, ...]:
        """End the incarnation; returns its elements."""
        self.alive = False
        for seat in self.seats.values():
            seat.alive = False
        gone = tuple(self.elements.values())
        self.elements, self.seats = {}, {}
        return gone


class Host:
    """Run elements on an event queue.

    `send(handle, message, node, now)`, `commit(node, changes, done, now)`, `note(entry, now)` and
    `set_bearer(effect, now)` perform effects; `durable(node, changes, now)` is told what has become
    durable, also after the node has crashed; `job(work, due_ps, done)` has work done off the loop. An
    exception in an element goes to whoever runs the queue.
    """

    def __init__(
        self,
        queue: EventQueue,
        send: Callable[[Any, Any, str, int], None],
        commit: CommitExecutor,
        note: Callable[[LogEntry, int], None],
        set_bearer: Callable[[SetBearer, int], None],
        durable: Callable[[str, Changes, int], None] | None = None,
        job: JobExecutor = no_jobs,
    ) -> None:
        self._queue = queue
        self._send = send
        self._commit = commit
        self._note = note
        self._set_bearer = set_bearer
        self._durable = durable
        self._job = job
        self._lives: dict[str, _Life] = {}

    def spawn(self, node: str, element: Element) -> None:
        """Put an element on a node and start it; InternalError when its address is taken there."""
        life = self._lives.get(node)
        if life is None or not life.alive:
            life = self._lives[node] = _Life(node, self.incarnation(node) + 1)
        if element.address in life.elements:
            raise InternalError(f"{element.address} runs on node {node} already")
        life.elements[element.address] = element
        seat = life.seats[element.address] = _Seat(node)
        now = self._queue.now
        self._perform(seat, element.start(now), now)

    def receiver(self, element: Element) -> Receiver:
        """Return what a fabric calls to hand a message to a spawned element; silent once it is dead."""
        seat = self._seat_of(element)
        queue = self._queue
        perform = self._perform
        handle = element.receive

        def receive(message: Any, sender: Address) -> None:
            if seat.alive:
                now = queue.now
                effects = handle(message, sender, now)
                if effects:
                    perform(seat, effects, now)

        return receive

    def act(self, element: Element, effects: Effects, now: int) -> None:
        """Perform effects in the name of a spawned element; InternalError for one that does not run."""
        self._perform(self._seat_of(element), effects, now)

    def retire(self, node: str, address: Address) -> Element:
        """Remove one element of a node and all that it waits for; what it commits becomes durable still.

        InternalError for one that does not run.
        """
        life = self._lives.get(node)
        if life is None or address not in life.elements:
            raise InternalError(f"{address} does not run on node {node}: spawn it first")
        life.seats.pop(address).alive = False
        element = life.elements.pop(address)
        life.alive = bool(life.elements)
        return element

    def crash(self, node: str) -> tuple[Element, ...]:
        """Remove a node's elements and all that they wait for; return them. Harmless on a dead node."""
        life = self._lives.get(node)
        if life is None or not life.alive:
            return ()
        return life.end()

    def elements(self, node: str) -> tuple[Element, ...]:
        """Return the elements that run on a node, in the order in which they were spawned."""
        life = self._lives.get(node)
        return tuple(life.elements.values()) if life is not None else ()

    def nodes(self) -> tuple[str, ...]:
        """Return the nodes that live, in the order in which they first did."""
        return tuple(node for node, life in self._lives.items() if life.alive)

    def incarnation(self, node: str) -> int:
        """Return how many times a node has come to life."""
        life = self._lives.get(node)
        return life.incarnation if life is not None else 0

    def perform(self, node: str, effects: Effects, now: int) -> None:
        """Perform effects in the name of a living node; InternalError for another."""
        life = self._lives.get(node)
        if life is None or not life.alive:
            raise InternalError(f"node {node} does not run: spawn an element on it first")
        self._perform(life, effects, now)

    def _perform(self, seat: _Seat, effects: Effects, now: int) -> None:
        for effect in effects:
            if not seat.alive:
                return
            if isinstance(effect, Send):
                self._send(effect.to, effect.message, seat.node, now)
            elif isinstance(effect, Timer):
                self._queue.push(effect.due_ps, self._resume, seat, effect.then)
            elif isinstance(effect, Commit):
                done = partial(self._on_durable, seat, effect.changes, effect.then)
                self._commit(seat.node, effect.changes, done, now)
            elif isinstance(effect, Note):
                self._note(effect.entry, now)
            elif isinstance(effect, Job):
                self._job(effect.work, effect.due_ps, partial(self._joined, seat, effect.then))
            else:
                self._set_bearer(effect, now)

    def _on_durable(self, seat: _Seat, changes: Changes, then: Then | None) -> None:
        queue = self._queue
        if self._durable is not None:
            self._durable(seat.node, changes, queue.now)
        if then is not None and seat.alive:
            queue.push(queue.now, self._resume, seat, then)

    def _joined(self, seat: _Seat, then: Callable[[WorkDone, int], Effects], done: WorkDone) -> None:
        if seat.alive:
            now = self._queue.now
            effects = then(done, now)
            if effects:
                self._perform(seat, effects, now)
        elif done.made is not None:
            done.made.wipe()

    def _resume(self, seat: _Seat, then: Then) -> None:
        if seat.alive:
            now = self._queue.now
            effects = then(now)
            if effects:
                self._perform(seat, effects, now)

    def _seat_of(self, element: Element) -> _Seat:
        for life in self._lives.values():
            if life.elements.get(element.address) is element:
                return life.seats[element.address]
        raise InternalError(f"{element.address} does not run: spawn it first")

"""The host: holds the elements of nodes, and performs what they ask for through injected executors."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from qstrata.core.address import Address
from qstrata.core.effects import Commit, Drop, Effects, LogEntry, Note, Put, Send, SetBearer, Then, Timer
from qstrata.core.errors import InternalError
from qstrata.kernel.element import Element
from qstrata.kernel.queue import EventQueue

Changes = Sequence[Put | Drop]
Receiver = Callable[[Any, Address], None]


class CommitExecutor(Protocol):
    """Make changes of a node durable, in order, and call `done` once they are."""

    def __call__(self, node: str, changes: Changes, done: Callable[[], None], now: int, /) -> None: ...


class _Life:
    """One incarnation of a node; what was asked for by a dead one is never gone on with."""

    __slots__ = ("alive", "elements", "incarnation", "node")

    def __init__(self, node: str, incarnation: int) -> None:
        self.node = node
        self.incarnation = incarnation
        self.alive = True
        self.elements: dict[Address, Element] = {}


class Host:
    """Run elements on an event queue.

    `send(handle, message, node, now)`, `commit(node, changes, done, now)`, `note(entry, now)` and
    `set_bearer(effect, now)` perform effects; `durable(node, changes, now)` is told what has become
    durable, also after the node has crashed. An exception in an element goes to whoever runs the queue.
    """

    def __init__(
        self,
        queue: EventQueue,
        send: Callable[[Any, Any, str, int], None],
        commit: CommitExecutor,
        note: Callable[[LogEntry, int], None],
        set_bearer: Callable[[SetBearer, int], None],
        durable: Callable[[str, Changes, int], None] | None = None,
    ) -> None:
        self._queue = queue
        self._send = send
        self._commit = commit
        self._note = note
        self._set_bearer = set_bearer
        self._durable = durable
        self._lives: dict[str, _Life] = {}

    def spawn(self, node: str, element: Element) -> None:
        """Put an element on a node and start it; InternalError when its address is taken there."""
        life = self._lives.get(node)
        if life is None or not life.alive:
            life = self._lives[node] = _Life(node, self.incarnation(node) + 1)
        if element.address in life.elements:
            raise InternalError(f"{element.address} runs on node {node} already")
        life.elements[element.address] = element
        now = self._queue.now
        self._perform(life, element.start(now), now)

    def receiver(self, element: Element) -> Receiver:
        """Return what a fabric calls to hand a message to a spawned element; silent once it is dead."""
        life = self._life_of(element)
        queue = self._queue
        perform = self._perform
        handle = element.receive

        def receive(message: Any, sender: Address) -> None:
            if life.alive:
                now = queue.now
                effects = handle(message, sender, now)
                if effects:
                    perform(life, effects, now)

        return receive

    def crash(self, node: str) -> tuple[Element, ...]:
        """Remove a node's elements and all that they wait for; return them. Harmless on a dead node."""
        life = self._lives.get(node)
        if life is None or not life.alive:
            return ()
        life.alive = False
        gone = tuple(life.elements.values())
        life.elements = {}
        return gone

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

    def _perform(self, life: _Life, effects: Effects, now: int) -> None:
        for effect in effects:
            if not life.alive:
                return
            if isinstance(effect, Send):
                self._send(effect.to, effect.message, life.node, now)
            elif isinstance(effect, Timer):
                self._queue.push(effect.due_ps, self._resume, life, effect.then)
            elif isinstance(effect, Commit):
                done = partial(self._on_durable, life, effect.changes, effect.then)
                self._commit(life.node, effect.changes, done, now)
            elif isinstance(effect, Note):
                self._note(effect.entry, now)
            else:
                self._set_bearer(effect, now)

    def _on_durable(self, life: _Life, changes: Changes, then: Then | None) -> None:
        queue = self._queue
        if self._durable is not None:
            self._durable(life.node, changes, queue.now)
        if then is not None and life.alive:
            queue.push(queue.now, self._resume, life, then)

    def _resume(self, life: _Life, then: Then) -> None:
        if life.alive:
            now = self._queue.now
            effects = then(now)
            if effects:
                self._perform(life, effects, now)

    def _life_of(self, element: Element) -> _Life:
        for life in self._lives.values():
            if life.elements.get(element.address) is element:
                return life
        raise InternalError(f"{element.address} does not run: spawn it first")

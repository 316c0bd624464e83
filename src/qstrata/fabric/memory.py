"""The memory fabric: one process, deterministic, with the weakest semantics that any fabric may have.

First-in first-out per pair of ends, whatever the delay does; silent loss; bounded queues; a message twice
after a reconnect, and earlier ones again on a bearer whose messages are replayed. Messages travel by
reference, key material as the receiver's own copy.
"""

from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from qstrata.core.address import Address
from qstrata.core.errors import RefusedError
from qstrata.core.randomness import stream
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.figure import Arrow, Ride, arrow_between
from qstrata.fabric.log import Carried, Scanned
from qstrata.fabric.messages.base import Message
from qstrata.fabric.port import BoundHandle, Port, check
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.fabric.secrecy import LeakScanner, own_copy, secret_fields
from qstrata.fabric.tally import Refusal, Traffic
from qstrata.kernel.queue import EventQueue

MAX_IN_FLIGHT = 4096
MAX_REFUSALS = 1024
OVERHEARD_KEPT = 64
"""So many messages of a pair of ends are kept by somebody who replays them."""
_STRIDE = 37
"""Takes recent ones and old ones in turn: it has no divisor in common with what is kept."""

Receive = Callable[[Any, Address], None]


class Mischief(msgspec.Struct, frozen=True, kw_only=True):
    """What the fabric does on purpose, drawn from a seeded stream per pair of ends.

    `loss_share` of the messages is lost; with `duplicate`, the last message of a pair of ends comes again
    after one of them was away. Arrows that ride nothing are spared.
    """

    seed: int
    loss_share: float = 0.0
    duplicate: bool = True


class Hooks:
    """What a test may do to messages: `before_deliver(handle, message)`, False swallows the message."""

    __slots__ = ("before_deliver",)

    def __init__(self) -> None:
        self.before_deliver: Callable[[BoundHandle, Any], bool] | None = None


class _Endpoint:
    """An address that may be attached; `epoch` counts how often it went away."""

    __slots__ = ("epoch", "receive")

    def __init__(self) -> None:
        self.receive: Receive | None = None
        self.epoch = 0


class _Lane:
    """One message type on one handle."""

    __slots__ = ("copies", "count", "ids", "kind", "prefix", "scanned")

    def __init__(self, kind: type[Message], prefix: msgspec.Raw, scanned: bool) -> None:
        self.kind = kind
        self.prefix = prefix
        self.ids = _ids(kind.logged)
        self.copies = bool(secret_fields(kind))
        self.scanned = scanned
        self.count = 0


class _Pair:
    """What two ends share in one direction: the last due instant, the draws, the last message.

    Somebody who replays has `overheard` messages, and owes so many of them by his share.
    """

    __slots__ = ("draws", "last", "last_due_ps", "overheard", "owed", "replays")

    def __init__(self, draws: np.random.Generator | None) -> None:
        self.last_due_ps = 0
        self.draws = draws
        self.last: tuple[MemoryHandle, _Lane, Any] | None = None
        self.overheard: deque[tuple[MemoryHandle, _Lane, Any]] = deque(maxlen=OVERHEARD_KEPT)
        self.owed = 0.0
        self.replays = 0


class MemoryHandle(BoundHandle):
    """A handle with the state of its direction, so that a message needs no look-up."""

    __slots__ = ("delay_ps", "endpoint", "in_flight", "lanes", "pair", "replayed", "up", "version")

    def __init__(self, checked: BoundHandle, endpoint: _Endpoint, pair: _Pair) -> None:
        super().__init__(
            checked.arrow, checked.sender, checked.to, checked.channel, checked.bearers, checked.types
        )
        self.endpoint = endpoint
        self.pair = pair
        self.lanes: dict[type, _Lane] = {}
        self.in_flight = 0
        self.version = -1
        self.up = True
        self.delay_ps = 0
        self.replayed = 0.0


class MemoryFabric:
    """Carry messages between attached addresses on an event queue.

    `taps` see every carried message, `hooks` may swallow it on delivery; both are for tests. In a checked
    run every body on an arrow that never carries key bits is searched for the run's key bytes.
    """

    def __init__(
        self,
        queue: EventQueue,
        bearers: BearerTable,
        recorder: Recorder,
        directory: Directory,
        mischief: Mischief | None = None,
        checked: bool = False,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._queue = queue
        self._bearers = bearers
        self._recorder = recorder
        self._directory = directory
        self._mischief = mischief
        self._scanner = LeakScanner() if checked else None
        self._max_in_flight = max_in_flight
        self._endpoints: dict[Address, _Endpoint] = {}
        self._pairs: dict[tuple[Address, Address], _Pair] = {}
        self._ports: dict[Address, Port] = {}
        self._handles: list[MemoryHandle] = []
        self._refusals: dict[tuple[str, str, str, str], int] = {}
        self.taps: list[Callable[[BoundHandle, Any, int], None]] = []
        self.hooks = Hooks()

    def port(self, address: Address) -> Port:
        """Return the port of an address, the same one each time."""
        port = self._ports.get(address)
        if port is None:
            port = self._ports[address] = Port(address, self._bind)
        return port

    def attach(self, address: Address, receive: Receive) -> None:
        """Call `receive(message, sender)` for every message to an address; replaces who was there."""
        endpoint = self._endpoint(address)
        if endpoint.receive is not None:
            endpoint.epoch += 1
        endpoint.receive = receive
        if endpoint.epoch and self._mischief is not None and self._mischief.duplicate:
            self._repeat(address)

    def detach(self, address: Address) -> None:
        """Take an address away; what is under way to it is lost."""
        endpoint = self._endpoint(address)
        if endpoint.receive is not None:
            endpoint.receive = None
            endpoint.epoch += 1

    def redeclare(self, directory: Directory) -> None:
        """Check what is bound from now on by other facts; handles that are bound keep what they may do."""
        self._directory = directory

    def send(self, handle: MemoryHandle, message: Message, node: str, now: int) -> None:
        """Carry a message, or lose it silently; RefusedError when its type may not go this way."""
        lane = handle.lanes.get(type(message))
        if lane is None:
            lane = self._open(handle, type(message))
        if handle.version != self._bearers.version:
            self._refresh(handle)
        if not handle.up:
            self._lose(lane, message, now, "bearer-down")
            return
        if handle.in_flight >= self._max_in_flight:
            self._lose(lane, message, now, "queue-full")
            return
        pair = handle.pair
        if pair.draws is not None and self._is_hit(handle, lane, message, now):
            return
        if lane.copies:
            message = own_copy(message)
        due_ps = now + handle.delay_ps
        if due_ps < pair.last_due_ps:
            due_ps = pair.last_due_ps
        pair.last_due_ps = due_ps
        handle.in_flight += 1
        lane.count += 1
        self._recorder.carried(now, lane.prefix, due_ps, "sent", lane.ids(message))
        self._queue.push(due_ps, self._deliver, handle, lane, message, handle.endpoint.epoch)
        if handle.replayed:
            self._replay(handle, lane, message, now)
        if self._scanner is not None:
            self._scan(handle, lane, message, now)
        if self.taps:
            for tap in self.taps:
                tap(handle, message, now)

    def traffic(self) -> tuple[Traffic, ...]:
        """Return how many messages were carried, by arrow, ends and type, in that order."""
        counts: dict[tuple[str, str, str, str], int] = {}
        for handle in self._handles:
            for lane in handle.lanes.values():
                key = (handle.arrow.id, handle.sender.end.value, handle.to.end.value, lane.kind.__name__)
                counts[key] = counts.get(key, 0) + lane.count
        return tuple(Traffic(*key, count) for key, count in sorted(counts.items()) if count)

    def refusals(self) -> tuple[Refusal, ...]:
        """Return what was refused, in the order in which it first was, at most MAX_REFUSALS rows."""
        return tuple(Refusal(*key, count) for key, count in self._refusals.items())

    def _bind(self, sender: Address, to: Address, channel: str, meant: str) -> MemoryHandle:
        try:
            checked = check(self._directory, sender, to, channel)
        except RefusedError as error:
            self._refuse(arrow_between(sender.end, to.end), sender, to, meant, str(error))
            raise
        for bearer in checked.bearers:
            if bearer not in self._bearers and checked.arrow.ride is Ride.MANAGEMENT:
                self._bearers.declare(bearer, "management", 0, granted=True)
        handle = MemoryHandle(checked, self._endpoint(to), self._pair(checked))
        self._handles.append(handle)
        return handle

    def _open(self, handle: MemoryHandle, kind: type[Message]) -> _Lane:
        reason = ""
        if kind not in handle.types:
            reason = f"{kind.__name__} may not go this way on {handle.arrow.id}"
        elif secret_fields(kind) and not kind.secret:
            reason = f"{kind.__name__} has key material and does not say that it is secret"
        elif kind.secret and not handle.arrow.secret:
            reason = f"{kind.__name__} is secret, {handle.arrow.id} never carries key bits"
        if reason:
            self._refuse(handle.arrow, handle.sender, handle.to, kind.__name__, reason)
            raise RefusedError(f"{handle.sender} to {handle.to}: {reason}")
        prefix = self._recorder.prefix(handle.arrow.id, str(handle.sender), str(handle.to), kind.__name__)
        lane = handle.lanes[kind] = _Lane(kind, prefix, not handle.arrow.secret)
        return lane

    def _deliver(self, handle: MemoryHandle, lane: _Lane, message: Message, epoch: int) -> None:
        handle.in_flight -= 1
        endpoint = handle.endpoint
        if handle.version != self._bearers.version:
            self._refresh(handle)
        if not handle.up:
            self._lose(lane, message, self._queue.now, "bearer-down")
            return
        hook = self.hooks.before_deliver
        if hook is not None and not hook(handle, message):
            self._lose(lane, message, self._queue.now, "swallowed")
            return
        receive = endpoint.receive
        if receive is None or endpoint.epoch != epoch:
            self._lose(lane, message, self._queue.now, "receiver-gone")
            return
        receive(message, handle.sender)

    def _refresh(self, handle: MemoryHandle) -> None:
        rows = [self._bearers.row(bearer) for bearer in handle.bearers]
        handle.up = all(row.up for row in rows)
        handle.delay_ps = sum(row.delay_ps for row in rows)
        handle.replayed = max((row.replayed for row in rows), default=0.0)
        if not handle.replayed:
            handle.pair.overheard.clear()
        handle.version = self._bearers.version

    def _lose(self, lane: _Lane, message: Message, now: int, outcome: str) -> None:
        self._recorder.carried(now, lane.prefix, now, outcome, lane.ids(message))

    def _is_hit(self, handle: MemoryHandle, lane: _Lane, message: Message, now: int) -> bool:
        mischief, pair = self._mischief, handle.pair
        assert mischief is not None
        assert pair.draws is not None
        if mischief.loss_share and pair.draws.random() < mischief.loss_share:
            self._lose(lane, message, now, "mischief")
            return True
        if mischief.duplicate:
            pair.last = (handle, lane, own_copy(message) if lane.copies else message)
        return False

    def _repeat(self, address: Address) -> None:
        now = self._queue.now
        for ends, pair in self._pairs.items():
            if address not in ends or pair.last is None:
                continue
            handle, lane, message = pair.last
            pair.last = None
            self._send_again(handle, lane, message, "again", now)

    def _replay(self, handle: MemoryHandle, lane: _Lane, message: Message, now: int) -> None:
        """Let him who replays record a message, and send an earlier one after it if he owes one."""
        pair = handle.pair
        pair.overheard.append((handle, lane, own_copy(message) if lane.copies else message))
        pair.owed += handle.replayed
        if pair.owed < 1.0:
            return
        pair.owed -= 1.0
        old, lane, message = pair.overheard[pair.replays * _STRIDE % len(pair.overheard)]
        pair.replays += 1
        if old.in_flight < self._max_in_flight:
            self._send_again(old, lane, own_copy(message) if lane.copies else message, "replayed", now)

    def _send_again(
        self, handle: MemoryHandle, lane: _Lane, message: Message, outcome: str, now: int
    ) -> None:
        pair = handle.pair
        due_ps = pair.last_due_ps = max(now + handle.delay_ps, pair.last_due_ps)
        handle.in_flight += 1
        self._recorder.carried(now, lane.prefix, due_ps, outcome, lane.ids(message))
        self._queue.push(due_ps, self._deliver, handle, lane, message, handle.endpoint.epoch)

    def _scan(self, handle: MemoryHandle, lane: _Lane, message: Message, now: int) -> None:
        assert self._scanner is not None
        if lane.copies:
            self._scanner.learn(message)
        if lane.scanned and self._scanner.leaks(message):
            entry = Scanned(handle.arrow.id, str(handle.sender), str(handle.to), lane.kind.__name__)
            self._recorder.note(entry, now)

    def _refuse(self, arrow: Arrow | None, sender: Address, to: Address, kind: str, reason: str) -> None:
        key = (str(sender), str(to), kind, reason)
        if key in self._refusals or len(self._refusals) < MAX_REFUSALS:
            self._refusals[key] = self._refusals.get(key, 0) + 1
        now = self._queue.now
        arrow_id = arrow.id if arrow is not None else ""
        self._recorder.note(Carried(arrow_id, str(sender), str(to), kind, now, "refused", ()), now)

    def _endpoint(self, address: Address) -> _Endpoint:
        endpoint = self._endpoints.get(address)
        if endpoint is None:
            endpoint = self._endpoints[address] = _Endpoint()
        return endpoint

    def _pair(self, checked: BoundHandle) -> _Pair:
        ends = (checked.sender, checked.to)
        pair = self._pairs.get(ends)
        if pair is None:
            draws = None
            if self._mischief is not None and checked.arrow.ride is not Ride.NONE:
                draws = stream(self._mischief.seed, "mischief", *map(str, ends))
            pair = self._pairs[ends] = _Pair(draws)
        return pair


def _ids(logged: tuple[str, ...]) -> Callable[[Any], tuple[object, ...]]:
    if not logged:
        return lambda message: ()
    if len(logged) == 1:
        only = attrgetter(logged[0])
        return lambda message: (only(message),)
    return attrgetter(*logged)

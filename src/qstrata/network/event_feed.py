"""The feed of events: ask management as an operator does, and tell every reader what changed."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Protocol

import msgspec

from qstrata.core.errors import EnvironmentFaultError
from qstrata.core.time import to_seconds
from qstrata.fabric.messages.lab import Fault
from qstrata.network.events import Cut, Ended, Event, Snapshot, changes, fault_changes, levels
from qstrata.network.remote import NetworkView
from qstrata.network.views import Heard

MAX_READERS = 16
MAX_WAITING_BYTES = 1 << 20
"""What may wait for one reader; more, and it is cut."""
LOOKS_PER_S = 4
_LOOK_S = 1.0 / LOOKS_PER_S
_REST = 4.0
"""A look that took long is followed by a rest this many times as long."""

_encode = msgspec.json.Encoder().encode


class Desk(Protocol):
    """What the feed asks: the operator's desk."""

    async def hear(self) -> Heard:
        """Return what managers and the lab answer."""
        ...

    def view(self, heard: Heard) -> NetworkView:
        """Return the network as they see it."""
        ...

    @property
    def now_ps(self) -> int:
        """Return the network's time."""
        ...


class EventFeed:
    """Serve the same events to every reader; management is asked only while somebody reads.

    `failed` is told of a fault that nobody expected; the feed then ends, and the network goes on.
    """

    def __init__(self, desk: Desk, failed: Callable[[Exception], None]) -> None:
        self._desk = desk
        self._failed = failed
        self._readers: list[_Reader] = []
        self._wanted = asyncio.Event()
        self._heard = Heard()
        self._view: NetworkView | None = None
        self._looks = 0
        self._end = ""

    async def run(self) -> None:
        """Look and tell, until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._wanted.wait()
                begun_s = loop.time()
                await self._look()
                await asyncio.sleep(max(_LOOK_S, _REST * (loop.time() - begun_s)))
        except Exception as error:
            self._failed(error)
            self.close("the feed of events failed: the network's crash.log tells why")

    async def follow(self) -> AsyncGenerator[bytes, None]:
        """Yield a snapshot, then each event, as JSON lines; ends with the network, or when cut.

        Raises EnvironmentFaultError when too many read.
        """
        if len(self._readers) >= MAX_READERS:
            raise EnvironmentFaultError(f"{MAX_READERS} readers follow the events, the most there may be")
        reader = _Reader()
        self._readers.append(reader)
        self._wanted.set()
        if self._end:
            self._close(reader)
        try:
            async for line in reader.lines():
                yield line
        finally:
            self._readers.remove(reader)
            if not self._readers:
                self._wanted.clear()
                self._heard, self._view, self._looks = Heard(), None, 0

    def heard_faults(self, faults: tuple[Fault, ...]) -> None:
        """Tell at once which faults stand: one may be healed before the next look."""
        if self._view is not None:
            self._tell(fault_changes(self._view.faults, faults, self._at_s))
            self._view = msgspec.structs.replace(self._view, faults=faults)
            self._heard = msgspec.structs.replace(self._heard, faults=faults)

    def close(self, text: str) -> None:
        """Tell every reader that this is the end; harmless twice."""
        self._end = self._end or text
        for reader in self._readers:
            self._close(reader)

    @property
    def _at_s(self) -> float:
        return to_seconds(self._desk.now_ps)

    async def _look(self) -> None:
        heard = (await self._desk.hear()).or_last(self._heard)
        if not self._readers:
            return
        view = self._desk.view(heard)
        if self._view is not None:
            self._tell(changes(self._view, view, self._at_s))
            if self._looks % LOOKS_PER_S == 0:
                self._tell([levels(view, self._at_s)])
        self._heard, self._view = heard, view
        self._looks += 1
        fresh = [reader for reader in self._readers if not reader.begun]
        if fresh:
            line = _encode(Snapshot(at_s=self._at_s, network=view))
            for reader in fresh:
                reader.begin(line)

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            line = _encode(event)
            for reader in self._readers:
                if reader.begun and not reader.push(line):
                    text = f"{MAX_WAITING_BYTES} bytes waited for this reader: it was too slow, and is cut"
                    reader.end(_encode(Cut(at_s=self._at_s, text=text)))

    def _close(self, reader: "_Reader") -> None:
        reader.end(_encode(Ended(at_s=self._at_s, text=self._end)))


class _Reader:
    """The lines that wait for one reader."""

    def __init__(self) -> None:
        self.begun = False
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._limit = MAX_WAITING_BYTES
        self._over = False
        self._wake = asyncio.Event()

    def begin(self, snapshot: bytes) -> None:
        """Queue the snapshot, however long it is."""
        self.begun = True
        self._lines.append(snapshot)
        self._bytes += len(snapshot)
        self._limit += len(snapshot)
        self._wake.set()

    def push(self, line: bytes) -> bool:
        """Queue a line; returns False when too much waits already."""
        if self._over:
            return True
        if self._bytes + len(line) > self._limit:
            return False
        self._lines.append(line)
        self._bytes += len(line)
        self._wake.set()
        return True

    def end(self, line: bytes) -> None:
        """Queue the last line; harmless twice."""
        if not self._over:
            self._over = True
            self._lines.append(line)
            self._bytes += len(line)
            self._wake.set()

    async def lines(self) -> AsyncGenerator[bytes, None]:
        while self._lines or not self._over:
            while self._lines:
                line = self._lines.popleft()
                self._bytes -= len(line)
                # The snapshot, which is always the first, needs no room any more.
                self._limit = MAX_WAITING_BYTES
                yield line
            if not self._over:
                self._wake.clear()
                await self._wake.wait()

"""The listener of a KME: it accepts connections and shakes hands, of a bounded number at once.

asyncio's own server bounds the time of a handshake and not their number.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable

from qstrata.interfaces.etsi014.connection import Connection, Cut, Gate

_BACKLOG = 1024
_PAUSE_S = 0.1

_log = logging.getLogger(__name__)


class Listener:
    """Listen for connections with TLS, and hand each to `make()` once its handshake is done.

    `tls` may be replaced: it counts for connections to come. A handshake ends with `gate.bounds.handshake_s`;
    one more than `gate.bounds.handshakes` ends the oldest, so that clients who never say hello cannot keep
    out those who do.
    """

    def __init__(self, make: Callable[[], Connection], gate: Gate, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self._make = make
        self._gate = gate
        self._accepting: list[asyncio.Task[None]] = []
        self._sockets: list[socket.socket] = []
        self._under_way: dict[asyncio.Task[None], tuple[socket.socket, float]] = {}

    async def start(self, host: str, port: int, former: "Listener | None" = None) -> int:
        """Listen, and return the port: that of `former` if one is given, which ends soon; raises OSError."""
        loop = asyncio.get_running_loop()
        if former is not None:
            self._sockets = [opened.dup() for opened in former._sockets]
        else:
            await self._bind(host, port)
        self._accepting = [loop.create_task(self._accept(opened)) for opened in self._sockets]
        taken: int = self._sockets[0].getsockname()[1]
        return taken

    async def _bind(self, host: str, port: int) -> None:
        # asyncio resolves the address and binds; what comes is accepted here.
        bound = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, host, port, start_serving=False
        )
        try:
            self._sockets = [opened.dup() for opened in bound.sockets]
            for opened in self._sockets:
                opened.setblocking(False)
                opened.listen(_BACKLOG)
        except OSError:
            await self.stop()
            raise
        finally:
            bound.close()

    async def stop(self) -> None:
        """Take no new connection, and end handshakes under way; harmless twice."""
        ending = [*self._accepting, *self._under_way]
        self._accepting = []
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        for opened in self._sockets:
            opened.close()
        self._sockets = []

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as fault:
                # Out of descriptors, most likely, or a client that went again: handshakes are what to spare.
                _log.warning("a connection could not be accepted: %s", fault.strerror or fault)
                self._end_oldest()
                await asyncio.sleep(_PAUSE_S)
                continue
            if len(self._under_way) >= self._gate.bounds.handshakes:
                self._end_oldest()
            task = loop.create_task(self._shake(accepted))
            self._under_way[task] = accepted, loop.time()
            task.add_done_callback(self._done)
            # A flood must not keep the network's events from their turn.
            await asyncio.sleep(0)

    async def _shake(self, accepted: socket.socket) -> None:
        bounds = self._gate.bounds
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                accepted,
                ssl=self.tls,
                ssl_handshake_timeout=bounds.handshake_s,
                ssl_shutdown_timeout=bounds.linger_s,
            )

    def _done(self, task: asyncio.Task[None]) -> None:
        accepted, _ = self._under_way.pop(task, (None, 0.0))
        if task.cancelled():
            if accepted is not None:
                accepted.close()
        elif (fault := task.exception()) is not None:
            _log.error("a handshake could not be served", exc_info=fault)

    def _end_oldest(self) -> None:
        oldest = next(iter(self._under_way), None)
        if oldest is None:
            return
        accepted, since_s = self._under_way.pop(oldest)
        self._gate.cuts.append(Cut("handshakes", asyncio.get_running_loop().time() - since_s))
        with contextlib.suppress(OSError):
            accepted.shutdown(socket.SHUT_RDWR)

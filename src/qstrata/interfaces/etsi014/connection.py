"""One connection of an SAE, and the gate that all connections of a listener share: bounds and deadlines.

aiohttp bounds lines, fields and bodies, and closes what is idle; it has no deadline for a request that comes
slowly, none for a client that does not read, and no bound on connections or requests.
"""

import asyncio
import logging
import math
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import cast

import msgspec
from aiohttp import web

from qstrata.core.errors import QstrataError
from qstrata.interfaces.etsi014.http import HttpAnswer, error_answer
from qstrata.interfaces.etsi014.wire import answer_bytes

Identify = Callable[[ssl.SSLObject], str]

INTERNAL = "internal error: the log of the KME says more"
NOT_HTTP = "this is not HTTP/1.1, or a line or field of it is over 8190 bytes"

_CUTS_KEPT = 4096

_log = logging.getLogger(__name__)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a listener takes: deadlines in seconds, connections, requests per second of one SAE.

    `head_s` counts from the TLS handshake, later from the first byte of a request, to its complete head;
    `body_s` from there to its complete body; `write_s` is how long a client may not read what it asked for;
    `idle_s` how long it may be silent after an answer. `handshakes` may be under way at once: one more ends
    the oldest.
    """

    handshake_s: float = 5.0
    head_s: float = 5.0
    body_s: float = 5.0
    write_s: float = 5.0
    idle_s: float = 75.0
    linger_s: float = 1.0
    handshakes: int = 1024
    connections: int = 4096
    connections_per_sae: int = 512
    requests_per_s: int = 20_000


class Cut(msgspec.Struct, frozen=True):
    """A connection that was ended for its own fault, `after_s` of a deadline or 0: which bound it met."""

    bound: str
    after_s: float


class Caller:
    """One SAE: its connections, and its bucket of requests, which holds one second's worth."""

    __slots__ = ("_at_s", "_held", "_rate", "connections")

    def __init__(self, rate: int) -> None:
        self.connections = 0
        self._rate = rate
        self._held = float(rate)
        self._at_s = -math.inf

    def take(self, now_s: float) -> bool:
        """Say whether one more request may come now, and count it."""
        self._held = min(float(self._rate), self._held + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._held < 1.0:
            return False
        self._held -= 1.0
        return True


class Gate:
    """Count connections and callers of one listener; `cuts` are the last ones that were ended."""

    def __init__(self, bounds: Bounds, identify: Identify) -> None:
        self.bounds = bounds
        self.identify = identify
        self.cuts: deque[Cut] = deque(maxlen=_CUTS_KEPT)
        self._callers: dict[str, Caller] = {}
        self._open = 0
        self._date = (-1, "")

    def enter(self, name: str) -> tuple[Caller, HttpAnswer | None]:
        """Take a connection of an SAE in; the answer refuses it, which does not undo that it must leave."""
        caller = self._callers.get(name)
        if caller is None:
            caller = self._callers[name] = Caller(self.bounds.requests_per_s)
        self._open += 1
        caller.connections += 1
        for bound, most, there in (
            ("connections", self.bounds.connections, self._open),
            ("connections of one SAE", self.bounds.connections_per_sae, caller.connections),
        ):
            if there > most:
                self.cuts.append(Cut(bound, 0.0))
                text = f"this KME takes at most {most} {bound}: close some, or ask again later"
                return caller, error_answer(503, text, retry_after_s=math.ceil(self.bounds.head_s))
        return caller, None

    def leave(self, name: str) -> None:
        """Let a connection of an SAE go."""
        self._open -= 1
        caller = self._callers[name]
        caller.connections -= 1
        if not caller.connections:
            del self._callers[name]

    def date(self, now_s: float) -> str:
        """Return the date of an answer, made anew once a second."""
        second = int(now_s)
        if self._date[0] != second:
            self._date = (second, formatdate(usegmt=True))
        return self._date[1]


class Written(web.StreamResponse):
    """Tell aiohttp that the answer is on its way already, and whether the connection is kept."""

    def __init__(self, kept: bool) -> None:
        super().__init__()
        self._kept = kept

    @property
    def keep_alive(self) -> bool:
        """Tell whether a next request may follow."""
        return self._kept

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


class Connection(web.RequestHandler):
    """One connection: who is at its other end, and the deadlines of what comes and goes.

    `identity` is empty, and `fault` says why, where the certificate names no SAE.
    """

    def __init__(self, manager: web.Server, gate: Gate, loop: asyncio.AbstractEventLoop) -> None:
        bounds = gate.bounds
        super().__init__(
            manager,
            loop=loop,
            access_log=cast("logging.Logger", None),
            keepalive_timeout=bounds.idle_s,
            lingering_time=bounds.linger_s,
            auto_decompress=False,
        )
        self.identity = ""
        self.fault = ""
        self._gate = gate
        self._events = loop
        self._caller: Caller | None = None
        self._serving = False
        self._since_s = 0.0
        self._due_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who is there, and begin to wait for a request; refuse a connection over the bounds."""
        super().connection_made(transport)
        try:
            self.identity = self._gate.identify(transport.get_extra_info("ssl_object"))
        except QstrataError as fault:
            self.fault = str(fault)
        self._caller, refusal = self._gate.enter(self.identity)
        if refusal is not None:
            self._say(refusal)
            self.force_close()
            return
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        if self._timer is not None:
            self._timer.cancel()
        if self._caller is not None:
            self._caller = None
            self._gate.leave(self.identity)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Give a request that begins now its deadline."""
        if data and not self._serving and self._due_s == math.inf:
            self._await_head()
        super().data_received(data)

    def begin(self) -> bool:
        """Note that the head of a request has come; say whether the SAE may ask so often."""
        self._serving = True
        self._due_s = math.inf
        return self._caller is None or self._caller.take(self._events.time())

    async def written(self, drained: Callable[[], Awaitable[None]]) -> None:
        """Wait until the client has read what was written (`drained()`), or cut it."""
        if not self.writing_paused:
            return
        since_s = self._events.time()
        try:
            async with asyncio.timeout(self._gate.bounds.write_s):
                await drained()
        except TimeoutError:
            self.cut("answer not read", since_s)

    def end(self) -> None:
        """Note that a request has been answered."""
        self._serving = False

    def cut(self, bound: str, since_s: float) -> None:
        """End the connection at once: what waits to be written is dropped."""
        transport = self.transport
        if transport is not None:
            self._gate.cuts.append(Cut(bound, self._events.time() - since_s))
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, of which nothing is repeated, and faults of ours; the last answer."""
        answer = error_answer(400, NOT_HTTP)
        if status != 400:
            _log.error("a request could not be served", exc_info=exc)
            answer = error_answer(503, INTERNAL)
        self._say(answer)
        return Written(kept=False)

    def _await_head(self) -> None:
        self._since_s = self._events.time()
        self._due_s = self._since_s + self._gate.bounds.head_s
        if self._timer is None:
            self._timer = self._events.call_at(self._due_s, self._check)

    def _check(self) -> None:
        self._timer = None
        if self._due_s == math.inf:
            return
        if self._events.time() < self._due_s:
            self._timer = self._events.call_at(self._due_s, self._check)
            return
        text = f"no request came within {self._gate.bounds.head_s:g} s: send its head at once"
        self._say(error_answer(408, text))
        self.cut("head", self._since_s)

    def _say(self, answer: HttpAnswer) -> None:
        if self.transport is not None:
            self.transport.write(answer_bytes(answer, self._gate.date(self._events.time()), "close"))

"""The HTTPS shell around the handler: sockets, TLS and identities; it decides nothing.

Bounds: those of `connection.Bounds`; body 64 KiB; request line and header field 8190 bytes, 128 fields;
answer ANSWER_BACKSTOP_S.
"""

import asyncio
import errno
import logging
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage

from qstrata.core.errors import EnvironmentFaultError, PortInUseError
from qstrata.interfaces.etsi014.connection import INTERNAL, Bounds, Connection, Cut, Gate, Identify, Written
from qstrata.interfaces.etsi014.handler import Etsi014Handler
from qstrata.interfaces.etsi014.http import LOST_ANSWER, HttpAnswer, HttpRequest, RejectedError, error_answer
from qstrata.interfaces.etsi014.listening import Listener
from qstrata.interfaces.etsi014.requests import body_too_large
from qstrata.interfaces.etsi014.types import MAX_BODY_BYTES
from qstrata.interfaces.etsi014.wire import answer_bytes

ANSWER_BACKSTOP_S = 11.0
"""Longer than the face's deadline twice over: met only when a site dies together with the request."""

Submit = Callable[[Callable[[int], None]], None]

_log = logging.getLogger(__name__)


class _Web(web.Server):
    """Make a connection of ours for each of a listener's."""

    def __init__(self, serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], gate: Gate) -> None:
        super().__init__(serve, request_factory=_make_request)
        self._gate = gate

    def __call__(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self, self._gate, asyncio.get_running_loop())


class Etsi014Server:
    """Serve one KME over HTTPS with mutual TLS, on the event loop that also runs the network.

    `tls` must demand a client certificate. `identify(ssl_object)` returns the SAE's name from it, or raises
    a QstrataError, which is answered 401; it is called once a connection. `submit(function)` has
    `function(now)` called as an event of the network, on this event loop. While `is_behind()`, requests are
    answered 503, and the network is not asked.
    """

    def __init__(
        self,
        handler: Etsi014Handler,
        submit: Submit,
        tls: ssl.SSLContext,
        identify: Identify,
        bounds: Bounds | None = None,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self._handler = handler
        self._is_behind = is_behind
        self._submit = submit
        self._tls = tls
        self._gate = Gate(bounds or Bounds(), identify)
        self._web: web.Server | None = None
        self._listener: Listener | None = None
        self._backstop = _Backstop()
        self._written = (Written(kept=False), Written(kept=True))

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Return the last connections that were ended because they met a bound."""
        return tuple(self._gate.cuts)

    async def start(self, host: str, port: int, former: "Etsi014Server | None" = None) -> int:
        """Listen, and return the port; 0 takes any free one. Raises EnvironmentFaultError.

        At the port of `former`, a server that is to end, both listen until it does.
        """
        server = _Web(self._serve, self._gate)
        listener = Listener(server, self._gate, self._tls)
        try:
            bound = await listener.start(host, port, former._listener if former is not None else None)
        except OSError as error:
            raise _cannot_listen(host, port, error) from error
        self._web, self._listener = server, listener
        return bound

    def use(self, tls: ssl.SSLContext) -> None:
        """Take another certificate, CA and revocation list for connections to come."""
        self._tls = tls
        if self._listener is not None:
            self._listener.tls = tls

    async def stop(self, grace_s: float = ANSWER_BACKSTOP_S) -> None:
        """Take no new connection, let running requests end within `grace_s`, close; harmless twice."""
        listener, self._listener = self._listener, None
        server, self._web = self._web, None
        if listener is None or server is None:
            return
        await listener.stop()
        server.pre_shutdown()
        await server.shutdown(grace_s)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        try:
            answer = await self._answer(request, connection)
        except Exception:
            _log.exception("a request could not be served")
            answer = error_answer(503, INTERNAL)
        if answer.status == LOST_ANSWER:
            if request.transport is not None:
                request.transport.abort()
            return self._written[False]
        timed_out = answer.status == HTTPStatus.REQUEST_TIMEOUT
        self._write(request, answer)
        if timed_out:
            connection.cut("body", asyncio.get_running_loop().time() - self._gate.bounds.body_s)
        await connection.written(request.writer.drain)
        connection.end()
        return self._written[request.keep_alive]

    def _write(self, request: web.BaseRequest, answer: HttpAnswer) -> None:
        # Not aiohttp's own response: it would leave a copy of the keys, and take a fifth more time.
        kept = "keep-alive" if request.version != HttpVersion11 else ""
        text = answer_bytes(
            answer,
            self._gate.date(asyncio.get_running_loop().time()),
            kept if request.keep_alive else "close",
            bodiless=request.method == "HEAD",
        )
        transport = request.transport
        if transport is not None and not transport.is_closing():
            transport.write(text)
        # TLS has made its ciphertext when the write returns.
        text[:] = bytes(len(text))

    async def _answer(self, request: web.BaseRequest, connection: Connection) -> HttpAnswer:
        bounds = self._gate.bounds
        if not connection.begin():
            text = f"an SAE may send {bounds.requests_per_s} requests a second: ask again in a second"
            return error_answer(429, text, retry_after_s=1)
        if connection.fault:
            return error_answer(401, connection.fault)
        try:
            body = await _read_body(request, bounds.body_s)
        except web.HTTPRequestEntityTooLarge:
            return body_too_large().answer()
        except TimeoutError:
            return error_answer(408, f"the body took longer than {bounds.body_s:g} s: send it at once")
        kind = request.headers.get("Content-Type", "")
        asked = HttpRequest(request.method, request.raw_path, kind, body)
        described = self._handler.describe(asked)
        if described is not None:
            return described
        try:
            wanted = self._handler.read(asked)
        except RejectedError as rejected:
            return rejected.answer()
        if self._is_behind():
            text = "this KME has more to write than its disk takes: ask again in a second"
            return error_answer(503, text, retry_after_s=1)
        future: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()
        self._submit(partial(self._handler.serve, wanted, connection.identity, partial(_settle, future)))
        if future.done():
            return future.result()
        return await self._backstop.wait(future)


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES)


def _settle(future: asyncio.Future[HttpAnswer], answer: HttpAnswer, now: int) -> None:
    if future.done():
        answer.wipe()
    else:
        future.set_result(answer)


async def _read_body(request: web.BaseRequest, within_s: float) -> bytes:
    if not request.can_read_body:
        return b""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.content.is_eof():
        body = request.content.read_nowait()
        if len(body) > MAX_BODY_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES)
        return body
    async with asyncio.timeout(within_s):
        return await request.read()


class _Backstop:
    """Give up answers that have been waited for ANSWER_BACKSTOP_S, with one timer for all of them."""

    def __init__(self) -> None:
        self._due_s: dict[asyncio.Future[HttpAnswer], float] = {}
        self._armed = False

    async def wait(self, future: asyncio.Future[HttpAnswer]) -> HttpAnswer:
        """Return the answer, or that there is none."""
        loop = asyncio.get_running_loop()
        self._due_s[future] = due_s = loop.time() + ANSWER_BACKSTOP_S
        if not self._armed:
            self._armed = True
            loop.call_at(due_s, self._sweep, loop)
        try:
            return await future
        finally:
            del self._due_s[future]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        # All wait equally long, so the first that is not due yet ends the sweep.
        for future, due_s in self._due_s.items():
            if due_s > loop.time():
                loop.call_at(due_s, self._sweep, loop)
                return
            if not future.done():
                future.set_result(error_answer(503, "the KME did not answer: ask again later"))
        self._armed = False


def _cannot_listen(host: str, port: int, error: OSError) -> EnvironmentFaultError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"port {port} on {host} is in use: stop what listens there, or choose another (0 takes any)", port
        )
    if error.errno == errno.EACCES:
        return EnvironmentFaultError(
            f"port {port} on {host} may not be opened by this user: choose one above 1023, or 0 for any"
        )
    return EnvironmentFaultError(f"cannot listen on port {port} of {host}: {error.strerror or error}")

"""The HTTPS shell around the handler: sockets, TLS, identities and deadlines; it decides nothing.

Bounds: body 64 KiB; TLS handshake and body 5 s each; request line and header field 8190 bytes, 128 fields;
answer ANSWER_BACKSTOP_S. aiohttp has no deadline for headers alone: a connection whose next request is not
complete IDLE_S after its last answer is closed. Connections are bounded by the process's file descriptors.
"""

import asyncio
import contextlib
import errno
import logging
import ssl
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from weakref import WeakKeyDictionary

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage

from qstrata.core.errors import EnvironmentFaultError, QstrataError
from qstrata.interfaces.etsi014.handler import Etsi014Handler
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest, RejectedError, error_answer
from qstrata.interfaces.etsi014.requests import body_too_large
from qstrata.interfaces.etsi014.types import MAX_BODY_BYTES

HANDSHAKE_S = 5.0
BODY_S = 5.0
IDLE_S = 75.0
ANSWER_BACKSTOP_S = 11.0
"""Longer than the face's deadline twice over: met only when a site dies together with the request."""

Identify = Callable[[ssl.SSLObject], str]
Submit = Callable[[Callable[[int], None]], None]

_log = logging.getLogger(__name__)


class _Written(web.StreamResponse):
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


class Etsi014Server:
    """Serve one KME over HTTPS with mutual TLS, on the event loop that also runs the network.

    `tls` must demand a client certificate. `identify(ssl_object)` returns the SAE's name from it, or raises
    a QstrataError, which is answered 401; it is called once a connection. `submit(function)` has
    `function(now)` called as an event of the network, on this event loop.
    """

    def __init__(
        self, handler: Etsi014Handler, submit: Submit, tls: ssl.SSLContext, identify: Identify
    ) -> None:
        self._handler = handler
        self._submit = submit
        self._tls = tls
        self._identify = identify
        self._identities: WeakKeyDictionary[ssl.SSLObject, str] = WeakKeyDictionary()
        self._web: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._written = (_Written(kept=False), _Written(kept=True))
        self._date = (-1, "")

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; 0 takes any free one. Raises EnvironmentFaultError."""
        loop = asyncio.get_running_loop()
        server = web.Server(
            self._serve,
            request_factory=_make_request,
            access_log=None,
            keepalive_timeout=IDLE_S,
            lingering_time=BODY_S,
            auto_decompress=False,
        )
        try:
            listener = await loop.create_server(
                server, host, port, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_S, backlog=1024
            )
        except OSError as error:
            raise EnvironmentFaultError(_cannot_listen(host, port, error)) from error
        self._web, self._listener = server, listener
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    async def stop(self, grace_s: float = ANSWER_BACKSTOP_S) -> None:
        """Take no new connection, let running requests end within `grace_s`, close; harmless twice."""
        listener, self._listener = self._listener, None
        server, self._web = self._web, None
        if listener is None or server is None:
            return
        listener.close()
        server.pre_shutdown()
        await server.shutdown(grace_s)
        await listener.wait_closed()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            answer = await self._answer(request)
        except Exception:
            _log.exception("a request could not be served")
            answer = error_answer(503, "internal error: the log of the KME says more")
        self._write(request, answer)
        with contextlib.suppress(ConnectionError):
            await request.writer.drain()
        return self._written[request.keep_alive]

    def _write(self, request: web.BaseRequest, answer: HttpAnswer) -> None:
        # Not aiohttp's own response: it would leave a copy of the keys, and take a fifth more time.
        head = [
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
            "Content-Type: application/json",
            f"Content-Length: {len(answer.body)}",
            "Cache-Control: no-store",
            f"Date: {self._now()}",
        ]
        if not request.keep_alive:
            head.append("Connection: close")
        elif request.version != HttpVersion11:
            head.append("Connection: keep-alive")
        if answer.allow:
            head.append(f"Allow: {answer.allow}")
        if answer.retry_after_s:
            head.append(f"Retry-After: {answer.retry_after_s}")
        text = bytearray("\r\n".join([*head, "", ""]).encode("ascii"))
        if request.method != "HEAD":
            text += answer.body
        answer.wipe()
        transport = request.transport
        if transport is not None and not transport.is_closing():
            transport.write(text)
        # TLS has made its ciphertext when the write returns.
        text[:] = bytes(len(text))

    def _now(self) -> str:
        second = int(asyncio.get_running_loop().time())
        if self._date[0] != second:
            self._date = (second, formatdate(usegmt=True))
        return self._date[1]

    async def _answer(self, request: web.BaseRequest) -> HttpAnswer:
        try:
            identity = self._identity(request)
        except QstrataError as error:
            return error_answer(401, str(error))
        try:
            body = await _read_body(request)
        except web.HTTPRequestEntityTooLarge:
            return body_too_large().answer()
        except TimeoutError:
            return error_answer(408, f"the body took longer than {BODY_S:.0f} s: send it at once")
        kind = request.headers.get("Content-Type", "")
        try:
            wanted = self._handler.read(HttpRequest(request.method, request.raw_path, kind, body))
        except RejectedError as rejected:
            return rejected.answer()
        future: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()
        self._submit(partial(self._handler.serve, wanted, identity, partial(_settle, future)))
        if future.done():
            return future.result()
        try:
            async with asyncio.timeout(ANSWER_BACKSTOP_S):
                return await future
        except TimeoutError:
            return error_answer(503, "the KME did not answer: ask again later")

    def _identity(self, request: web.BaseRequest) -> str:
        transport = request.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        if tls is None:
            raise ConnectionResetError("the connection is closed")
        identity = self._identities.get(tls)
        if identity is None:
            identity = self._identities[tls] = self._identify(tls)
        return identity


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


async def _read_body(request: web.BaseRequest) -> bytes:
    if not request.can_read_body:
        return b""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.content.is_eof():
        return await request.read()
    async with asyncio.timeout(BODY_S):
        return await request.read()


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop what listens there, or choose another (0 takes any)"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} may not be opened by this user: choose one above 1023, or 0 for any"
    return f"cannot listen on port {port} of {host}: {error.strerror or error}"

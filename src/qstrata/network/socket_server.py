"""The control socket of a running network: a JSON object a line, one request a connection."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from qstrata.core.errors import EnvironmentFaultError, InputError, InternalError, QstrataError, RefusedError
from qstrata.network.error_codes import INPUT, code_of
from qstrata.network.remote import Answer, Asked, AskEvents, Failed
from qstrata.network.state import StatePaths

MAX_REQUEST_BYTES = 64 * 1024

_REQUEST_S = 5.0
_CLOSE_S = 2.0
_SOCKET_MODE = 0o600

_encode = msgspec.json.Encoder().encode
_requests = msgspec.json.Decoder(Asked)

Respond = Callable[[Asked], Awaitable[Answer]]
Follow = Callable[[], AsyncGenerator[bytes, None]]
"""Yield lines without their end."""


def exit_code(error: QstrataError) -> int:
    """Return the exit code of a command that an error ends: 1 the user, 3 the machine, 70 qstrata itself."""
    if isinstance(error, InputError | RefusedError):
        return 1
    return 70 if isinstance(error, InternalError) else 3


def failed(error: QstrataError) -> Failed:
    """Return the answer that an error makes."""
    return Failed(text=str(error), code=exit_code(error), error=code_of(error))


class ControlSocket:
    """Answer the commands of this user on a Unix socket; `respond` and `follow` may raise QstrataError.

    A reader of what `follow` yields takes line after line at its own pace.
    """

    def __init__(self, respond: Respond, follow: Follow) -> None:
        self._respond = respond
        self._follow = follow
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def open(self, paths: StatePaths) -> None:
        """Listen; takes the place of a socket that a killed process left. Raises EnvironmentFaultError."""
        path = paths.control_socket
        try:
            path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._talk, path, limit=MAX_REQUEST_BYTES)
            path.chmod(_SOCKET_MODE)
        except OSError as fault:
            raise EnvironmentFaultError(
                f"the control socket {path} cannot be made: {fault.strerror}; give another --state-dir"
            ) from fault

    async def close(self) -> None:
        """Let answers under way go out, and close; harmless twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        talks = set(self._talks)
        if talks:
            _, late = await asyncio.wait(talks, timeout=_CLOSE_S)
            for talk in late:
                talk.cancel()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            with contextlib.suppress(ConnectionError):
                async with contextlib.aclosing(self._lines(await self._request(reader))) as lines:
                    async for line in lines:
                        writer.write(line + b"\n")
                        await writer.drain()
        except asyncio.CancelledError:
            # What a reader has not taken until now would keep the connection open.
            writer.transport.abort()
            raise
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _lines(self, request: Asked | Failed) -> AsyncGenerator[bytes, None]:
        try:
            if isinstance(request, AskEvents):
                async with contextlib.aclosing(self._follow()) as lines:
                    async for line in lines:
                        yield line
            else:
                yield _encode(request if isinstance(request, Failed) else await self._respond(request))
        except QstrataError as error:
            yield _encode(failed(error))

    async def _request(self, reader: asyncio.StreamReader) -> Asked | Failed:
        try:
            async with asyncio.timeout(_REQUEST_S):
                line = await reader.readline()
            request: Asked = _requests.decode(line)
            return request
        except (ValueError, TimeoutError, msgspec.DecodeError):
            # readline raises ValueError for a line over the limit.
            text = f"a request is one JSON object of at most {MAX_REQUEST_BYTES} bytes"
            return Failed(text=text, code=1, error=INPUT)


def internal(crash_file: object) -> InternalError:
    """Return what is said of an unknown fault, whose detail has gone to a file."""
    return InternalError(f"internal fault, which is ours: {crash_file} tells the detail")

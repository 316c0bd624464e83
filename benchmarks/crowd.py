"""Slow clients of a KME, many at once: they say nothing, send byte by byte, or do not read."""

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

CONNECTS_PER_S = 220
"""So that a thousand stand at once, each for 5 s."""
RECEIVE_BUFFER_BYTES = 4096
NICENESS = 10

Slow = Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]
Unread = Callable[[], Coroutine[Any, Any, None]]


async def silent(writer: asyncio.StreamWriter) -> None:
    """Say nothing at all."""
    await asyncio.sleep(3600)


async def slow_head(path: str, writer: asyncio.StreamWriter) -> None:
    """Send one byte of a head each half second."""
    for byte in head(path).encode() * 100:
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.5)


async def slow_body(path: str, writer: asyncio.StreamWriter) -> None:
    """Send the head, and one byte of the body each half second."""
    writer.write(f"{head(path)}Content-Length: 60000\r\n\r\n".encode())
    while True:
        writer.write(b" ")
        await asyncio.sleep(0.5)


async def second_head(writer: asyncio.StreamWriter) -> None:
    """Ask properly once, then begin a request and leave it."""
    writer.write(b"GET /nothing HTTP/1.1\r\nHost: kme\r\n\r\n")
    await asyncio.sleep(1.0)
    writer.write(b"GET /noth")
    await asyncio.sleep(3600)


async def never_read(path: str, wanted: bytes, writer: asyncio.StreamWriter) -> None:
    """Ask for more than any buffer holds, and read nothing."""
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    for _ in range(12):
        writer.write(f"{head(path)}Content-Length: {len(wanted)}\r\n\r\n".encode() + wanted)
    await asyncio.sleep(3600)


def head(path: str) -> str:
    """Return the beginning of a request."""
    return f"POST {path} HTTP/1.1\r\nHost: kme\r\n"


def kinds_of(path: str) -> tuple[Slow, ...]:
    """Return the kinds of slow clients that read what they get."""
    return (silent, partial(slow_head, path), partial(slow_body, path), second_head)


async def connect(port: int, tls: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a KME on this machine, with little room for what it sends."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=raw, ssl=tls, server_hostname="127.0.0.1")


async def until_cut(
    port: int, tls: ssl.SSLContext, kind: Slow, after_s: float, unread: Unread | None = None
) -> bool:
    """Connect `after_s` from now, and behave slowly until the KME ends the connection.

    Who does not read cannot see that, and waits for `unread()`. False: the KME did not let it in.
    """
    await asyncio.sleep(after_s)
    try:
        reader, writer = await connect(port, tls)
    except (OSError, ssl.SSLError):
        return False
    behaving = asyncio.ensure_future(kind(writer))
    try:
        if unread is not None:
            await unread()
        else:
            while await reader.read(65536):
                pass
        return True
    except (OSError, ssl.SSLError):
        return True
    finally:
        behaving.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await behaving
        writer.transport.abort()


async def crowd(port: int, tls: ssl.SSLContext, kinds: Sequence[Slow], sockets: int, after: int = 0) -> bool:
    """Let slow clients of all kinds in turn at a KME; say whether all of them were let in and cut.

    The first comes after the time of `after` others.
    """
    each = (until_cut(port, tls, kinds[n % len(kinds)], (after + n) / CONNECTS_PER_S) for n in range(sockets))
    return all(await asyncio.gather(*each))


def be_crowd(port: int, path: str, certificates: Sequence[str], sockets: int, core: int) -> None:
    """Be the crowd, in a process of its own that yields to others; exits 1 when one was not let in.

    `certificates` are the paths of the CA's, then of the SAE's and its key.
    """
    os.sched_setaffinity(0, {core})
    os.nice(NICENESS)
    ca, certificate, key = certificates
    tls = ssl.create_default_context(cafile=ca)
    tls.load_cert_chain(certificate, key)
    sys.exit(not asyncio.run(crowd(port, tls, kinds_of(path), sockets)))

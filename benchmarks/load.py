"""A load generator that costs little: non-blocking TLS sockets on one epoll, requests made beforehand.

Each connection sends its next request as soon as it has the whole answer to the last one.
"""

import gc
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

_CHUNK = 65536
PATIENCE_S = 20.0
PAUSE_S = 0.02


class Taken(msgspec.Struct):
    """What a run of requests came to: times in seconds, answers in the order in which they came."""

    elapsed_s: float
    took_s: list[float]
    answers: list[bytes]

    def quantile_ms(self, share: float) -> float:
        """Return the time within which this share of the answers came."""
        ordered = sorted(self.took_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3

    @property
    def rate_per_s(self) -> float:
        """Return the answers per second."""
        return len(self.took_s) / self.elapsed_s


class _Client:
    """One connection: what it waits for, and what of it has come."""

    __slots__ = ("buffer", "ready", "sent_s", "socket")

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        raw = socket.create_connection(("127.0.0.1", port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setblocking(False)
        self.socket = tls.wrap_socket(raw, server_hostname="127.0.0.1", do_handshake_on_connect=False)
        self.buffer = bytearray()
        self.ready = False
        self.sent_s = 0.0

    def shake(self) -> bool:
        """Go on with the handshake; say whether it is over."""
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.ready = True
        return True

    def receive(self) -> bytes | None:
        """Return the next whole answer, None until it is there."""
        buffer = self.buffer
        while True:
            try:
                data = self.socket.recv(_CHUNK)
            except ssl.SSLWantReadError:
                return None
            if not data:
                raise ConnectionError(f"the KME closed a connection after {bytes(buffer[:80])!r}")
            buffer += data
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                continue
            at = buffer.find(b"Content-Length: ", 0, end) + 16
            whole = end + 4 + int(buffer[at : buffer.find(b"\r\n", at)])
            if len(buffer) >= whole:
                answer = bytes(buffer[:whole])
                del buffer[:whole]
                return answer


def drive(
    port: int,
    tls: ssl.SSLContext,
    connections: int,
    requests: Iterator[bytes],
    seconds: float,
    *,
    fresh: bool = False,
) -> Taken:
    """Send requests until they are used up or time is over, then take the last answers.

    `fresh` makes a connection of its own for each request; the time counts from its handshake on.
    """
    poll = select.epoll()
    clients: dict[int, _Client] = {}

    def connect() -> None:
        client = _Client(port, tls)
        client.sent_s = time.perf_counter()
        clients[client.socket.fileno()] = client
        poll.register(client.socket.fileno(), select.EPOLLIN)
        # Over at once only where another process had the core in between.
        if client.shake() and fresh:
            _next(client, requests, client.sent_s)

    def leave(client: _Client) -> None:
        number = client.socket.fileno()
        poll.unregister(number)
        del clients[number]
        client.socket.close()

    for _ in range(connections):
        connect()
    if not fresh:
        _shake_all(poll, clients)
    taken = Taken(0.0, [], [])
    gc.collect()
    gc.disable()
    began_s = time.perf_counter()
    end_s = began_s + seconds
    if not fresh:
        for client in list(clients.values()):
            _next(client, requests, began_s)
    while clients:
        ready = poll.poll(PATIENCE_S)
        if not ready:
            raise TimeoutError(f"{len(clients)} connections had no answer within {PATIENCE_S:g} s")
        for number, _ in ready:
            client = clients[number]
            if not client.ready:
                if client.shake() and not _next(client, requests, client.sent_s):
                    leave(client)
                continue
            answer = client.receive()
            if answer is None:
                continue
            now_s = time.perf_counter()
            taken.took_s.append(now_s - client.sent_s)
            taken.answers.append(answer)
            over = now_s >= end_s
            if fresh:
                leave(client)
                if not over:
                    connect()
            elif over or not _next(client, requests, now_s):
                leave(client)
    taken.elapsed_s = time.perf_counter() - began_s
    gc.enable()
    poll.close()
    return taken


def paced(port: int, tls: ssl.SSLContext, request: bytes, is_over: Callable[[], bool]) -> Taken:
    """Send a request, wait for its answer and PAUSE_S more, and again, until it is over."""
    client, poll, taken = _Client(port, tls), select.epoll(), Taken(0.0, [], [])
    poll.register(client.socket.fileno(), select.EPOLLIN)
    while not client.shake():
        poll.poll(PATIENCE_S)
    began_s = time.perf_counter()
    while not is_over():
        client.sent_s = time.perf_counter()
        client.socket.send(request)
        while (answer := client.receive()) is None:
            poll.poll(PATIENCE_S)
        taken.took_s.append(time.perf_counter() - client.sent_s)
        taken.answers.append(answer)
        time.sleep(PAUSE_S)
    taken.elapsed_s = time.perf_counter() - began_s
    client.socket.close()
    poll.close()
    return taken


def _next(client: _Client, requests: Iterator[bytes], now_s: float) -> bool:
    request = next(requests, None)
    if request is None:
        return False
    client.sent_s = now_s
    client.socket.send(request)
    return True


def _shake_all(poll: select.epoll, clients: dict[int, _Client]) -> None:
    left = {number for number, client in clients.items() if not client.ready}
    while left:
        for number, _ in poll.poll(PATIENCE_S):
            if number in left and clients[number].shake():
                left.discard(number)


def post(path: str, body: bytes) -> bytes:
    """Return the bytes of a POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Key(msgspec.Struct):
    key_ID: str  # noqa: N815 - the standard's spelling
    key: str


class _Container(msgspec.Struct):
    keys: tuple[_Key, ...]


_decode = msgspec.json.Decoder(_Container).decode


def keys_of(answers: Sequence[bytes]) -> dict[str, str]:
    """Return the keys of answers by id; ValueError for an answer but 200, and for an id that came twice."""
    found: dict[str, str] = {}
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"a request was refused: {head.splitlines()[0]!r} {body!r}")
        for key in _decode(body).keys:
            if key.key_ID in found:
                raise ValueError(f"the key {key.key_ID} was given twice")
            found[key.key_ID] = key.key
    return found

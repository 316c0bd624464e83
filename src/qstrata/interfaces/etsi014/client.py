"""Clients of ETSI GS QKD 014 V1.1.1 over HTTPS with mutual TLS: for asyncio, and plain."""

import http.client
import select
import ssl
from collections.abc import Sequence
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from qstrata.core.errors import InputError, QstrataError
from qstrata.core.secrets import KeyMaterial
from qstrata.interfaces.etsi014.types import (
    DEC_KEYS,
    ENC_KEYS,
    STATUS,
    Error,
    KeyContainer,
    KeyId,
    KeyIDs,
    KeyRequest,
    Status,
)

if TYPE_CHECKING:
    import aiohttp

DEADLINE_S = 15.0

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Key(msgspec.Struct, frozen=True):
    """One key as an SAE has it."""

    key_id: str
    bits: KeyMaterial


class Etsi014Error(QstrataError):
    """The KME refused: `status` is the HTTP status, `message` its own text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class BadRequestError(Etsi014Error):
    """The request is at fault, or a key is not, or no longer, there (400, and 404 to 415)."""


class UnauthorizedError(Etsi014Error):
    """The SAE is not known, or may not have what it asked for (401)."""


class UnavailableError(Etsi014Error):
    """The KME cannot serve now: too few keys, or a session that is being opened (503). Ask again later."""


class NoAnswerError(Etsi014Error):
    """No answer came; `status` is 0. Keys that were asked for may be lost: nothing may be asked again."""

    def __init__(self, reason: object) -> None:
        super().__init__(0, f"no answer: {reason}")


@lru_cache(maxsize=1024)
def path_of(peer: str, verb: str) -> str:
    """Return the path of a method (clause 5) for a peer SAE; its name is percent-encoded."""
    return f"/api/v1/keys/{quote(peer, safe='')}/{verb}"


def enc_body(number: int, size_bits: int | None, also: Sequence[str] = ()) -> bytes:
    """Return the body of Get key; `size_bits` None asks for the session's size, `also` are further slaves."""
    asked = KeyRequest(number=number, size=size_bits, additional_slave_SAE_IDs=tuple(also) or None)
    return _encode(asked)


def dec_body(key_ids: Sequence[str]) -> bytes:
    """Return the body of Get key with key IDs."""
    return _encode(KeyIDs(tuple(map(KeyId, key_ids))))


def read_status(status: int, body: bytes | bytearray) -> Status:
    """Return the status that an answer carries; raises Etsi014Error for a refusal."""
    return _read(Status, status, body)


def read_keys(status: int, body: bytes | bytearray) -> tuple[Key, ...]:
    """Return the keys that an answer carries; raises Etsi014Error for a refusal."""
    keys = []
    for entry in _read(KeyContainer, status, body).keys:
        keys.append(Key(entry.key_ID, KeyMaterial(entry.key)))
        entry.key[:] = bytes(len(entry.key))
    return tuple(keys)


def read_message(body: bytes | bytearray) -> str:
    """Return the text of a refusal; the standard leaves 401 without one."""
    refusal = _decoded(Error, body)
    return "the KME gave no reason" if refusal is None else refusal.message


def _read(kind: type[T], status: int, body: bytes | bytearray) -> T:
    if status == 200:
        value = _decoded(kind, body)
        if value is None:
            raise NoAnswerError("what came is not what ETSI GS QKD 014 V1.1.1 defines")
        return value
    message = read_message(body)
    if status == 401:
        raise UnauthorizedError(status, message)
    if 400 <= status < 500:
        raise BadRequestError(status, message)
    raise UnavailableError(status, message) if status == 503 else Etsi014Error(status, message)


def _decoded(kind: type[T], body: bytes | bytearray) -> T | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The decoder's own text may cite the body, which may hold keys: it is not passed on.
        return None


class Etsi014Client:
    """Ask the KME at `url` (`https://host:port`) as the SAE of the certificate in `tls`.

    An asynchronous context manager; connections are kept. Every call raises Etsi014Error.
    """

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self._url = url.rstrip("/")
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Imported by who needs it: it takes longer than a whole call of the client that blocks.
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, raise_for_status=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def status(self, peer: str) -> Status:
        """Return the status of the pair with `peer`."""
        return read_status(*await self._call("GET", path_of(peer, STATUS)))

    async def get_keys(
        self, peer: str, number: int = 1, size_bits: int | None = None, also: Sequence[str] = ()
    ) -> tuple[Key, ...]:
        """Return new keys to share with `peer` and `also`; `size_bits` None means the session's size."""
        body = enc_body(number, size_bits, also)
        return read_keys(*await self._call("POST", path_of(peer, ENC_KEYS), body))

    async def get_keys_by_id(self, peer: str, key_ids: Sequence[str]) -> tuple[Key, ...]:
        """Return the keys of these ids that `peer` was given: all, or none and an error."""
        return read_keys(*await self._call("POST", path_of(peer, DEC_KEYS), dec_body(key_ids)))

    async def _call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        if self._session is None:
            raise InputError("the client is not open: use it in an 'async with' statement")
        import aiohttp
        import yarl

        headers = {} if body is None else {"Content-Type": "application/json"}
        # The path is encoded already, and '%' would be encoded twice.
        url = yarl.URL(self._url + path, encoded=True)
        try:
            async with self._session.request(method, url, data=body, headers=headers) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswerError(str(error) or "deadline passed") from error


class BlockingEtsi014Client:
    """The same without asyncio, one connection, for one thread; a context manager."""

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise InputError(f"{url!r} is not https://host:port")
        self._connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=DEADLINE_S, context=tls
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens one again."""
        self._connection.close()

    def status(self, peer: str) -> Status:
        """Return the status of the pair with `peer`."""
        return read_status(*self._call("GET", path_of(peer, STATUS)))

    def get_keys(
        self, peer: str, number: int = 1, size_bits: int | None = None, also: Sequence[str] = ()
    ) -> tuple[Key, ...]:
        """Return new keys to share with `peer` and `also`; `size_bits` None means the session's size."""
        body = enc_body(number, size_bits, also)
        return read_keys(*self._call("POST", path_of(peer, ENC_KEYS), body))

    def get_keys_by_id(self, peer: str, key_ids: Sequence[str]) -> tuple[Key, ...]:
        """Return the keys of these ids that `peer` was given: all, or none and an error."""
        return read_keys(*self._call("POST", path_of(peer, DEC_KEYS), dec_body(key_ids)))

    def _call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = self._connection
        # A kept connection that is readable before anything was asked has been closed by the KME.
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NoAnswerError(error) from error

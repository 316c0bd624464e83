"""Read a request of ETSI GS QKD 014 V1.1.1: what is decided without the KME, before anything is allocated."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar
from urllib.parse import unquote

import msgspec

from qstrata.core.errors import InputError
from qstrata.core.urn import Urn
from qstrata.fabric.messages.delivery import AskStatus, DecKeys, EncKeys
from qstrata.interfaces.etsi014.http import HttpRequest, RejectedError
from qstrata.interfaces.etsi014.types import (
    ENC_KEYS,
    MANDATORY_UNSUPPORTED,
    MAX_BODY_BYTES,
    METHODS,
    SIZE_NOT_BYTES,
    STATUS,
    KeyIDs,
    KeyRequest,
    Limits,
    Unsupported,
)

_ROOT = ["", "api", "v1", "keys"]
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INTEGER = re.compile(r"-?[0-9]{1,9}")

_key_request = msgspec.json.Decoder(KeyRequest)
_key_ids = msgspec.json.Decoder(KeyIDs)

T = TypeVar("T")


class GetStatus(msgspec.Struct, frozen=True):
    """Get status, 5.1."""

    peer: str

    def message(self, sae: str, request: int) -> AskStatus:
        """Return what the KME is asked."""
        return AskStatus(request, sae, self.peer)


class GetKey(msgspec.Struct, frozen=True):
    """Get key, 5.2; `size_bits` 0 means the session's size; `also` are the additional slave SAEs."""

    peer: str
    number: int
    size_bits: int
    also: tuple[str, ...] = ()

    def message(self, sae: str, request: int) -> EncKeys:
        """Return what the KME is asked."""
        return EncKeys(request, sae, self.peer, self.number, self.size_bits, self.also)


class GetKeyById(msgspec.Struct, frozen=True):
    """Get key with key IDs, 5.3; `peer` is the master SAE, ids are in lower case."""

    peer: str
    key_ids: tuple[str, ...]

    def message(self, sae: str, request: int) -> DecKeys:
        """Return what the KME is asked."""
        return DecKeys(request, sae, self.peer, self.key_ids)


Wanted = GetStatus | GetKey | GetKeyById


def read_request(request: HttpRequest, limits: Limits) -> Wanted:
    """Return what a request asks for; raises RejectedError with the status and text of its answer."""
    path, _, query = request.target.partition("?")
    segments = path.split("/")
    if len(segments) != 6 or segments[:4] != _ROOT or segments[5] not in METHODS:
        raise RejectedError(
            404,
            "no such resource: ask for /api/v1/keys/{SAE_ID}/status, enc_keys or dec_keys,"
            " with '/', '?' and '%' in the SAE_ID percent-encoded",
        )
    verb = segments[5]
    if request.method not in METHODS[verb].split(", "):
        raise RejectedError(405, f"{verb} takes {METHODS[verb]}", allow=METHODS[verb])
    if len(request.body) > MAX_BODY_BYTES:
        raise body_too_large()
    peer = sae_name(segments[4])
    if verb == STATUS:
        return GetStatus(peer)
    if request.method == "GET":
        return _queried_key(peer, query, limits) if verb == ENC_KEYS else _queried_id(peer, query)
    _check_content_type(request)
    body = request.body
    return _posted_key(peer, body, limits) if verb == ENC_KEYS else _posted_ids(peer, body)


def body_too_large() -> RejectedError:
    """Return the refusal of a body over the limit."""
    return RejectedError(413, f"the body is longer than {MAX_BODY_BYTES} bytes: ask for less at once")


@lru_cache(maxsize=1024)
def sae_name(segment: str) -> str:
    """Return the SAE that a path segment names, percent-decoded once; a URN in its canonical form.

    A q-component, which selects a session, is kept. Raises RejectedError (400).
    """
    text = _decoded(segment)
    if not text:
        raise RejectedError(400, "the SAE_ID in the path is empty")
    return _canonical(text)


def _canonical(text: str) -> str:
    try:
        urn = Urn.parse(text)
    except InputError:
        return text
    return urn.name if urn.q is None else f"{urn.name}?={urn.q}"


def _decoded(text: str) -> str:
    if _BAD_PERCENT.search(text):
        raise RejectedError(400, "a '%' is not followed by two hexadecimal digits: encode it as %25")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise RejectedError(400, "a percent-encoded text is not UTF-8") from None


def _parameters(query: str, allowed: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for piece in query.split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        name = _decoded(name)
        if name not in allowed:
            known = " and ".join(allowed)
            raise RejectedError(400, f"GET takes the parameters {known} only: use POST for anything else")
        pairs.append((name, _decoded(value)))
    return pairs


def _queried_key(peer: str, query: str, limits: Limits) -> GetKey:
    figures: dict[str, int] = {}
    for name, value in _parameters(query, ("number", "size")):
        if name in figures:
            raise RejectedError(400, f"{name} is given twice")
        if not _INTEGER.fullmatch(value):
            raise RejectedError(400, f"{name} shall be an integer of at most 9 digits")
        figures[name] = int(value)
    return _key(peer, figures.get("number"), figures.get("size"), limits)


def _queried_id(peer: str, query: str) -> GetKeyById:
    values = [value for _, value in _parameters(query, ("key_ID",))]
    if len(values) != 1:
        raise RejectedError(400, "GET takes exactly one key_ID: use POST for several")
    return _by_id(peer, values)


def _posted_key(peer: str, body: bytes, limits: Limits) -> GetKey:
    asked = _read_body(_key_request, body, "6.2") if body else KeyRequest()
    unsupported = tuple(Unsupported(name) for entry in asked.extension_mandatory or () for name in entry)
    if unsupported:
        raise RejectedError(400, MANDATORY_UNSUPPORTED, unsupported)
    wanted = _key(peer, asked.number, asked.size, limits)
    if not asked.additional_slave_SAE_IDs:
        return wanted
    return msgspec.structs.replace(wanted, also=_additional(peer, asked.additional_slave_SAE_IDs, limits))


def _additional(peer: str, given: Sequence[str], limits: Limits) -> tuple[str, ...]:
    if len(given) > limits.max_sae_id_count:
        raise RejectedError(
            400, f"additional_slave_SAE_IDs has more than max_SAE_ID_count = {limits.max_sae_id_count} SAEs"
        )
    also = tuple(map(_canonical, given))
    if "" in also:
        raise RejectedError(400, "an SAE_ID in additional_slave_SAE_IDs is empty")
    if len({peer, *also}) <= len(also):
        raise RejectedError(400, "a slave SAE is named twice: name each once, that of the path not again")
    return also


def _posted_ids(peer: str, body: bytes) -> GetKeyById:
    return _by_id(peer, [entry.key_ID for entry in _read_body(_key_ids, body, "6.4").key_IDs])


def _key(peer: str, number: int | None, size: int | None, limits: Limits) -> GetKey:
    if number is None:
        number = 1
    if not 1 <= number <= limits.max_key_per_request:
        raise RejectedError(400, f"number shall be from 1 to {limits.max_key_per_request}")
    if size is None:
        return GetKey(peer, number, 0)
    if size % 8:
        raise RejectedError(400, SIZE_NOT_BYTES)
    if not limits.min_key_size_bits <= size <= limits.max_key_size_bits:
        low, high = limits.min_key_size_bits, limits.max_key_size_bits
        raise RejectedError(400, f"size shall be from {low} to {high} bits")
    return GetKey(peer, number, size)


def _by_id(peer: str, given: Sequence[str]) -> GetKeyById:
    key_ids = tuple(key_id.lower() for key_id in given)
    if not key_ids:
        raise RejectedError(400, "key_IDs is empty: name at least one key")
    if not all(map(_UUID.fullmatch, key_ids)):
        raise RejectedError(400, "a key_ID is not a UUID of the form 8-4-4-4-12 hexadecimal digits")
    if len(frozenset(key_ids)) != len(key_ids):
        raise RejectedError(400, "a key_ID is given twice: name each key once")
    return GetKeyById(peer, key_ids)


def _check_content_type(request: HttpRequest) -> None:
    kind = request.content_type.partition(";")[0].strip().lower()
    if request.body and kind not in ("", "application/json"):
        raise RejectedError(415, "the body shall be JSON: send it with Content-Type: application/json")


def _read_body(decoder: msgspec.json.Decoder[T], body: bytes, clause: str) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, msgspec.DecodeError) else "not readable"
        raise RejectedError(
            400, f"the body is not the JSON of ETSI GS QKD 014 V1.1.1, {clause}: {reason}"
        ) from None

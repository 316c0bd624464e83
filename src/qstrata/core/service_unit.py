"""The service unit's identifier: endpoints with their pairing tokens, and a lifecycle, without direction.

It has one canonical form, whatever the order in which endpoints and parameters were given: endpoints sorted
by their text, q-parameters sorted by key, the lifecycle last. Equality, text and digest follow from that
form, so both ends and every hop hold the same identifier. Source: the multiplane draft, "The Service Unit
Concept in QKD Networks".
"""

import hashlib
import re
from collections.abc import Iterable
from functools import cached_property

import msgspec
from msgspec.structs import force_setattr

from qstrata.core.errors import InputError
from qstrata.core.urn import Pair, Urn, split_pairs, upper_hex

__all__ = [
    "DEFAULT_NID",
    "MAX_ENDPOINTS",
    "MAX_SAE_ID_LENGTH",
    "Lifecycle",
    "ServiceUnitId",
    "key_size_bits",
    "pairing_token",
    "sae_id",
    "with_nonce",
]

DEFAULT_NID = "qkd"
MAX_ENDPOINTS = 64
MAX_SAE_ID_LENGTH = 64

_LIFECYCLE_ROOT = "lifecycle"
_TOKEN_KEYS = ("nonce", "nid")
_OWN_KEYS = ("size", "ttl", "valid-until")
_NUMBER = re.compile(r"[1-9][0-9]{0,14}")


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Hold the lifecycle of a unit: how much it is and until when it lives.

    `size`: what is shared, in bits for keys (see `key_size_bits`). Exactly one of `valid_until` (seconds
    since the Unix epoch) and `ttl` (seconds from set-up). `other`: further q-parameters, sorted by key.
    Numbers have 1 to 15 decimal digits. Raises InputError for a part missing, doubled or out of range.
    """

    size: int
    valid_until: int | None = None
    ttl: int | None = None
    other: tuple[Pair, ...] = ()
    nid: str = DEFAULT_NID

    def __post_init__(self) -> None:
        if (self.valid_until is None) == (self.ttl is None):
            raise InputError("a lifecycle has either valid-until or ttl: give exactly one of them")
        for key, number in zip(_OWN_KEYS, (self.size, self.ttl, self.valid_until), strict=True):
            if number is not None and not _NUMBER.fullmatch(str(number)):
                raise InputError(f"lifecycle {key}={number} is not a number from 1 to 999999999999999")
        for key, _ in self.other:
            if key in _TOKEN_KEYS:
                raise InputError(f"the lifecycle carries {key!r}: give the pairing token to an endpoint")
            if key in _OWN_KEYS:
                raise InputError(f"the lifecycle gives {key!r} more than once")
        force_setattr(self, "nid", self.nid.lower())
        force_setattr(self, "other", _canonical(self.other))
        _ = self.urn

    @classmethod
    def parse(cls, text: str, nid: str = DEFAULT_NID) -> "Lifecycle":
        """Read `urn:NID:lifecycle?=size=...&valid-until=...`; raises InputError that names what is wrong."""
        return cls.from_urn(Urn.parse(text), nid)

    @classmethod
    def from_urn(cls, urn: Urn, nid: str = DEFAULT_NID) -> "Lifecycle":
        """Read the parameters of a lifecycle URN; raises InputError that names what is wrong."""
        if urn.nid.lower() != nid.lower() or urn.segments != (_LIFECYCLE_ROOT,):
            raise InputError(f"{urn} is not a lifecycle: its name must be urn:{nid}:{_LIFECYCLE_ROOT}")
        _only_q(urn)
        numbers: dict[str, int] = {}
        other: list[Pair] = []
        for key, value in urn.q_pairs:
            if key in _OWN_KEYS and key not in numbers:
                numbers[key] = _number(key, value)
            else:
                other.append((key, value))
        if "size" not in numbers:
            raise InputError(f"{urn} has no size: add size=<bits>")
        return cls(
            size=numbers["size"],
            valid_until=numbers.get("valid-until"),
            ttl=numbers.get("ttl"),
            other=tuple(other),
            nid=nid,
        )

    @cached_property
    def urn(self) -> Urn:
        """Give the URN with its parameters sorted by key."""
        numbers = zip(_OWN_KEYS, (self.size, self.ttl, self.valid_until), strict=True)
        own = tuple((key, str(number)) for key, number in numbers if number is not None)
        return Urn(f"urn:{self.nid}:{_LIFECYCLE_ROOT}").with_q(_canonical((*own, *self.other)))

    def __str__(self) -> str:
        return self.urn.text

    def resolve(self, opened_epoch_s: int) -> "Lifecycle":
        """Turn a ttl into valid-until, for a unit opened at this instant (Unix seconds)."""
        if self.ttl is None:
            return self
        return msgspec.structs.replace(self, ttl=None, valid_until=opened_epoch_s + self.ttl)

    def is_expired(self, now_epoch_s: float) -> bool:
        """Tell whether the unit may no longer be used, which is so from valid-until on (Unix seconds).

        Raises InputError while the life is still relative to set-up.
        """
        if self.valid_until is None:
            raise InputError(f"{self} has only a ttl: resolve it when the unit is opened")
        return now_epoch_s >= self.valid_until


class ServiceUnitId(msgspec.Struct, frozen=True, dict=True):
    """Identify a unit by 2 to MAX_ENDPOINTS endpoints (repeats allowed) and a lifecycle, undirected.

    Two are equal when every part is: names, pairing tokens, further parameters, lifecycle. In a proposal an
    endpoint may still lack its token. Raises InputError for an endpoint in another namespace than the
    lifecycle's, under the reserved root `lifecycle`, with an r- or f-component, or with a token misplaced.
    """

    endpoints: tuple[Urn, ...]
    lifecycle: Lifecycle

    def __post_init__(self) -> None:
        if not 2 <= len(self.endpoints) <= MAX_ENDPOINTS:
            raise InputError(f"a unit has 2 to {MAX_ENDPOINTS} endpoints, not {len(self.endpoints)}")
        canonical = (_canonical_endpoint(endpoint, self.lifecycle.nid) for endpoint in self.endpoints)
        force_setattr(self, "endpoints", tuple(sorted(canonical)))

    @classmethod
    def of(cls, endpoints: Iterable[Urn], lifecycle: Lifecycle) -> "ServiceUnitId":
        """Make the identifier of these endpoints, given in any order; raises InputError."""
        return cls(tuple(endpoints), lifecycle)

    @classmethod
    def parse(cls, text: str, nid: str = DEFAULT_NID) -> "ServiceUnitId":
        """Read one URN a line, the lifecycle among them, in any order; one final newline is allowed.

        Raises InputError that names the faulty part.
        """
        urns = [Urn.parse(line) for line in text.removesuffix("\n").split("\n")]
        lifecycles = [urn for urn in urns if urn.segments == (_LIFECYCLE_ROOT,)]
        if len(lifecycles) != 1:
            raise InputError(f"a unit has one urn:{nid}:{_LIFECYCLE_ROOT} line, not {len(lifecycles)}")
        endpoints = (urn for urn in urns if urn is not lifecycles[0])
        return cls.of(endpoints, Lifecycle.from_urn(lifecycles[0], nid))

    @cached_property
    def text(self) -> str:
        """Give the canonical text: endpoints in order, then the lifecycle, one a line, no final newline."""
        return "\n".join([*(endpoint.text for endpoint in self.endpoints), self.lifecycle.urn.text])

    @cached_property
    def digest(self) -> str:
        """Give 16 hex characters of BLAKE2b over the canonical text: a handle for logs, not a secret."""
        return hashlib.blake2b(self.text.encode("ascii"), digest_size=8).hexdigest()

    def __str__(self) -> str:
        return self.text


def pairing_token(endpoint: Urn) -> str | None:
    """Give the value of `nonce` or `nid` in the q-component, None without one.

    Raises InputError for a token in the r- or f-component, an empty one, or more than one.
    """
    for where, component in (("r", endpoint.r), ("f", endpoint.f)):
        if any(key in _TOKEN_KEYS for key, _ in split_pairs(component)):
            raise InputError(f"{endpoint} has a pairing token in the {where}-component: move it to q")
    tokens = [value for key, value in endpoint.q_pairs if key in _TOKEN_KEYS]
    if len(tokens) > 1:
        raise InputError(f"{endpoint} has {len(tokens)} pairing tokens: keep one nonce")
    if tokens and not tokens[0]:
        raise InputError(f"{endpoint} has an empty pairing token: give it a value or leave it out")
    return tokens[0] if tokens else None


def with_nonce(endpoint: Urn, token: str) -> Urn:
    """Give the endpoint this pairing token as `nonce`, in the place of the one it had, else at the end.

    Raises InputError for a token that is empty or that a q-component cannot hold.
    """
    nonce: Pair = ("nonce", token)
    if pairing_token(endpoint) is None:
        made = endpoint.with_q([*endpoint.q_pairs, nonce])
    else:
        made = endpoint.with_q(nonce if pair[0] in _TOKEN_KEYS else pair for pair in endpoint.q_pairs)
    pairing_token(made)
    return made


def sae_id(endpoint: Urn) -> str:
    """Give the name under which an endpoint is known outside: its canonical name, without r, q and f.

    A URN has only RFC 3986 characters; '/' and '%' in it still need percent-encoding inside a URL path.
    Raises InputError for a name over 64 characters or under the reserved root.
    Source: ETSI GS QKD 020 V1.1.1 (SAE ids).
    """
    if endpoint.segments[0] == _LIFECYCLE_ROOT:
        raise InputError(f"{endpoint.name} cannot name an SAE: the root {_LIFECYCLE_ROOT!r} is reserved")
    if len(endpoint.name) > MAX_SAE_ID_LENGTH:
        length = len(endpoint.name)
        raise InputError(f"{endpoint.name} has {length} characters, an SAE id at most {MAX_SAE_ID_LENGTH}")
    return endpoint.name


def key_size_bits(size: int) -> int:
    """Return a size that a key can have, a positive multiple of 8 bits; raises InputError for another."""
    if size <= 0 or size % 8:
        raise InputError(f"key size {size} is not a positive multiple of 8 bits")
    return size


def _canonical_endpoint(endpoint: Urn, nid: str) -> Urn:
    if endpoint.nid.lower() != nid:
        raise InputError(f"endpoint {endpoint} is not in the namespace {nid!r} of its unit")
    if endpoint.segments[0] == _LIFECYCLE_ROOT:
        raise InputError(f"endpoint {endpoint} is under the reserved root {_LIFECYCLE_ROOT!r}: rename it")
    pairing_token(endpoint)
    _only_q(endpoint)
    return Urn(endpoint.name).with_q(_canonical(endpoint.q_pairs))


def _only_q(urn: Urn) -> None:
    if urn.r is not None or urn.f is not None:
        raise InputError(f"{urn} has an r- or f-component, which no unit has: remove it")


def _canonical(pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
    spelled = [(upper_hex(key), value if value is None else upper_hex(value)) for key, value in pairs]
    # No q-component begins with '/' or '?' (RFC 8141, section 2), so such keys cannot come first.
    return tuple(sorted(spelled, key=lambda pair: (pair[0].startswith(("/", "?")), pair[0])))


def _number(key: str, value: str | None) -> int:
    if value is None or not _NUMBER.fullmatch(value):
        raise InputError(f"lifecycle {key}={value or ''} is not a whole number of 1 to 15 digits")
    return int(value)

"""T1, application - service.res: delivery of keys to authenticated SAEs.

The sender is the face of an interface; `sae` is the name that it has authenticated.
"""

import enum
from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message


class _Request(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T1"
    sent_by: ClassVar[tuple[End, ...]] = (End.APPLICATION,)
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)
    logged: ClassVar[tuple[str, ...]] = ("request", "sae")


class _Answer(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T1"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.APPLICATION,)
    logged: ClassVar[tuple[str, ...]] = ("request",)


class AskStatus(_Request, frozen=True, gc=False):
    """Ask for the status of the pair (`sae`, `peer`)."""

    request: int
    sae: str
    peer: str


class EncKeys(_Request, frozen=True, gc=False):
    """Ask for `number` new keys to share with `peer`; `size_bits` 0 means the session's size.

    Each SAE in `also` gets copies of the same keys.
    """

    request: int
    sae: str
    peer: str
    number: int
    size_bits: int
    also: tuple[str, ...] = ()


class DecKeys(_Request, frozen=True, gc=False):
    """Ask for the keys that `peer` was given to share with `sae`, by id: all or none."""

    request: int
    sae: str
    peer: str
    key_ids: tuple[str, ...]


class PairStatus(_Answer, frozen=True, gc=False):
    """Answer AskStatus; `session` is empty while the pair has none (open one over F10).

    `kme` and `peer_kme` are the names that stand in the KMEs' certificates.
    """

    request: int
    session: str
    kme: str
    peer_kme: str
    size_bits: int
    stored: int
    capacity: int
    max_per_request: int
    max_size_bits: int
    min_size_bits: int


class DeliveredKey(msgspec.Struct, frozen=True):
    """One key as it is delivered."""

    key_id: str
    bits: KeyMaterial


class KeysDelivered(_Answer, frozen=True, gc=False):
    """Answer EncKeys or DecKeys; the delivery marks are durable."""

    secret: ClassVar[bool] = True
    logged: ClassVar[tuple[str, ...]] = ("request", "key_ids")
    request: int
    keys: tuple[DeliveredKey, ...]

    @property
    def key_ids(self) -> str:
        """Return the ids of the keys, separated by spaces."""
        return " ".join(key.key_id for key in self.keys)


class Fault(enum.Enum):
    """Whose fault a refusal is: the identity's, the request's, or ours for now."""

    UNAUTHORIZED = "unauthorized"
    BAD_REQUEST = "bad-request"
    NO_SESSION = "no-session"
    UNAVAILABLE = "unavailable"


class RequestRefused(_Answer, frozen=True, gc=False):
    """Refuse a request; nothing was consumed. `message` is safe to show to the SAE.

    `retry_after_ps` is how long it takes until what was asked for is expected; 0 where that is not known.
    """

    logged: ClassVar[tuple[str, ...]] = ("request",)
    request: int
    fault: Fault
    message: str
    retry_after_ps: int = 0

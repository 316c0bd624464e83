"""The rows of the ledger: link blocks and their lineage, sessions, and pooled keys."""

import enum
from typing import ClassVar

import msgspec

from qstrata.core.effects import Record
from qstrata.core.secrets import KeyMaterial


class Segment(msgspec.Struct, frozen=True, gc=False):
    """A run of pad bits: `length` bits from bit `offset` of block `number` of a link."""

    link: str
    number: int
    offset: int
    length: int


class BlockBits(Record, frozen=True, kw_only=True):
    """The secret bits of one link block at one end; dropped when the last bit is settled."""

    kind: ClassVar[str] = "block-bits"

    link: str
    number: int
    bits: KeyMaterial

    @property
    def key(self) -> str:
        """Return `link/number`."""
        return f"{self.link}/{self.number}"

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return link, number and length in bits."""
        return (self.link, self.number, self.bits.size_bits)


class BlockState(Record, frozen=True, kw_only=True):
    """The account of one link block at one end, in bits.

    `position` bits have been allocated from the start; of these `relayed` reached their far KME,
    `destroyed` did not, the rest is in flight. `owner` is the site of the only end that allocates.
    `provenance` names the bearer, `qber_ppm` the error rate the block was distilled at.
    """

    kind: ClassVar[str] = "block"

    link: str
    number: int
    length: int
    owner: str
    position: int = 0
    relayed: int = 0
    destroyed: int = 0
    provisioned: bool = False
    digest: str
    bearer: str
    made_ps: int
    qber_ppm: int = 0

    @property
    def key(self) -> str:
        """Return `link/number`."""
        return f"{self.link}/{self.number}"

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return the whole account; it holds no secret."""
        return (
            self.link,
            self.number,
            self.length,
            self.owner,
            self.position,
            self.relayed,
            self.destroyed,
            int(self.provisioned),
            self.digest,
        )


class TransferLeg(Record, frozen=True, kw_only=True):
    """The lineage of one transfer at one relay: the pad bits that came in and went out."""

    kind: ClassVar[str] = "transfer"

    transfer: str
    path: int
    session: str
    incoming: tuple[Segment, ...]
    outgoing: tuple[Segment, ...]
    at_ps: int

    @property
    def key(self) -> str:
        """Return the transfer's id."""
        return self.transfer

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return transfer, path, and the bits taken in and out."""
        return (
            self.transfer,
            self.path,
            sum(s.length for s in self.incoming),
            sum(s.length for s in self.outgoing),
        )


class SaeEntry(msgspec.Struct, frozen=True):
    """An SAE in a KME's registry: its name, the site of its KME, the SAEs it may pair with.

    A name that is not `routable` is not known outside its domain.
    """

    name: str
    site: str
    peers: tuple[str, ...]
    routable: bool = True


class KmeRegistry(Record, frozen=True, kw_only=True):
    """What a KME was last configured with, so that pooled keys serve without a controller."""

    kind: ClassVar[str] = "registry"

    serial: int
    saes: tuple[SaeEntry, ...]

    @property
    def key(self) -> str:
        """Return the only key of its kind."""
        return "registry"

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return the serial number and the count of SAEs."""
        return (self.serial, len(self.saes))


class SessionRecord(Record, frozen=True, kw_only=True):
    """A session of one KME: the service unit of an SAE pair, refilled to a depth.

    `session` is the unit's digest, `unit` its identifier, `local` and `peer` the SAE names,
    `peer_site` the site of the peer's KME (this site when both SAEs are attached here),
    `size_bits` the size of its keys, `depth` the keys of this KME's own half, `valid_until_ps` the end.
    Each SAE is granted `request_rate_keys_per_s`, at most `burst_keys` at once; a rate of 0 bounds nothing.
    `rate_keys_per_s` is what each of its KMEs makes at most, 0 where control has not said so.
    """

    kind: ClassVar[str] = "session"

    session: str
    unit: str
    local: str
    peer: str
    peer_site: str
    size_bits: int
    depth: int
    valid_until_ps: int
    closed: bool = False
    request_rate_keys_per_s: float = 0.0
    burst_keys: int = 0
    rate_keys_per_s: float = 0.0

    @property
    def key(self) -> str:
        """Return the session's id."""
        return self.session

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return session, peer site, size in bits, depth, end and whether it is closed."""
        return (
            self.session,
            self.peer_site,
            self.size_bits,
            self.depth,
            self.valid_until_ps,
            int(self.closed),
        )


class SessionMark(Record, frozen=True, kw_only=True):
    """How far the transfers of a session have come: numbers given out here, and taken from the peer."""

    kind: ClassVar[str] = "mark"

    session: str
    next_sequence: int = 0
    placed_sequence: int = -1

    @property
    def key(self) -> str:
        """Return the session's id."""
        return self.session

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return session, next own number and last number taken from the peer."""
        return (self.session, self.next_sequence, self.placed_sequence)


class BatchState(enum.Enum):
    """Where a batch of own keys stands: not yet placed, placed at the far KME, or destroyed."""

    RESERVED = "reserved"
    READY = "ready"
    VOID = "void"


class BatchRecord(Record, frozen=True, kw_only=True):
    """The keys that one transfer carries, at their owner KME; kept while a key lives or a void is unsaid."""

    kind: ClassVar[str] = "batch"

    session: str
    sequence: int
    key_ids: tuple[str, ...]
    state: BatchState

    @property
    def key(self) -> str:
        """Return `session/sequence`."""
        return f"{self.session}/{self.sequence}"

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return session, sequence, state and the key ids."""
        return (self.session, self.sequence, self.state.value, *self.key_ids)


class KeyState(enum.Enum):
    """Where a pooled key stands at one KME; an own key is also as ready as its batch."""

    POOLED = "pooled"
    DELIVERED_IN_PART = "delivered-in-part"
    DELIVERED = "delivered"
    DESTROYED = "destroyed"
    EXPIRED = "expired"
    QUARANTINED = "quarantined"


class KeyRecord(Record, frozen=True, kw_only=True):
    """One pooled key of a session at one KME; `bits` are gone once it is delivered to its SAEs, or dead.

    `own` says that this KME drew it and alone hands it out by `enc`; the other only by `dec`.
    `position` counts the keys before it in its batch. `delivered_to` are the SAEs that have it from
    this KME. A `shared` key is one of several copies under the same id, one a slave SAE, each in the
    session of its slave.
    """

    kind: ClassVar[str] = "key"

    key_id: str
    session: str
    sequence: int
    position: int = 0
    own: bool
    size_bits: int
    valid_until_ps: int
    state: KeyState
    bits: KeyMaterial | None
    delivered_to: tuple[str, ...] = ()
    shared: bool = False

    @property
    def key(self) -> str:
        """Return the key's id; of a shared key `id/session`, for a KME may hold several copies."""
        return f"{self.key_id}/{self.session}" if self.shared else self.key_id

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return everything but the bits."""
        return (
            self.key_id,
            self.session,
            self.sequence,
            int(self.own),
            self.size_bits,
            self.valid_until_ps,
            self.state.value,
            *self.delivered_to,
        )


class PoolTotals(Record, frozen=True, kw_only=True):
    """What the settled blocks of a link that are no longer kept one by one add up to, in bits."""

    kind: ClassVar[str] = "pool-totals"

    link: str
    generated: int = 0
    provisioned: int = 0
    relayed: int = 0
    destroyed: int = 0

    @property
    def key(self) -> str:
        """Return the link."""
        return self.link

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return the totals."""
        return (self.link, self.generated, self.provisioned, self.relayed, self.destroyed)


class TagKey(Record, frozen=True, kw_only=True):
    """Link bits set apart at both ends to authenticate what is told of one later block; dropped before use.

    They are the bits number `index` of those that block `number` set apart.
    """

    kind: ClassVar[str] = "tag-key"

    link: str
    number: int
    index: int
    bits: KeyMaterial

    @property
    def key(self) -> str:
        """Return `link/number/index`."""
        return f"{self.link}/{self.number}/{self.index}"

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return link, number, index and length in bits."""
        return (self.link, self.number, self.index, self.bits.size_bits)


class TagTotals(Record, frozen=True, kw_only=True):
    """What blocks of a link have set apart for authentication so far, used or not, in bits."""

    kind: ClassVar[str] = "tag-totals"

    link: str
    generated: int = 0
    provisioned: int = 0

    @property
    def key(self) -> str:
        """Return the link."""
        return self.link

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return the totals."""
        return (self.link, self.generated, self.provisioned)


class KeyTotals(Record, frozen=True, kw_only=True):
    """What the finished keys of a session that are no longer kept one by one add up to, in bits."""

    kind: ClassVar[str] = "key-totals"

    session: str
    delivered: int = 0
    destroyed: int = 0
    expired: int = 0
    quarantined: int = 0

    @property
    def key(self) -> str:
        """Return the session's id."""
        return self.session

    @property
    def logged(self) -> tuple[int | str, ...]:
        """Return the totals."""
        return (self.session, self.delivered, self.destroyed, self.expired, self.quarantined)

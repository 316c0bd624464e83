"""The conservation law over the records of a ledger, in bits: where every bit is that ever came in.

generated + provisioned = available + reserved + in flight + relayed + delivered + authentication
                        + quarantined + expired + destroyed
"""

from collections.abc import Container, Iterable

import msgspec

from qstrata.core.errors import InternalError
from qstrata.store.records import (
    BatchRecord,
    BatchState,
    BlockState,
    KeyRecord,
    KeyState,
    KeyTotals,
    PoolTotals,
    TagTotals,
)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of the law, in bits; a term that a ledger cannot have is 0."""

    generated: int = 0
    provisioned: int = 0
    available: int = 0
    reserved: int = 0
    in_flight: int = 0
    relayed: int = 0
    delivered: int = 0
    authentication: int = 0
    quarantined: int = 0
    expired: int = 0
    destroyed: int = 0

    @property
    def terms(self) -> tuple[int, ...]:
        """Return the terms in the order of the law."""
        return msgspec.structs.astuple(self)

    @property
    def balanced(self) -> bool:
        """Return whether the two sides are equal and no term is below 0."""
        terms = self.terms
        return sum(terms[:2]) == sum(terms[2:]) and min(terms) >= 0


class LinkAccount(Account, frozen=True, kw_only=True):
    """The account of one link pool at one end.

    Delivered, quarantined and expired are 0: link bits serve relaying alone and do not age.
    Authentication are bits set apart for tags, used or not; 0 where devices are trusted to distil.
    """


class SessionAccount(Account, frozen=True, kw_only=True):
    """The account of one session at one KME; generated are the bits drawn here and taken from the peer.

    Provisioned, relayed and authentication are 0: these happen to link bits.
    """


def link_account(
    blocks: Iterable[BlockState],
    totals: PoolTotals | None = None,
    *,
    generated: int | None = None,
    provisioned: int | None = None,
    unconfirmed: Container[int] = (),
    tags: TagTotals | None = None,
) -> LinkAccount:
    """Return the account of one link at one end from its blocks and the totals of those folded away.

    `generated` and `provisioned` are the bits that were handed over, counted elsewhere; without them
    the records stand for them and a lost block does not show. Blocks whose number is in `unconfirmed`
    wait for the other end: their bits are reserved, not available. `tags` are the bits set apart for
    authentication; they come on top of what the blocks hold. InternalError for a block that allocated or
    settled more than it had.
    """
    apart = tags or TagTotals(link="")
    past = totals or PoolTotals(link="")
    made, given, relayed, destroyed = past.generated, past.provisioned, past.relayed, past.destroyed
    available = reserved = in_flight = 0
    for block in blocks:
        if block.provisioned:
            given += block.length
        else:
            made += block.length
        left = block.length - block.position
        if left < 0:
            raise InternalError(f"block {block.key} has {block.length} bits and allocated {block.position}")
        if block.number in unconfirmed:
            reserved += left
        else:
            available += left
        travelling = block.position - block.relayed - block.destroyed
        if travelling < 0:
            raise InternalError(f"block {block.key} settled more bits than the {block.position} it allocated")
        in_flight += travelling
        relayed += block.relayed
        destroyed += block.destroyed
    return LinkAccount(
        generated=(made if generated is None else generated) + apart.generated,
        provisioned=(given if provisioned is None else provisioned) + apart.provisioned,
        authentication=apart.generated + apart.provisioned,
        available=available,
        reserved=reserved,
        in_flight=in_flight,
        relayed=relayed,
        destroyed=destroyed,
    )


_TERM_OF_STATE = {
    KeyState.DELIVERED_IN_PART: "reserved",
    KeyState.DELIVERED: "delivered",
    KeyState.DESTROYED: "destroyed",
    KeyState.EXPIRED: "expired",
    KeyState.QUARANTINED: "quarantined",
}

_TERM_OF_BATCH = {
    BatchState.READY: "available",
    BatchState.RESERVED: "in_flight",
    BatchState.VOID: "destroyed",
}


def session_account(
    keys: Iterable[KeyRecord], batches: Iterable[BatchRecord], totals: KeyTotals | None = None
) -> SessionAccount:
    """Return the account of one session at one KME from its keys, its own batches and what was folded away.

    A pooled key of the peer is available; a pooled own key is as far as its batch: available when
    ready, in flight while reserved, destroyed when void. A key delivered in part is reserved for the
    SAEs that lack it. A pooled own key without a batch is in no term, and the account not balanced.
    """
    states = {batch.sequence: batch.state for batch in batches}
    past = totals or KeyTotals(session="")
    bits = dict.fromkeys(Account.__struct_fields__, 0)
    bits["generated"] = past.delivered + past.destroyed + past.expired + past.quarantined
    bits["delivered"] = past.delivered
    bits["destroyed"] = past.destroyed
    bits["expired"] = past.expired
    bits["quarantined"] = past.quarantined
    for key in keys:
        bits["generated"] += key.size_bits
        if key.state is not KeyState.POOLED:
            bits[_TERM_OF_STATE[key.state]] += key.size_bits
        elif not key.own:
            bits["available"] += key.size_bits
        elif (state := states.get(key.sequence)) is not None:
            bits[_TERM_OF_BATCH[state]] += key.size_bits
    return SessionAccount(**bits)

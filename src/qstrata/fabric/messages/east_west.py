"""T5 of resources: distillation between agents, hand-over at a site, pool upkeep, relay hops, negotiation.

Between sites, agents speak on the distillation channel of their link, relays and KMEs on its relay channel.
"""

from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.service_control import HopReply, Offer
from qstrata.fabric.messages.transfer import TransferHeader
from qstrata.physics.counts import Counts
from qstrata.store.records import Segment


class _Peer(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T5"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)


class Distil(_Peer, frozen=True, gc=False):
    """Agent to agent: what this end counted in one block; both compute the key length from it.

    `answer` is false in the first message of an end that has not heard the other's yet.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int
    counts: Counts
    answer: bool


class HandOver(_Peer, frozen=True, gc=False):
    """Agent to the relay of its site: the distilled bits of one block."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    secret: ClassVar[bool] = True
    link: str
    block: int
    bits: KeyMaterial
    bearer: str
    qber_ppm: int
    provisioned: bool


class HandOverDone(_Peer, frozen=True, gc=False):
    """Relay to the agent of its site: the block is durable here; the agent forgets it."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int


class BlockLost(_Peer, frozen=True, gc=False):
    """Agent to the relay of its site: this block will never be handed over here."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int


class BlockOffer(_Peer, frozen=True, gc=False):
    """Relay to relay: this end holds the block durably; it is available once the other does too."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "length", "digest")
    link: str
    block: int
    length: int
    digest: str


class BlockAnswer(_Peer, frozen=True, gc=False):
    """Relay to relay, on an offer: `held` durably too, `awaited`, or `gone` for ever."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "answer")
    link: str
    block: int
    answer: str


class BlockWanted(_Peer, frozen=True, gc=False):
    """Relay to relay: ask for a wholly unspent block of the other end."""

    logged: ClassVar[tuple[str, ...]] = ("link",)
    link: str


class BlockGiven(_Peer, frozen=True, gc=False):
    """Relay to relay: the block's ownership passes to the receiver; the giver's loss is durable."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int


class BlockTaken(_Peer, frozen=True, gc=False):
    """Relay to relay: the receiver's gain of a given block is durable."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int


class BlockMark(msgspec.Struct, frozen=True, gc=False):
    """The owner's account of one block, in bits from its start."""

    block: int
    position: int
    relayed: int
    destroyed: int


class PoolMark(_Peer, frozen=True, gc=False):
    """Owner to follower: the owner's durable accounts of blocks; the follower adopts them."""

    logged: ClassVar[tuple[str, ...]] = ("link", "serial")
    link: str
    serial: int
    marks: tuple[BlockMark, ...]


class PoolMarked(_Peer, frozen=True, gc=False):
    """Follower to owner: the accounts of that serial are durable here too."""

    logged: ClassVar[tuple[str, ...]] = ("link", "serial")
    link: str
    serial: int


class Relay(_Peer, frozen=True, gc=False):
    """Relay to relay: a batch, one-time-padded with `segments` of the link; never sent again."""

    logged: ClassVar[tuple[str, ...]] = ("transfer", "link")
    secret: ClassVar[bool] = True
    link: str
    header: TransferHeader
    segments: tuple[Segment, ...]
    ciphertext: bytes

    @property
    def transfer(self) -> str:
        """Return the transfer's id."""
        return self.header.transfer


class Returned(_Peer, frozen=True, gc=False):
    """Relay to relay, back along the path: the batch is durable at the far KME, or was refused."""

    logged: ClassVar[tuple[str, ...]] = ("transfer", "placed")
    link: str
    transfer: str
    placed: bool
    reason: str


class _Kme(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T5"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)
    logged: ClassVar[tuple[str, ...]] = ("proposal", "serial")


class Proposal(_Kme, frozen=True, gc=False):
    """KME to KME: pass a proposed unit on along its route (see ProposeUnit); `hops` answered so far."""

    proposal: str
    serial: int
    offer: Offer
    route: tuple[str, ...]
    channels: tuple[str, ...]
    registry: int
    settled: bool
    hops: tuple[HopReply, ...]


class ProposalReplied(_Kme, frozen=True, gc=False):
    """KME to KME, back along the route: the offer as it came back, and every hop's answer in order."""

    proposal: str
    serial: int
    offer: Offer
    hops: tuple[HopReply, ...]

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
from qstrata.physics.counts import Triple
from qstrata.physics.tallies import Tally
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
    counts: Tally
    answer: bool


class HandOver(_Peer, frozen=True, gc=False):
    """Agent to the relay of its site: the distilled bits of one block.

    The first of them make `tag_keys` keys that authenticate what is told of later blocks.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    secret: ClassVar[bool] = True
    link: str
    block: int
    bits: KeyMaterial
    bearer: str
    qber_ppm: int
    provisioned: bool
    tag_keys: int = 0


class HandOverDone(_Peer, frozen=True, gc=False):
    """Relay to the agent of its site: the block is durable here, and the agent forgets it.

    Or it was `refused` for a reason, and is destroyed.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int
    refused: str = ""


class BlockLost(_Peer, frozen=True, gc=False):
    """Agent to the relay of its site: this block will never be handed over here."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int


class TagKeyWanted(_Peer, frozen=True, gc=False):
    """Agent to the relay of its site: asks for a key that authenticates a block: `key`, or any if empty."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "key")
    link: str
    block: int
    key: str


class TagKeyGiven(_Peer, frozen=True, gc=False):
    """Relay to the agent of its site: the key, gone from the ledger; no name and no bits if there is none.

    `left` keys remain for later blocks.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "key", "left")
    secret: ClassVar[bool] = True
    link: str
    block: int
    key: str
    bits: KeyMaterial
    left: int


class Detected(_Peer, frozen=True, gc=False):
    """Receiver's agent to transmitter's: which pulses of a raw block clicked, and in which bases."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "clicks")
    link: str
    block: int
    clicks: int
    positions: bytes
    bases: bytes


class Sifting(_Peer, frozen=True, gc=False):
    """Transmitter's agent to receiver's: bases and intensities of those pulses, and its bits of the test."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int
    sent: Triple
    bases: bytes
    intensities: bytes
    test_bits: bytes


class ParitiesAsked(_Peer, frozen=True, gc=False):
    """Receiver's agent to transmitter's: the questions of a round, 4 bytes each, one text for each frame."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "serial")
    link: str
    block: int
    serial: int
    questions: tuple[bytes, ...]


class ParitiesTold(_Peer, frozen=True, gc=False):
    """Transmitter's agent to receiver's: the parities, one bit each, one text for each frame."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "serial")
    link: str
    block: int
    serial: int
    parities: tuple[bytes, ...]


class Corrected(_Peer, frozen=True, gc=False):
    """Receiver's agent to transmitter's: its bits of the test, the errors corrected, and a hash of its key.

    The hash has a random `point` that nobody else knew before.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int
    test_bits: bytes
    errors: Triple
    point: bytes
    hash: bytes


class Amplify(_Peer, frozen=True, gc=False):
    """Transmitter's agent to receiver's: the hashes agree; make `length` bits by this seed.

    `tag_keys` keys of them are set apart; `tag` authenticates all that was told, under `key`.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "length", "key")
    link: str
    block: int
    length: int
    seed: bytes
    tag_keys: int
    key: str
    tag: bytes


class Authenticated(_Peer, frozen=True, gc=False):
    """Receiver's agent to transmitter's: the receiver's own tag, under the same key."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int
    tag: bytes


class GivenUp(_Peer, frozen=True, gc=False):
    """Agent to agent: this end has no part in the block any more, for a reason."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block")
    link: str
    block: int
    reason: str


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

"""The pool of one link at one end: who may spend which bits, what was spent, and what became of it.

Theory of operation. A block has an owner end; only the owner allocates, from the start of the block
onwards, and the other end follows the offsets that arrive. The owner's account of a block is the
true one: the follower adopts it by pool marks. A block changes its owner at most once, and only
while wholly unspent, so that a late duplicate of the hand-over can never make two owners.
All lengths and offsets are in bits and whole bytes. Nothing here does I/O: the relay commits what
`changes` returns before anything leaves.
"""

from collections.abc import Iterable, Sequence

import msgspec

from qstrata.core.effects import Drop, Put, Record
from qstrata.core.errors import InternalError
from qstrata.core.secrets import KeyMaterial
from qstrata.store.records import BlockBits, BlockState, PoolTotals, Segment

POOL_BITS_MAX = 32_000_000
"""A pool takes so many unspent bits of its link, at most: a longer block never fits."""
KEPT_SETTLED_BLOCKS = 256
"""Settled blocks whose accounts are kept one by one, for traces and for comparing the ends."""
BARRED_WINDOWS = 64
"""Suspect windows of a link that a relay remembers."""
BLOCKS_BEHIND = 16
"""A block this far behind the newest one, and not here, will never come: devices hold fewer."""


class Block:
    """One link block: its account, its bits while they may be needed, and what is known of the peer."""

    __slots__ = ("bits", "confirmed", "giving", "state")

    def __init__(self, state: BlockState, bits: KeyMaterial | None, confirmed: bool = False) -> None:
        self.state = state
        self.bits = bits
        self.confirmed = confirmed
        self.giving = False

    @property
    def unspent(self) -> int:
        """Return the bits that nobody has allocated."""
        return self.state.length - self.state.position

    @property
    def settled(self) -> bool:
        """Say whether every bit is accounted as relayed or destroyed."""
        return self.state.relayed + self.state.destroyed == self.state.length


def first_owner(number: int, site: str, peer_site: str) -> str:
    """Return the site that owns a block when it is made: the ends alternate."""
    return sorted((site, peer_site))[number % 2]


class LinkPool:
    """The link bits that one end holds, and their account (design 2.3)."""

    def __init__(self, link: str, site: str, peer_site: str) -> None:
        self.link = link
        self.site = site
        self.peer_site = peer_site
        self.blocks: dict[int, Block] = {}
        self.settled: dict[int, BlockState] = {}
        self.totals = PoolTotals(link=link)
        self.newest = 0
        self.generated = 0
        self.provisioned = 0
        self.changed: dict[int, None] = {}
        self.last_allocated_ps = 0
        self.ended = False
        self.barred: dict[int, int] = {}
        self._past_relayed = 0
        self._past_destroyed = 0

    def load(self, records: Sequence[Record]) -> None:
        """Rebuild from the durable rows of this link: what was in flight when the node stopped is burnt."""
        bits = {r.number: r.bits for r in records if isinstance(r, BlockBits) and r.link == self.link}
        for record in records:
            if isinstance(record, PoolTotals) and record.link == self.link:
                self.totals = record
                self.generated += record.generated
                self.provisioned += record.provisioned
                self._past_relayed += record.relayed
                self._past_destroyed += record.destroyed
        states = [r for r in records if isinstance(r, BlockState) and r.link == self.link]
        for state in sorted(states, key=lambda r: r.number):
            self._enter(state, bits.get(state.number))

    def _enter(self, state: BlockState, bits: KeyMaterial | None) -> None:
        self._count(state)
        block = Block(state, bits)
        block.giving = self._was_given(state)
        if state.owner == self.site and state.position:
            block.state = msgspec.structs.replace(state, destroyed=state.position - state.relayed)
            self.changed[state.number] = None
        self.blocks[state.number] = block
        if block.settled and state.owner != self.site:
            self._set_aside(block)

    def _set_aside(self, block: Block) -> None:
        state = block.state
        self.settled[state.number] = state
        del self.blocks[state.number]
        self._past_relayed += state.relayed
        self._past_destroyed += state.destroyed

    def _count(self, state: BlockState) -> None:
        self.newest = max(self.newest, state.number)
        if state.provisioned:
            self.provisioned += state.length
        else:
            self.generated += state.length

    def _was_given(self, state: BlockState) -> bool:
        mine = first_owner(state.number, self.site, self.peer_site) == self.site
        return mine and state.owner == self.peer_site and not state.position

    def add(self, state: BlockState, bits: KeyMaterial) -> tuple[Put, ...]:
        """Take a new block in; returns the rows to commit. InternalError when it is here already."""
        if state.number in self.blocks or state.number in self.settled:
            raise InternalError(f"block {state.number} of {self.link} is in the pool already")
        self._count(state)
        self.blocks[state.number] = Block(state, bits)
        return (Put(BlockBits(link=self.link, number=state.number, bits=bits)), Put(state))

    def holds(self, number: int) -> bool:
        """Say whether the block is, or was, in this pool."""
        return number in self.blocks or number in self.settled

    def is_past(self, number: int) -> bool:
        """Say whether a block that is not here is so old that it will never come."""
        return number <= self.newest - BLOCKS_BEHIND

    def available(self) -> int:
        """Return the unspent bits of blocks that both ends are known to hold, whoever owns them."""
        return sum(b.unspent for b in self.blocks.values() if b.confirmed)

    def owned(self) -> int:
        """Return the bits that this end may allocate now."""
        return sum(b.unspent for b in self._mine())

    def unconfirmed(self) -> int:
        """Return the unspent bits of blocks that the peer has not confirmed."""
        return sum(b.unspent for b in self.blocks.values() if not b.confirmed)

    def _mine(self) -> list[Block]:
        return [b for b in self._confirmed() if not self.barred or not self._is_barred(b)]

    def _confirmed(self) -> list[Block]:
        return [b for b in self.blocks.values() if b.confirmed and b.state.owner == self.site and b.unspent]

    def _is_barred(self, block: Block) -> bool:
        number = block.state.number
        return any(first <= number <= last for first, last in self.barred.items())

    def allocate(self, length: int, now: int) -> tuple[Segment, ...]:
        """Allocate `length` bits of own blocks, oldest first; empty when there are too few.

        The caller commits `changes(...)` of the blocks named before it uses the pad.
        """
        self.last_allocated_ps = now
        mine = self._mine()
        if sum(b.unspent for b in mine) < length:
            return ()
        segments: list[Segment] = []
        wanted = length
        for block in mine:
            taken = min(wanted, block.unspent)
            state = block.state
            segments.append(Segment(self.link, state.number, state.position, taken))
            block.state = msgspec.structs.replace(state, position=state.position + taken)
            wanted -= taken
            if not wanted:
                break
        return tuple(segments)

    def follow(self, segments: tuple[Segment, ...]) -> bool:
        """Follow the peer's allocation; False for bits that are not here, not the peer's, or behind.

        Bits that were skipped are gone: the peer says by its next mark what became of them.
        """
        reached: dict[int, int] = {}
        for segment in segments:
            block = self.blocks.get(segment.number)
            if block is None or block.bits is None or block.state.owner != self.peer_site:
                return False
            start = reached.get(segment.number, block.state.position)
            end = segment.offset + segment.length
            if segment.offset < start or end > block.state.length or segment.length <= 0:
                return False
            reached[segment.number] = end
        for number, end in reached.items():
            block = self.blocks[number]
            block.confirmed = True
            block.state = msgspec.structs.replace(block.state, position=end)
        return True

    def pad(self, segments: tuple[Segment, ...]) -> bytes:
        """Return the pad bits of segments, for the cipher routine only."""
        parts: list[bytes] = []
        for segment in segments:
            bits = self.blocks[segment.number].bits
            if bits is None:
                raise InternalError(f"the bits of block {segment.number} of {self.link} are gone")
            first = segment.offset // 8
            parts.append(bits.reveal(first, first + segment.length // 8))
        return b"".join(parts)

    def settle(self, segments: tuple[Segment, ...], relayed: bool) -> None:
        """Book own allocated bits as relayed or destroyed; made durable with the next mark."""
        for segment in segments:
            block = self.blocks[segment.number]
            state = block.state
            if relayed:
                block.state = msgspec.structs.replace(state, relayed=state.relayed + segment.length)
            else:
                block.state = msgspec.structs.replace(state, destroyed=state.destroyed + segment.length)
            self.changed[segment.number] = None

    def adopt(self, number: int, position: int, relayed: int, destroyed: int) -> bool:
        """Adopt the owner's account of a block as its follower; False for one that is unknown, own or old.

        What the end of a link has booked stays, though the owner may have known better.
        """
        block = self.blocks.get(number)
        if block is None:
            held = self.settled.get(number)
            return held is not None and (held.position, held.relayed, held.destroyed) == (
                position,
                relayed,
                destroyed,
            )
        state = block.state
        if state.owner == self.site or relayed < state.relayed or destroyed < state.destroyed:
            return False
        block.state = msgspec.structs.replace(
            state, position=max(position, state.position), relayed=relayed, destroyed=destroyed
        )
        return True

    def discard(self, number: int) -> tuple[Put | Drop, ...]:
        """Destroy a block that the peer will never hold; returns the changes to commit."""
        block = self.blocks[number]
        state = block.state
        block.state = msgspec.structs.replace(
            state, position=state.length, destroyed=state.length - state.relayed
        )
        changes = self.changes((number,))
        return (*changes, *self.retire((number,)))

    def refuse(self, state: BlockState) -> tuple[Put | Drop, ...]:
        """Book a block that never fits as made and destroyed; returns the changes to commit."""
        gone = msgspec.structs.replace(state, position=state.length, destroyed=state.length)
        self._count(gone)
        self.blocks[state.number] = Block(gone, None)
        return (Put(gone), *self.retire((state.number,)))

    def bar(self, first: int, last: int) -> None:
        """Allocate nothing of blocks `first` to `last` from now on; windows far behind are forgotten."""
        self.barred[first] = max(last, self.barred.get(first, last))
        while len(self.barred) > BARRED_WINDOWS:
            del self.barred[next(iter(self.barred))]

    def forgo(self) -> dict[int, int]:
        """Destroy what is left of the barred blocks that this end owns; returns their bits by number."""
        if not self.barred:
            return {}
        gone = {b.state.number: b.unspent for b in self._confirmed() if self._is_barred(b)}
        for number in gone:
            block = self.blocks[number]
            state, block.giving = block.state, False
            block.state = msgspec.structs.replace(
                state, position=state.length, destroyed=state.destroyed + block.unspent
            )
            self.changed[number] = None
        return gone

    def end(self) -> tuple[Put | Drop, ...]:
        """Destroy every bit that is left, for the link is taken away; returns the changes to commit.

        What is kept says which numbers were used, should the link come back.
        """
        self.ended = True
        self.changed.clear()
        numbers = tuple(self.blocks)
        for block in self.blocks.values():
            state, block.giving = block.state, False
            block.state = msgspec.structs.replace(
                state, position=state.length, destroyed=state.length - state.relayed
            )
        return (*self.changes(numbers), *self.retire(numbers))

    def give(self, now: int, idle_ps: int) -> int | None:
        """Choose a wholly unspent own block to hand to a peer that runs dry, and pass its ownership.

        The newest goes; the last one only when this end has not allocated for `idle_ps`.
        """
        whole = [b for b in self._mine() if not b.state.position and self._may_give(b)]
        spare = len(self._mine()) > 1 or now - self.last_allocated_ps >= idle_ps
        if not whole or not spare:
            return None
        block = whole[-1]
        block.state = msgspec.structs.replace(block.state, owner=self.peer_site)
        block.giving = True
        return block.state.number

    def _may_give(self, block: Block) -> bool:
        return first_owner(block.state.number, self.site, self.peer_site) == self.site

    def take(self, number: int) -> bool:
        """Take the ownership of a block that the peer gave; False when it is not here or was spent."""
        block = self.blocks.get(number)
        if block is None or (block.state.owner == self.peer_site and block.state.position):
            return False
        block.confirmed = True
        block.state = msgspec.structs.replace(block.state, owner=self.site)
        return True

    def changes(self, numbers: Iterable[int]) -> tuple[Put | Drop, ...]:
        """Return the rows of blocks as they stand; the bits go with the last allocated one."""
        rows: list[Put | Drop] = []
        for number in dict.fromkeys(numbers):
            block = self.blocks.get(number)
            if block is None:
                continue
            rows.append(Put(block.state))
            if block.bits is not None and not block.unspent:
                rows.append(Drop(BlockBits.kind, block.state.key))
                block.bits.wipe()
                block.bits = None
        return tuple(rows)

    def retire(self, numbers: Iterable[int]) -> tuple[Put | Drop, ...]:
        """Move settled blocks out of the way; the oldest beyond the kept ones fold into the totals."""
        for number in numbers:
            block = self.blocks.get(number)
            if block is not None and block.settled:
                self._set_aside(block)
        rows: list[Put | Drop] = []
        while len(self.settled) > KEPT_SETTLED_BLOCKS:
            number = next(iter(self.settled))
            state = self.settled.pop(number)
            bits = state.length
            self.totals = msgspec.structs.replace(
                self.totals,
                generated=self.totals.generated + (0 if state.provisioned else bits),
                provisioned=self.totals.provisioned + (bits if state.provisioned else 0),
                relayed=self.totals.relayed + state.relayed,
                destroyed=self.totals.destroyed + state.destroyed,
            )
            rows.append(Drop(BlockState.kind, state.key))
        if rows:
            rows.append(Put(self.totals))
        return tuple(rows)

    def state_of(self, number: int) -> BlockState | None:
        """Return the account of a block that is still kept one by one."""
        block = self.blocks.get(number)
        return block.state if block is not None else self.settled.get(number)

    def spent(self) -> tuple[int, int, int]:
        """Return (in flight, relayed, destroyed) bits over the pool's life."""
        in_flight, relayed, destroyed = 0, self._past_relayed, self._past_destroyed
        for block in self.blocks.values():
            state = block.state
            relayed += state.relayed
            destroyed += state.destroyed
            in_flight += state.position - state.relayed - state.destroyed
        return in_flight, relayed, destroyed

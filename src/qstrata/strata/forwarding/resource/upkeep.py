"""Keeping link pools equal at both ends: blocks in, offers, hand-over of ownership, marks."""

from collections.abc import Callable

from qstrata.core.address import Address, End
from qstrata.core.effects import Commit, Effect, Effects, Note, Send
from qstrata.fabric.log import BlockHeld, Settled
from qstrata.fabric.messages.east_west import (
    BlockAnswer,
    BlockGiven,
    BlockLost,
    BlockMark,
    BlockOffer,
    BlockTaken,
    BlockWanted,
    HandOver,
    HandOverDone,
    PoolMark,
    PoolMarked,
)
from qstrata.physics.postprocessing.authentication import KEY_BITS
from qstrata.store.records import BlockState
from qstrata.strata.forwarding.resource.pool import Block, LinkPool, first_owner
from qstrata.strata.forwarding.resource.station import Station
from qstrata.strata.forwarding.resource.tag_keys import TagKeys

LOST_REMEMBERED = 1000


class Upkeep:
    """The pools' upkeep of one relay; `resume(link, now)` is called when a link has got key to spend."""

    def __init__(self, station: Station, tags: TagKeys, resume: Callable[[str, int], Effects]) -> None:
        self._station = station
        self._tags = tags
        self._resume = resume
        self._lost: dict[tuple[str, int], None] = {}
        self._storing: set[tuple[str, int]] = set()
        self._serial = 0
        self._marked: dict[int, tuple[BlockMark, ...]] = {}
        self._next_mark_ps = 0

    def hand_over(self, message: HandOver, sender: Address, now: int) -> Effects:
        """Take a distilled block of this site's agent into the pool, durably, then offer it to the peer.

        A block that does not fit into the pool now is let go: the peer's offer of it is answered so. One that
        never fits is destroyed, and the agent is told.
        """
        station = self._station
        pool = station.pools[message.link]
        agent = station.local(End.FORWARDING_RES, f"agent.{message.link}")
        refused = self._refusal(message)
        done = Send(agent, HandOverDone(message.link, message.block, refused))
        if (message.link, message.block) in self._storing:
            return []
        if pool.holds(message.block) or pool.ended or (message.link, message.block) in self._lost:
            return [done]
        self._tags.forget(message.link, message.block)
        bits, apart = self._tags.set_apart(message)
        unspent = pool.available() + pool.unconfirmed()
        if not refused and unspent + bits.size_bits > station.figures.pool_max_bits:
            self._remember_lost(message.link, message.block)
            return [done, Commit(apart)] if apart else [done]
        state = BlockState(
            link=message.link,
            number=message.block,
            length=bits.size_bits,
            owner=first_owner(message.block, station.site, pool.peer_site),
            provisioned=message.provisioned,
            digest=bits.digest(station.salt),
            bearer=message.bearer,
            made_ps=now,
            qber_ppm=message.qber_ppm,
        )
        held = BlockHeld(
            station.site, state.link, state.number, state.length, int(state.provisioned), state.digest
        )
        if refused:
            bits.wipe()
            return [Note(held), Commit((*apart, *pool.refuse(state)), lambda now: [done])]
        self._storing.add((message.link, message.block))

        def stored(now: int) -> Effects:
            self._storing.discard((message.link, message.block))
            block = pool.blocks.get(message.block)
            return [done, self._offer(block)] if block is not None else [done]

        return [Note(held), Commit((*apart, *pool.add(state, bits)), stored)]

    def _refusal(self, message: HandOver) -> str:
        """Say why a block never fits into the pool of its link, and the cure; empty for one that may."""
        length, most = (
            message.bits.size_bits - message.tag_keys * KEY_BITS,
            self._station.figures.pool_max_bits,
        )
        if length <= most:
            return ""
        cure = "fewer initial-key-bits" if message.provisioned else "a shorter block-s"
        block = f"block {message.block} of link {message.link}"
        return f"{block} has {length} bits of key, and its pool takes {most}: give {cure}"

    def lost(self, message: BlockLost, sender: Address, now: int) -> Effects:
        """Remember that a block will never come here, so that the peer's offer is answered so."""
        self._remember_lost(message.link, message.block)
        self._tags.forget(message.link, message.block)
        return []

    def _remember_lost(self, link: str, block: int) -> None:
        self._lost[(link, block)] = None
        if len(self._lost) > LOST_REMEMBERED:
            del self._lost[next(iter(self._lost))]

    def offered(self, message: BlockOffer, sender: Address, now: int) -> Effects:
        """Answer the peer's offer; equal blocks at both ends are available from now on."""
        pool = self._station.pools[message.link]
        state = pool.state_of(message.block)
        key = (message.link, message.block)
        if state is None or key in self._storing:
            gone = state is None and (key in self._lost or pool.is_past(message.block))
            answer = "gone" if gone else "awaited"
        elif (state.length, state.digest) != (message.length, message.digest):
            answer = "gone"
        else:
            answer = "held"
            if message.block in pool.blocks:
                pool.blocks[message.block].confirmed = True
        sent = self._station.to_peer(message.link, BlockAnswer(message.link, message.block, answer))
        if answer == "gone" and message.block in pool.blocks:
            return [sent, Commit(pool.discard(message.block))]
        return [sent, *self._resume(message.link, now)] if answer == "held" else [sent]

    def answered(self, message: BlockAnswer, sender: Address, now: int) -> Effects:
        """Confirm a block that the peer holds too; destroy one that it will never hold."""
        pool = self._station.pools[message.link]
        block = pool.blocks.get(message.block)
        if block is None or block.confirmed:
            return []
        if message.answer == "held":
            block.confirmed = True
            return self._resume(message.link, now)
        if message.answer == "gone" and not block.state.position:
            return [Commit(pool.discard(message.block))]
        return []

    def wanted(self, message: BlockWanted, sender: Address, now: int) -> Effects:
        """Hand a wholly unspent block to the peer: the loss is durable before it is said."""
        pool = self._station.pools[message.link]
        number = pool.give(now, self._station.figures.idle_ps)
        if number is None:
            return []
        given = self._station.to_peer(message.link, BlockGiven(message.link, number))
        return [Commit(pool.changes((number,)), lambda now: [given])]

    def given(self, message: BlockGiven, sender: Address, now: int) -> Effects:
        """Take the ownership of a block: the gain is durable before it is used."""
        pool = self._station.pools[message.link]
        taken = self._station.to_peer(message.link, BlockTaken(message.link, message.block))
        state = pool.state_of(message.block)
        if state is not None and state.owner == self._station.site:
            held = pool.blocks.get(message.block)
            return [taken] if held is None or held.confirmed else []
        if not pool.take(message.block):
            return []
        block = pool.blocks[message.block]
        block.confirmed = False

        def gained(now: int) -> Effects:
            block.confirmed = True
            return [taken, *self._resume(message.link, now)]

        return [Commit(pool.changes((message.block,)), gained)]

    def taken(self, message: BlockTaken, sender: Address, now: int) -> Effects:
        """Stop repeating a hand-over that the peer has taken."""
        block = self._station.pools[message.link].blocks.get(message.block)
        if block is not None:
            block.giving = False
        return []

    def marked_by_owner(self, message: PoolMark, sender: Address, now: int) -> Effects:
        """Adopt the owner's accounts, durably, and say so."""
        station = self._station
        pool = station.pools[message.link]
        known = [m for m in message.marks if pool.adopt(m.block, m.position, m.relayed, m.destroyed)]
        numbers = [mark.block for mark in known]
        changes = (*pool.changes(numbers), *pool.retire(numbers))
        notes = [
            Note(Settled(station.site, message.link, m.block, m.position, m.relayed, m.destroyed))
            for m in known
        ]
        answer = station.to_peer(message.link, PoolMarked(message.link, message.serial))
        return [Commit(changes, lambda now: [*notes, answer])]

    def mark_acknowledged(self, message: PoolMarked, sender: Address, now: int) -> Effects:
        """Retire what both ends have settled."""
        marks = self._marked.pop(message.serial, ())
        pool = self._station.pools[message.link]
        notes: list[Effect] = []
        for mark in marks:
            state = pool.state_of(mark.block)
            if state is not None and _mark(state) == mark:
                pool.changed.pop(mark.block, None)
            notes.append(
                Note(
                    Settled(
                        self._station.site,
                        message.link,
                        mark.block,
                        mark.position,
                        mark.relayed,
                        mark.destroyed,
                    )
                )
            )
        retired = pool.retire(mark.block for mark in marks if mark.block not in pool.changed)
        return [*notes, Commit(retired)] if retired else notes

    def sweep(self, now: int) -> Effects:
        """Repeat what was not answered: offers, hand-overs; and mark accounts that have changed."""
        effects: list[Effect] = []
        due = now >= self._next_mark_ps
        if due:
            self._next_mark_ps = now + self._station.figures.mark_ps
            self._marked.clear()
        for link, pool in self._station.pools.items():
            if not self._station.up[link]:
                continue
            for block in pool.blocks.values():
                key = (link, block.state.number)
                if not block.confirmed and block.bits is not None and key not in self._storing:
                    effects.append(self._offer(block))
                if block.giving:
                    effects.append(self._station.to_peer(link, BlockGiven(link, block.state.number)))
            if due and pool.changed:
                effects += self._mark_pool(link, pool)
        return effects

    def _mark_pool(self, link: str, pool: LinkPool) -> Effects:
        numbers = [n for n in pool.changed if n in pool.blocks]
        marks = tuple(_mark(pool.blocks[number].state) for number in numbers)
        self._serial += 1
        serial = self._serial
        self._marked[serial] = marks
        message = self._station.to_peer(link, PoolMark(link, serial, marks))
        return [Commit(pool.changes(numbers), lambda now: [message])]

    def _offer(self, block: Block) -> Send:
        state = block.state
        offer = BlockOffer(state.link, state.number, state.length, state.digest)
        return self._station.to_peer(state.link, offer)


def _mark(state: BlockState) -> BlockMark:
    return BlockMark(state.number, state.position, state.relayed, state.destroyed)

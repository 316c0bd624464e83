"""What the log has established so far about blocks, keys, sessions and transfers.

Rules compare an event with these facts before the facts take it in. Blocks and keys are forgotten
once their rows are dropped at every site; of a dropped row only its key is kept.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from qstrata.fabric.log import Answered, BlockHeld, KeyHeld, NodeEvent, PadUsed, Settled
from qstrata.store.records import BatchState, KeyState
from qstrata.testing.evidence import (
    MARKED,
    QUARANTINES,
    SENT,
    BatchRow,
    BlockRow,
    Dropped,
    KeyRow,
    LegRow,
    Message,
    SessionRow,
)

DEAD = frozenset((KeyState.DESTROYED, KeyState.EXPIRED, KeyState.QUARANTINED))
MASK = "mask"


class Mask(msgspec.Struct, frozen=True, gc=False):
    """One use of pad bits to mask."""

    site: str
    offset: int
    length: int
    transfer: str
    digest: str
    sequence: int


class SiteBlock:
    """One block at one site: bits below `floor` were in use when the node last stopped or started."""

    __slots__ = ("dropped", "floor", "held", "held_sequence", "moved", "row", "sequence", "top")

    def __init__(self) -> None:
        self.row: BlockRow | None = None
        self.sequence = -1
        self.held: BlockHeld | None = None
        self.held_sequence = -1
        self.moved = False
        self.top = 0
        self.floor = 0
        self.dropped = False


class BlockFacts:
    """One block at all sites, and every mask made with its bits, by offset."""

    __slots__ = ("maskers", "masks", "settled", "sites", "starts")

    def __init__(self) -> None:
        self.sites: dict[str, SiteBlock] = {}
        self.masks: list[Mask] = []
        self.starts: list[int] = []
        self.maskers: dict[str, int] = {}
        self.settled: dict[int, list[tuple[int, Settled]]] = {}

    def at(self, site: str) -> SiteBlock:
        """Return the block at a site."""
        block = self.sites.get(site)
        if block is None:
            block = self.sites[site] = SiteBlock()
        return block

    def overlapping(self, offset: int, length: int) -> list[Mask]:
        """Return the masks that used any of these bits."""
        last = bisect_left(self.starts, offset + length)
        first = max(bisect_right(self.starts, offset) - 1, 0)
        return [m for m in self.masks[first:last] if m.offset + m.length > offset]

    def add(self, mask: Mask) -> None:
        """Remember a mask."""
        index = bisect_right(self.starts, mask.offset)
        self.starts.insert(index, mask.offset)
        self.masks.insert(index, mask)
        self.maskers.setdefault(mask.site, mask.sequence)


class Copy:
    """One key in one session at one site; the SAEs in `before` had it while it lived."""

    __slots__ = (
        "barred_sequence",
        "before",
        "dead_sequence",
        "dropped",
        "held",
        "held_sequence",
        "row",
        "sequence",
    )

    def __init__(self) -> None:
        self.row: KeyRow | None = None
        self.sequence = -1
        self.held: KeyHeld | None = None
        self.held_sequence = -1
        self.dead_sequence = -1
        self.barred_sequence = -1
        self.before: tuple[str, ...] = ()
        self.dropped = False

    @property
    def given(self) -> set[tuple[str, str]]:
        """Return to whom its last row says that it is given, as (verb, SAE)."""
        if self.row is None:
            return set()
        first = "enc" if self.row.own else "dec"
        return {(first if not n else "dec", sae) for n, sae in enumerate(self.row.delivered_to)}


class KeyFacts:
    """One key by (site, session), and the answers that delivered it, each with its sequence number.

    A key for several slaves is in as many sessions, with one of them at its two KMEs each. `sent` counts the
    answers that left a site with it.
    """

    __slots__ = ("answers", "copies", "sent")

    def __init__(self) -> None:
        self.copies: dict[tuple[str, str], Copy] = {}
        self.answers: list[tuple[int, Answered]] = []
        self.sent: dict[str, int] = {}

    def at(self, site: str, session: str) -> Copy:
        """Return the key in a session at a site."""
        copy = self.copies.get((site, session))
        if copy is None:
            copy = self.copies[site, session] = Copy()
        return copy

    def held_at(self, site: str) -> list[Copy]:
        """Return its copies at a site."""
        return [copy for (where, _), copy in self.copies.items() if where == site]


class Facts:
    """All facts; `absorb` takes an event in."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, int], BlockFacts] = {}
        self.keys: dict[str, KeyFacts] = {}
        self.local: set[tuple[str, str]] = set()
        self.void: dict[tuple[str, str], tuple[str, ...]] = {}
        self.closed_ps: dict[str, int] = {}
        self.legs: dict[tuple[str, str], int] = {}
        self.masked: dict[tuple[str, str], int] = {}
        self.unmasked: dict[tuple[str, str], int] = {}
        self.gone: dict[tuple[str, str], set[str]] = {}
        self.suspects: dict[str, tuple[str, ...]] = {}
        self.windows: dict[tuple[str, str], tuple[int, int]] = {}
        self.barred: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
        self.marked: dict[tuple[str, str], int] = {}
        self.started: dict[str, int] = {}
        self.time_ps = 0
        self.sequence = 0
        self._by_type: dict[type, Callable[[Any], None]] = {
            PadUsed: self._pad,
            BlockHeld: self._block_held,
            BlockRow: self._block_row,
            KeyHeld: self._key_held,
            KeyRow: self._key_row,
            BatchRow: self._batch_row,
            Answered: self._answered,
            Settled: self._settled,
            Message: self._message,
            SessionRow: self._session_row,
            LegRow: self._leg_row,
            Dropped: self._dropped,
            NodeEvent: self._node_event,
        }

    def absorb(self, event: object) -> None:
        """Take an event in, at the current time and sequence number."""
        take = self._by_type.get(type(event))
        if take is not None:
            take(event)

    def restarted(self) -> None:
        """Take in that every node has stopped: what was in use is to be burnt."""
        for block in self.blocks.values():
            for at in block.sites.values():
                at.floor = at.top

    def block(self, link: str, number: int) -> BlockFacts:
        """Return the facts of a block."""
        block = self.blocks.get((link, number))
        if block is None:
            block = self.blocks[link, number] = BlockFacts()
        return block

    def key(self, key_id: str) -> KeyFacts:
        """Return the facts of a key."""
        key = self.keys.get(key_id)
        if key is None:
            key = self.keys[key_id] = KeyFacts()
        return key

    def was_dropped(self, site: str, kind: str, key: str) -> bool:
        """Say whether a site once dropped that row."""
        return key in self.gone.get((site, kind), ())

    def was_dropped_anywhere(self, kind: str, key: str) -> bool:
        """Say whether any site once dropped that row."""
        return any(key in keys for (_, of), keys in self.gone.items() if of == kind)

    def was_key_dropped(self, key_id: str, session: str, site: str | None = None) -> bool:
        """Say whether a site, or any, once dropped a key, or its copy in that session."""
        names = (key_id, f"{key_id}/{session}")
        if site is None:
            return any(self.was_dropped_anywhere("key", name) for name in names)
        return any(self.was_dropped(site, "key", name) for name in names)

    def suspect_copies(self, site: str, order: str) -> Iterator[tuple[str, Copy]]:
        """Yield the keys at a site of the transfers that an order to set keys aside has named, by id."""
        wanted = set()
        for transfer in self.suspects.get(order, ()):
            session, owner, sequence = transfer.rsplit("/", 2)
            wanted.add((session, int(owner == site), int(sequence)))
        for key_id, key in self.keys.items() if wanted else ():
            for (where, session), copy in key.copies.items():
                row = copy.row
                if where == site and row is not None and (session, row.own, row.sequence) in wanted:
                    yield key_id, copy

    def barred_since(self, site: str, link: str, number: int) -> int:
        """Return since when a relay has set a block aside; -1: never, or it came after a restart."""
        for first, last, since in self.barred.get((site, link), ()):
            held = self.block(link, number).at(site).held_sequence
            if first <= number <= last and (0 <= held < since or self.started.get(site, -1) < since):
                return since
        return -1

    def _pad(self, pad: PadUsed) -> None:
        if pad.use != MASK:
            return
        block = self.block(pad.link, pad.number)
        block.add(Mask(pad.site, pad.offset, pad.length, pad.transfer, pad.digest, self.sequence))
        at = block.at(pad.site)
        at.top = max(at.top, pad.offset + pad.length)
        self.masked[pad.site, pad.transfer] = self.sequence

    def _block_held(self, held: BlockHeld) -> None:
        at = self.block(held.link, held.number).at(held.site)
        at.held, at.held_sequence = held, self.sequence

    def _block_row(self, row: BlockRow) -> None:
        at = self.block(row.link, row.number).at(row.site)
        at.moved = at.moved or (at.row is not None and at.row.owner != row.owner)
        at.row, at.sequence, at.dropped = row, self.sequence, False
        at.top = max(at.top, row.position)

    def _key_held(self, held: KeyHeld) -> None:
        at = self.key(held.key_id).at(held.site, held.session)
        at.held, at.held_sequence = held, self.sequence

    def _key_row(self, row: KeyRow) -> None:
        at = self.key(row.key_id).at(row.site, row.session)
        if row.state in DEAD and at.dead_sequence < 0:
            at.dead_sequence = self.sequence
        elif at.dead_sequence < 0:
            at.before = row.delivered_to
        at.row, at.sequence, at.dropped = row, self.sequence, False

    def _batch_row(self, row: BatchRow) -> None:
        if row.state is BatchState.VOID:
            self.void[row.site, f"{row.session}/{row.sequence}"] = row.key_ids

    def _answered(self, answer: Answered) -> None:
        self.key(answer.key_id).answers.append((self.sequence, answer))

    def _settled(self, mark: Settled) -> None:
        block = self.blocks.get((mark.link, mark.number))
        if block is not None:
            marks = block.settled.setdefault(mark.position, [])
            if all(mark != earlier for _, earlier in marks):
                marks.append((self.sequence, mark))

    def _message(self, message: Message) -> None:
        if message.outcome != SENT:
            return
        if message.type in QUARANTINES:
            self._quarantine(message)
        elif message.type == MARKED:
            circuit, _, suspected = message.texts()
            self.marked.pop((message.site, circuit), None)
            if suspected == "True":
                self.marked[message.site, circuit] = self.sequence
        elif message.type == "KeysDelivered":
            site = message.site
            for key_id in message.texts()[1].split():
                sent = self.key(key_id).sent
                sent[site] = sent.get(site, 0) + 1
        elif message.type == "Relay":
            step = (message.site, message.texts()[0])
            if self.masked.pop(step, None) is None:
                self.unmasked[step] = self.sequence

    def _quarantine(self, message: Message) -> None:
        link, serial, *rest = message.texts()
        if message.type == "QuarantineKeys":
            self.suspects[serial] = tuple(rest[0].split())
        elif message.type == "QuarantineBlocks":
            self.windows[link, serial] = (int(rest[0]), int(rest[1]))
        elif message.type == "BlocksQuarantined":
            window = self.windows.get((link, serial))
            barred = self.barred.setdefault((message.site, link), [])
            if window is not None and window not in [known[:2] for known in barred]:
                barred.append((*window, self.sequence))
        else:
            for _, copy in self.suspect_copies(message.site, serial):
                if copy.barred_sequence < 0:
                    copy.barred_sequence = self.sequence

    def _session_row(self, row: SessionRow) -> None:
        if row.peer_site == row.site:
            self.local.add((row.site, row.session))
        if row.closed:
            self.closed_ps.setdefault(row.session, self.time_ps)

    def _leg_row(self, row: LegRow) -> None:
        self.legs[row.site, row.transfer] = row.outgoing

    def _node_event(self, event: NodeEvent) -> None:
        self.started[event.node] = self.sequence
        for key in [key for key in self.marked if key[0] == event.node]:
            del self.marked[key]
        for block in self.blocks.values():
            at = block.sites.get(event.node)
            if at is not None:
                at.floor = at.top

    def _dropped(self, drop: Dropped) -> None:
        if drop.kind == "transfer":
            self.legs.pop((drop.site, drop.key), None)
            self.masked.pop((drop.site, drop.key), None)
            self.unmasked.pop((drop.site, drop.key), None)
        elif drop.kind == "batch":
            self.void.pop((drop.site, drop.key), None)
        elif drop.kind == "key":
            self.gone.setdefault((drop.site, drop.kind), set()).add(drop.key)
            self._forget_key(drop)
        elif drop.kind == "block":
            self.gone.setdefault((drop.site, drop.kind), set()).add(drop.key)
            self._forget_block(drop)

    def _forget_key(self, drop: Dropped) -> None:
        key_id, _, of = drop.key.partition("/")
        key = self.keys.get(key_id)
        if key is None:
            return
        for (site, session), copy in key.copies.items():
            copy.dropped = copy.dropped or (site == drop.site and of in ("", session))
        if all(copy.dropped for copy in key.copies.values()):
            del self.keys[key_id]

    def _forget_block(self, drop: Dropped) -> None:
        link, _, number = drop.key.rpartition("/")
        block = self.blocks.get((link, int(number)))
        if block is not None and drop.site in block.sites:
            block.sites[drop.site].dropped = True
            if all(at.dropped for at in block.sites.values()):
                del self.blocks[link, int(number)]

"""Carrying batches of keys hop by hop: one-time-padded, once, and accounted at every relay.

A link offset is durably spent before ciphertext made with it leaves, and the offsets that arrive
are durably followed before the batch goes on; what a crash leaves between is burnt. A relay message
is never sent again: what is not returned by the transfer's deadline is destroyed.
"""

from collections import OrderedDict
from collections.abc import Collection

from qstrata.core.address import Address, End
from qstrata.core.effects import Commit, Drop, Effect, Effects, Handle, Put, Send
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.east_west import BlockWanted, Relay, Returned
from qstrata.fabric.messages.forwarding_control import TableRow
from qstrata.fabric.messages.transfer import (
    Placed,
    Placement,
    TransferHeader,
    TransferRefused,
    TransferRequest,
    TransferSettled,
)
from qstrata.store.records import Segment, TransferLeg
from qstrata.strata.forwarding.resource.station import Station


class Leg:
    """A transfer under way at this relay: where it came from, and the pad bits it went on with."""

    __slots__ = ("deadline_ps", "incoming", "link", "segments")

    def __init__(self, incoming: str, link: str, segments: tuple[Segment, ...], deadline_ps: int) -> None:
        self.incoming = incoming
        self.link = link
        self.segments = segments
        self.deadline_ps = deadline_ps


class Waiting:
    """A batch that waits at an intermediate relay for pad bits of the next link."""

    __slots__ = ("arrived", "bits", "header", "incoming", "link")

    def __init__(
        self, header: TransferHeader, bits: bytes, incoming: str, link: str, arrived: tuple[Segment, ...]
    ) -> None:
        self.header = header
        self.bits = bits
        self.incoming = incoming
        self.link = link
        self.arrived = arrived


def next_link(row: TableRow, owner: str, site: str) -> str:
    """Return the link that leads away from the batch's owner; empty at the path's other end."""
    if owner not in (row.a, row.b):
        return ""
    return row.toward_b if owner == row.a else row.toward_a


class Carrier:
    """The transfers of one relay."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._legs: OrderedDict[str, Leg] = OrderedDict()
        self._waiting: list[Waiting] = []
        self._kept: OrderedDict[str, TransferLeg] = OrderedDict()
        self._wanted_ps: dict[str, int] = {}
        self.refused = 0

    def remember(self, legs: list[TransferLeg]) -> None:
        """Take the durable legs of an earlier life, oldest first, so that they are pruned in order."""
        for leg in sorted(legs, key=lambda leg: (leg.at_ps, leg.transfer)):
            self._kept[leg.transfer] = leg

    def leg(self, transfer: str) -> TransferLeg | None:
        """Return the lineage of a transfer at this relay, while it is kept."""
        return self._kept.get(transfer)

    def masked_by(self, link: str, first: int, last: int) -> tuple[str, ...]:
        """Return the transfers, of those kept, that blocks `first` to `last` of a link masked."""
        return tuple(
            transfer
            for transfer, leg in self._kept.items()
            if any(
                segment.link == link and first <= segment.number <= last
                for segment in (*leg.incoming, *leg.outgoing)
            )
        )

    def request(self, message: TransferRequest, sender: Address, now: int) -> Effects:
        """Start a batch of this site's KME on its path, or refuse before anything is spent."""
        header = message.header
        row = self._station.table.get(header.path)
        link = next_link(row, header.owner, self._station.site) if row is not None else ""
        kme = self._kme()
        if not link:
            return [Send(kme, TransferRefused(header.transfer, f"no path {header.path} at this relay"))]
        if not self._station.up[link]:
            return [Send(kme, TransferRefused(header.transfer, f"the relay channel of {link} is down"))]
        if header.transfer in self._legs:
            return []
        if len(self._legs) >= self._station.figures.open_max:
            return [Send(kme, TransferRefused(header.transfer, "too many transfers are under way here"))]
        segments = self._allocate(link, len(message.bits) * 8, now)
        if segments is None:
            refused = TransferRefused(header.transfer, self._station.shortage(link))
            return [Send(kme, refused), *self._want(link, now)]
        return self._go(header, message.bits.take(), "", link, (), segments, now)

    def relayed(self, message: Relay, sender: Address, now: int) -> Effects:
        """Take a batch from the relay before: follow its pad bits, then hand it over or carry it on."""
        header = message.header
        station = self._station
        pool = station.pools[message.link]
        length = sum(segment.length for segment in message.segments)
        row = station.table.get(header.path)
        if header.transfer in self._legs or length != len(message.ciphertext) * 8:
            self.refused += 1
            return []
        if message.segments and not pool.follow(message.segments):
            self.refused += 1
            return []
        pad = pool.pad(message.segments)
        changes = pool.changes(segment.number for segment in message.segments)
        if row is None:
            refused = Returned(
                message.link, header.transfer, False, f"no path {header.path} at {station.site}"
            )
            return [Commit(changes), station.to_peer(message.link, refused)]
        bits, notes = station.cipher(
            message.link, message.segments, message.ciphertext, header.transfer, "unmask", pad
        )
        onward = next_link(row, header.owner, station.site)
        if not onward:
            return [*notes, *self._place(header, bits, message, changes, now)]
        ready = station.up[onward] and all(batch.link != onward for batch in self._waiting)
        segments = self._allocate(onward, len(bits) * 8, now) if ready else None
        if segments is None:
            return [*notes, Commit(changes), *self._wait(header, bits, message, onward, now)]
        went = self._go(header, bits, message.link, onward, message.segments, segments, now, changes)
        return [*notes, *went]

    def placed(self, message: Placed, sender: Address, now: int) -> Effects:
        """Return the far KME's answer along the path."""
        return self._end(message.transfer, message.placed, message.reason)

    def returned(self, message: Returned, sender: Address, now: int) -> Effects:
        """Book what became of a batch, and return it further towards its owner."""
        return self._end(message.transfer, message.placed, message.reason)

    def sweep(self, now: int) -> Effects:
        """Give up what is past its deadline, and retry what waits for pad bits."""
        effects: list[Effect] = []
        grace = self._station.figures.grace_ps
        for transfer in [t for t, leg in self._legs.items() if leg.deadline_ps + grace <= now]:
            self._book(self._legs.pop(transfer), False)
        return [*effects, *self._retry_all(self._station.pools, now)]

    def end_link(self, link: str) -> Effects:
        """Give up what is under way on a link that is taken away; its pool books the bits as destroyed."""
        reason = f"link {link} was taken away"
        effects: list[Effect] = []
        for transfer in [transfer for transfer, leg in self._legs.items() if leg.link == link]:
            effects += self._answer(self._legs.pop(transfer), transfer, False, reason)
        for batch in [batch for batch in self._waiting if batch.link == link]:
            self._waiting.remove(batch)
            returned = Returned(batch.incoming, batch.header.transfer, False, reason)
            effects.append(self._station.to_peer(batch.incoming, returned))
        return effects

    def resume(self, link: str, now: int) -> Effects:
        """Retry what waits for pad bits of one link, after it has got some."""
        return self._retry_all((link,), now)

    def _retry_all(self, links: Collection[str], now: int) -> Effects:
        """Retry in order: the far KME refuses a batch that a later one of its session has overtaken."""
        effects: list[Effect] = []
        waiting, self._waiting = self._waiting, []
        blocked: set[str] = set()
        for batch in waiting:
            if batch.link not in links or batch.link in blocked:
                self._waiting.append(batch)
                continue
            effects += self._retry(batch, now)
            if self._waiting and self._waiting[-1] is batch:
                blocked.add(batch.link)
        return effects

    def _allocate(self, link: str, length: int, now: int) -> tuple[Segment, ...] | None:
        if not length:
            return ()
        return self._station.pools[link].allocate(length, now) or None

    def _want(self, link: str, now: int) -> Effects:
        if now - self._wanted_ps.get(link, -self._station.figures.want_ps) < self._station.figures.want_ps:
            return []
        self._wanted_ps[link] = now
        return [self._station.to_peer(link, BlockWanted(link))]

    def _go(
        self,
        header: TransferHeader,
        bits: bytes,
        incoming: str,
        link: str,
        arrived: tuple[Segment, ...],
        segments: tuple[Segment, ...],
        now: int,
        changes: tuple[Put | Drop, ...] = (),
    ) -> Effects:
        station = self._station
        pool = station.pools[link]
        pad = pool.pad(segments)
        self._legs[header.transfer] = Leg(incoming, link, segments, header.deadline_ps)
        spent = pool.changes(segment.number for segment in segments)
        leg = self._leg_rows(header, arrived, segments, now)

        def leave(now: int) -> Effects:
            ciphertext, notes = station.cipher(link, segments, bits, header.transfer, "mask", pad)
            message = Relay(link, header, segments, ciphertext)
            return [*notes, station.to_peer(link, message)]

        return [Commit((*changes, *spent, *leg), leave)]

    def _place(
        self, header: TransferHeader, bits: bytes, message: Relay, changes: tuple[Put | Drop, ...], now: int
    ) -> Effects:
        self._legs[header.transfer] = Leg(message.link, "", (), header.deadline_ps)
        leg = self._leg_rows(header, message.segments, (), now)
        kme = self._kme()

        def hand_over(now: int) -> Effects:
            return [Send(kme, Placement(header, KeyMaterial(bits)))]

        return [Commit((*changes, *leg), hand_over)]

    def _wait(self, header: TransferHeader, bits: bytes, message: Relay, onward: str, now: int) -> Effects:
        if len(self._waiting) >= self._station.figures.waiting_max:
            reason = f"too many batches wait at {self._station.site}"
            return [
                self._station.to_peer(message.link, Returned(message.link, header.transfer, False, reason))
            ]
        self._waiting.append(Waiting(header, bits, message.link, onward, message.segments))
        return self._want(onward, now)

    def _retry(self, batch: Waiting, now: int) -> Effects:
        header = batch.header
        if header.deadline_ps - self._station.figures.return_ps <= now:
            reason = self._station.shortage(batch.link)
            returned = Returned(batch.incoming, header.transfer, False, reason)
            return [self._station.to_peer(batch.incoming, returned)]
        up = self._station.up[batch.link]
        segments = self._allocate(batch.link, len(batch.bits) * 8, now) if up else None
        if segments is None:
            self._waiting.append(batch)
            return self._want(batch.link, now)
        return self._go(header, batch.bits, batch.incoming, batch.link, batch.arrived, segments, now)

    def _end(self, transfer: str, placed: bool, reason: str) -> Effects:
        leg = self._legs.pop(transfer, None)
        if leg is None:
            return []
        self._book(leg, placed)
        return self._answer(leg, transfer, placed, reason)

    def _answer(self, leg: Leg, transfer: str, placed: bool, reason: str) -> Effects:
        if leg.incoming:
            return [self._station.to_peer(leg.incoming, Returned(leg.incoming, transfer, placed, reason))]
        return [Send(self._kme(), TransferSettled(transfer, placed, reason))]

    def _book(self, leg: Leg, placed: bool) -> None:
        if leg.segments:
            self._station.pools[leg.link].settle(leg.segments, placed)

    def _leg_rows(
        self, header: TransferHeader, arrived: tuple[Segment, ...], segments: tuple[Segment, ...], now: int
    ) -> tuple[Put | Drop, ...]:
        if not header.key_ids:
            return ()
        leg = TransferLeg(
            transfer=header.transfer,
            path=header.path,
            session=header.session,
            incoming=arrived,
            outgoing=segments,
            at_ps=now,
        )
        self._kept[header.transfer] = leg
        if len(self._kept) <= self._station.figures.legs_kept:
            return (Put(leg),)
        oldest, _ = self._kept.popitem(last=False)
        return (Put(leg), Drop(TransferLeg.kind, oldest))

    def _kme(self) -> Handle:
        return self._station.local(End.SERVICE_RES, "kme")

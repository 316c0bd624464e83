"""What the parts of one relay share: its pools, its way to its peers, its forwarding table."""

from collections.abc import Collection, Sequence

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.effects import Drop, Effects, Handle, Note, Put, Record, Send
from qstrata.core.secrets import KeyMaterial, xor
from qstrata.core.time import PS_PER_S
from qstrata.fabric.log import PadUsed
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.forwarding_control import TableRow
from qstrata.fabric.port import Port
from qstrata.store.records import BlockBits, BlockState, Segment
from qstrata.strata.forwarding.resource.pool import POOL_BITS_MAX, LinkPool


class RelayFigures(msgspec.Struct, frozen=True):
    """The relay's bounds and periods; times in picoseconds, `pool_max_bits` unspent bits a link.

    A batch that waits for pad bits is returned `return_ps` before its deadline, so that its KME hears why.
    """

    pool_max_bits: int = POOL_BITS_MAX
    sweep_ps: int = PS_PER_S
    mark_ps: int = 10 * PS_PER_S
    idle_ps: int = 20 * PS_PER_S
    want_ps: int = PS_PER_S // 2
    grace_ps: int = PS_PER_S
    return_ps: int = PS_PER_S
    waiting_max: int = 64
    open_max: int = 4096
    legs_kept: int = 10_000


class RelayLink(msgspec.Struct, frozen=True):
    """One link of a relay: its name, the site at its other end, and the relay channel between them."""

    link: str
    peer_site: str
    channel: str


class Station:
    """Hold the pools, the peers' handles and the forwarding table of one site's relay."""

    def __init__(
        self,
        address: Address,
        port: Port,
        links: Sequence[RelayLink],
        records: Sequence[Record],
        salt: bytes,
        figures: RelayFigures,
    ) -> None:
        self.address = address
        self.site = address.site
        self.port = port
        self.salt = salt
        self.figures = figures
        self.pools: dict[str, LinkPool] = {}
        self.peers: dict[str, Handle] = {}
        self.channels: dict[str, str] = {}
        self.up: dict[str, bool] = {}
        self.dark: dict[str, dict[str, None]] = {}
        self.table: dict[int, TableRow] = {}
        self.table_version = 0
        self.orphans = orphans(records, {link.link for link in links}, self.site)
        for link in links:
            self.take(link, records)

    def take(self, link: RelayLink, records: Sequence[Record]) -> None:
        """Take a link in, with its durable rows; one that was taken away goes on from what is kept of it."""
        known = self.pools.get(link.link)
        if known is not None:
            known.ended = False
            return
        self.pools[link.link] = pool = LinkPool(link.link, self.site, link.peer_site)
        pool.load(records)
        peer = Address(End.FORWARDING_RES, self.address.domain, link.peer_site, "relay")
        self.peers[link.link] = self.port.bind(peer, link.channel)
        self.channels[link.link] = link.channel
        self.up[link.link] = False

    def shortage(self, link: str) -> str:
        """Say that a link has too little key, and which of its bearers has no signal, if so."""
        dark = " and ".join(self.dark.get(link, ()))
        return f"too little key on link {link}" + (f": no signal of {dark}" if dark else "")

    def to_peer(self, link: str, message: Message) -> Send:
        """Address a message to the relay at the link's other end."""
        return Send(self.peers[link], message)

    def local(self, end: End, name: str) -> Handle:
        """Return the handle to an element of this site."""
        return self.port.bind(Address(end, self.address.domain, self.site, name))

    def cipher(
        self, link: str, segments: tuple[Segment, ...], data: bytes, transfer: str, use: str, pad: bytes
    ) -> tuple[bytes, Effects]:
        """Mask or unmask data with pad bits: the only place where pad meets data.

        Returns the result and the log entries of every segment that was used.
        """
        notes: list[Note] = []
        start = 0
        for segment in segments:
            size = segment.length // 8
            digest = KeyMaterial(pad[start : start + size]).digest(self.salt)
            start += size
            entry = PadUsed(
                self.site, link, segment.number, segment.offset, segment.length, use, transfer, digest
            )
            notes.append(Note(entry))
        return xor(data, pad), notes


def orphans(records: Sequence[Record], links: Collection[str], site: str) -> list[Put | Drop]:
    """Return what destroys the key of links that a site no longer has, for nobody can use it."""
    rows = (record for record in records if isinstance(record, BlockState | BlockBits))
    changes: list[Put | Drop] = []
    for link in dict.fromkeys(row.link for row in rows if row.link not in links):
        pool = LinkPool(link, site, "")
        pool.load(records)
        if pool.blocks:
            changes += pool.end()
    return changes

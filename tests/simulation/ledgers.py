"""What tests read of a run: the accounts in the log, those of the store's rows, and what SAEs were given."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from qstrata.core.effects import Record
from qstrata.fabric.log import BlockHeld, KeyHeld, Sampled
from qstrata.interfaces.etsi014.virtual import ClientEntry
from qstrata.network.simulation import Simulation
from qstrata.store.accounts import LinkAccount, SessionAccount, link_account, session_account
from qstrata.store.records import (
    BatchRecord,
    BlockState,
    KeyRecord,
    KeyTotals,
    PoolTotals,
    SessionRecord,
)
from qstrata.testing.evidence import read

R = TypeVar("R", bound=Record)


class KeptLines(list[bytes]):
    """A sink of the event log that keeps the entries of a few tags only."""

    def __init__(self, *tags: str) -> None:
        super().__init__()
        self._marks = tuple(f',"{tag}",'.encode() for tag in tags)

    def extend(self, lines: Iterable[bytes]) -> None:
        super().extend(line for line in lines if any(mark in line[:60] for mark in self._marks))


def sampled(lines: Iterable[bytes]) -> list[tuple[int, Sampled]]:
    """Return the accounts in a log, each with its instant."""
    return [(time_ps, event) for time_ps, _, event in read(lines) if isinstance(event, Sampled)]


def blocks(lines: Iterable[bytes]) -> dict[tuple[str, str, int], tuple[int, str]]:
    """Return (length in bits, digest) of the blocks that relays took in, by (site, link, number)."""
    held = (event for _, _, event in read(lines) if isinstance(event, BlockHeld))
    return {(block.site, block.link, block.number): (block.length, block.digest) for block in held}


def drawn_keys(lines: Iterable[bytes]) -> dict[tuple[str, str], str]:
    """Return the digests of the keys that KMEs drew, by (site, key id)."""
    held = (event for _, _, event in read(lines) if isinstance(event, KeyHeld) and event.own)
    return {(key.site, key.key_id): key.digest for key in held}


def is_conserved(account: Sampled) -> bool:
    """Tell whether what came in is somewhere, and no term is below 0."""
    terms = msgspec.structs.astuple(account)[2:]
    return sum(terms[:2]) == sum(terms[2:]) and min(terms) >= 0


class Rows:
    """The durable rows of one site, as they are in the store now."""

    def __init__(self, sim: Simulation, site: str) -> None:
        self._rows = sim.assembly.store.load(site)

    def of(self, kind: type[R]) -> list[R]:
        """Return the rows of one kind."""
        return [row for row in self._rows if isinstance(row, kind)]

    def link(self, link: str, generated: int) -> LinkAccount:
        """Return the account of a link pool into which `generated` bits were handed over."""
        states = [row for row in self.of(BlockState) if row.link == link]
        totals = [row for row in self.of(PoolTotals) if row.link == link]
        return link_account(states, totals[0] if totals else None, generated=generated)

    def sessions(self) -> dict[str, SessionAccount]:
        """Return the account of every session."""
        found = {}
        for record in self.of(SessionRecord):
            name = record.session
            keys = (row for row in self.of(KeyRecord) if row.session == name)
            batches = (row for row in self.of(BatchRecord) if row.session == name)
            totals = [row for row in self.of(KeyTotals) if row.session == name]
            found[name] = session_account(keys, batches, totals[0] if totals else None)
        return found


def given_keys(history: Iterable[ClientEntry], verb: str) -> tuple[dict[str, str], Counter[str]]:
    """Return what SAEs were given by one verb: the digest of each key, and how often each came."""
    digests: dict[str, str] = {}
    times: Counter[str] = Counter()
    for entry in history:
        if entry.verb == verb and entry.outcome == 200:
            digests.update(zip(entry.key_ids, entry.digests, strict=True))
            times.update(entry.key_ids)
    return digests, times

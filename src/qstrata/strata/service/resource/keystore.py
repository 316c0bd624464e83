"""What the parts of one KME share: its registry, its sessions, its way to the relay and to control."""

from collections.abc import Callable, Sequence

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.effects import Commit, Drop, Effects, Note, Put, Record
from qstrata.core.randomness import RandomSource
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.log import KeyHeld
from qstrata.fabric.messages.delivery import DeliveredKey
from qstrata.fabric.port import Port
from qstrata.store.records import (
    BatchRecord,
    KeyRecord,
    KeyTotals,
    KmeRegistry,
    SaeEntry,
    SessionMark,
    SessionRecord,
)
from qstrata.strata.service.resource.session import Session

FORGOTTEN_AT_ONCE = 1000
"""Keys of a closed session that are folded away together, so that no commit is long."""


class KmeFigures(msgspec.Struct, frozen=True):
    """The KME's bounds and periods; times in picoseconds, sizes in bits.

    A batch starts when `batch_keys_min` or half of the depth is missing, or anything at all `top_up_ps` after
    the last. A failed one has cost link key: the next rests, `retry_ps` doubled by each failure, at most
    `rest_max_ps`; it has `probe_keys` at most and goes alone. What an SAE waits for is given up after
    `order_timeout_ps`, before its interface gives up.
    A session lives at most `session_life_max_s` and is made at most `session_rate_max_keys_per_s`, None: as
    negotiated; without `transit` the sessions of other sites may not pass.
    """

    batch_keys: int = 32
    batch_keys_min: int = 16
    probe_keys: int = 8
    top_up_ps: int = 10 * PS_PER_S
    transfer_timeout_ps: int = 5 * PS_PER_S
    order_timeout_ps: int = 4 * PS_PER_S
    retry_ps: int = PS_PER_S // 2
    rest_max_ps: int = 8 * PS_PER_S
    refill_ps: int = 500 * PS_PER_MS
    transfers_max: int = 2
    closed_kept: int = 64
    keys_per_request_max: int = 128
    sae_ids_max: int = 8
    key_size_min: int = 64
    key_size_max: int = 8192
    stored_max: int = 100_000
    finished_kept: int = 100_000
    session_life_max_s: int | None = None
    session_rate_max_keys_per_s: float | None = None
    transit: bool = True


class KeyStore:
    """Hold the sessions and keys of one KME."""

    def __init__(
        self,
        address: Address,
        port: Port,
        records: Sequence[Record],
        random: RandomSource,
        salt: bytes,
        figures: KmeFigures,
    ) -> None:
        self.address = address
        self.site = address.site
        self.port = port
        self.random = random
        self.salt = salt
        self.figures = figures
        self.relay = port.bind(Address(End.FORWARDING_RES, address.domain, address.site, "relay"))
        self.registry_serial = -1
        self.saes: dict[str, SaeEntry] = {}
        self.sessions: dict[str, Session] = {}
        self.pairs: dict[tuple[str, str], Session] = {}
        self.session_of: dict[str, Session] = {}
        self.copies: dict[str, list[Session]] = {}
        self.burnt: list[Put | Drop] = []
        self.given: list[DeliveredKey] = []
        by_session: dict[str, list[Record]] = {}
        for record in records:
            if isinstance(record, SessionMark | BatchRecord | KeyTotals | KeyRecord):
                by_session.setdefault(record.session, []).append(record)
        for record in records:
            if isinstance(record, KmeRegistry):
                self.configure(record)
            elif isinstance(record, SessionRecord):
                session = Session(record, self.site)
                self.burnt += session.load(by_session.get(record.session, ()))
                self._enter(session)

    def configure(self, registry: KmeRegistry) -> None:
        """Replace the registry."""
        self.registry_serial = registry.serial
        self.saes = {entry.name: entry for entry in registry.saes}

    def open(self, record: SessionRecord) -> Session:
        """Take a new session in; it replaces a closed or expired one of the same pair."""
        session = Session(record, self.site)
        self._enter(session)
        return session

    def _enter(self, session: Session) -> None:
        record = session.record
        self.sessions[record.session] = session
        for key_id in (*session.keys, *session.ended):
            self._index(key_id, session)
        if not record.closed:
            self.pairs[(record.local, record.peer)] = session
            if session.is_local:
                self.pairs[(record.peer, record.local)] = session

    def close(self, session: Session) -> None:
        """Let a pair go from a session that is over."""
        for pair in [pair for pair, held in self.pairs.items() if held is session]:
            del self.pairs[pair]

    def hold(self, session: Session, keys: Sequence[KeyRecord]) -> Effects:
        """Index new keys; returns the log entries that say what is held."""
        for key in keys:
            self._index(key.key_id, session)
        return [
            Note(
                KeyHeld(
                    self.site,
                    key.key_id,
                    key.session,
                    int(key.own),
                    key.size_bits,
                    key.valid_until_ps,
                    key.bits.digest(self.salt) if key.bits is not None else "",
                )
            )
            for key in keys
        ]

    def forget(self) -> list[Put | Drop]:
        """Let the oldest closed session beyond the kept ones go, some keys at a time; returns the rows."""
        closed = [session for session in self.sessions.values() if session.record.closed]
        if len(closed) <= self.figures.closed_kept:
            return []
        session = closed[0]
        changes = self._fold(session, max(0, len(session.ended) - FORGOTTEN_AT_ONCE))
        if not session.ended:
            changes += session.forget()
            del self.sessions[session.record.session]
        return changes

    def prune(self, session: Session) -> list[Put | Drop]:
        """Fold old finished keys of a session away; returns the rows to commit."""
        return self._fold(session, self.figures.finished_kept)

    def _fold(self, session: Session, kept: int) -> list[Put | Drop]:
        changes = session.prune(kept)
        for change in changes:
            if isinstance(change, Drop):
                self._forget_key(change.key.partition("/")[0], session)
        return changes

    def holders(self, key_id: str) -> list[Session]:
        """Return the sessions that have a key: one, or each with a copy of it."""
        first = self.session_of.get(key_id)
        return [first, *self.copies.get(key_id, ())] if first is not None else []

    def wipe_given(self) -> None:
        """Overwrite the keys that were last given; the fabric has made the receiver's own copy of them.

        What was to be written of them has been written, for commits of a node keep their order.
        """
        for key in self.given:
            key.bits.wipe()
        self.given = []

    def _index(self, key_id: str, session: Session) -> None:
        if self.session_of.setdefault(key_id, session) is not session:
            self.copies.setdefault(key_id, []).append(session)

    def _forget_key(self, key_id: str, session: Session) -> None:
        first, others = self.session_of.pop(key_id), self.copies.pop(key_id, None)
        if others is None:
            return
        left = [held for held in (first, *others) if held is not session]
        for held in left:
            self._index(key_id, held)


def committed(
    changes: Sequence[Put | Drop], sessions: Sequence[Session], then: Callable[[int], Effects] | None = None
) -> Commit:
    """Commit changes, and wipe the bits that these sessions have spent once that is durable.

    What was to be written of these keys before has then been written, for commits of a node keep their order.
    """
    spent = [bits for session in sessions for bits in session.spent]
    for session in sessions:
        session.spent = []

    def durable(now: int) -> Effects:
        for bits in spent:
            bits.wipe()
        return then(now) if then is not None else ()

    return Commit(tuple(changes), durable)

"""One session at one KME: its pooled keys, batches and credit. Decisions only; the KME acts.

A key is drawn by its owner KME, which alone hands it out by `enc`; the far KME hands it out by
`dec`. A batch is ready only after the far KME's durable acknowledgement; a batch that was reserved
when the node stopped, or whose deadline passed, is void, and is never asked for again.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Sequence

import msgspec

from qstrata.core.effects import Drop, Put, Record
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_S
from qstrata.planes.token_bucket import TokenBucket, token_bucket
from qstrata.store.records import (
    BatchRecord,
    BatchState,
    KeyRecord,
    KeyState,
    KeyTotals,
    SessionMark,
    SessionRecord,
)

FULL = "all the keys that may be stored for these SAEs wait to be fetched"
NO_PATH_YET = "waits for a path"
SUSPECT = "an attack is suspected on its path"
DEAD = (KeyState.DESTROYED, KeyState.EXPIRED, KeyState.QUARANTINED)


class Credit(msgspec.Struct):
    """What control allows: a path, a bucket of keys, and what is left of the total."""

    serial: int
    path: int
    total_keys: int
    left_keys: int
    bucket: TokenBucket

    def available(self, now: int) -> int:
        """Return the keys that may be asked for now: what the bucket holds, within the total."""
        return min(self.bucket.available(now), self.left_keys)

    def spend(self, keys: int, now: int) -> None:
        """Take keys from the bucket, which may owe them, and from the total."""
        self.bucket = self.bucket.charge(keys, now)
        self.left_keys -= keys

    @property
    def half_used(self) -> bool:
        """Say whether half of the total is used, so that more must be asked for."""
        return self.left_keys * 2 <= self.total_keys


class Session:
    """The state of a session, rebuilt from its durable rows."""

    def __init__(self, record: SessionRecord, site: str) -> None:
        self.record = record
        self.site = site
        self.mark = SessionMark(session=record.session)
        self.ready: deque[str] = deque()
        self.batches: dict[int, BatchRecord] = {}
        self.live: dict[int, int] = {}
        self.void: dict[int, None] = {}
        self.suspect: set[int] = set()
        self.from_peer: dict[int, list[str]] = {}
        self.credit: Credit | None = None
        self.refill = "" if self.is_local else NO_PATH_YET
        self.keys: dict[str, KeyRecord] = {}
        self.ended: OrderedDict[str, KeyRecord] = OrderedDict()
        self._placed = 0
        self._awaited = 0
        self._from_peer = 0
        self._halves = 0
        self.totals = KeyTotals(session=record.session)
        self.ended_keys: Counter[KeyState] = Counter()
        self.ended_bits: Counter[KeyState] = Counter()
        self.generated_bits = 0
        self.spent: list[KeyMaterial] = []
        self.wanted_ps = -PS_PER_S
        self.rest_ps = 0
        self.rests_until_ps = 0
        self.started_ps = -PS_PER_S
        self.loaded_ps: int | None = None
        self._buckets: dict[str, TokenBucket] = {}

    @property
    def is_local(self) -> bool:
        """Say whether both SAEs are attached to this KME: no relay is needed."""
        return self.record.peer_site == self.site

    def bucket(self, sae: str, now: int) -> TokenBucket | None:
        """Return what this SAE may still ask for, in keys of the session's size; None: as many as there are.

        A bucket is empty when the KME starts, so that its law holds over a crash too.
        """
        record = self.record
        if not record.request_rate_keys_per_s:
            return None
        held = self._buckets.get(sae)
        if held is None:
            full, since_ps = self.loaded_ps is None, now if self.loaded_ps is None else self.loaded_ps
            held = token_bucket(record.request_rate_keys_per_s, record.burst_keys, since_ps, full=full)
        return held

    def take_figures(self, record: SessionRecord, now: int) -> None:
        """Take over other figures; buckets begin empty where their law is another."""
        old, self.record = self.record, record
        law = (record.request_rate_keys_per_s, record.burst_keys)
        if law != (old.request_rate_keys_per_s, old.burst_keys):
            self._buckets.clear()
            self.loaded_ps = now

    def grant(self, sae: str, keys: int, now: int) -> None:
        """Take keys from what this SAE may still ask for; OverdrawnError beyond it."""
        held = self.bucket(sae, now)
        if held is not None:
            self._buckets[sae] = held.take(keys, now)

    def weight(self, number: int, size_bits: int) -> int:
        """Return how many keys of the session's size these keys count for, rounded up."""
        return -(-size_bits * number // self.record.size_bits)

    def load(self, records: Sequence[Record]) -> list[Put | Drop]:
        """Rebuild from its durable rows; returns those that burn what was reserved when the node stopped."""
        for record in records:
            if isinstance(record, SessionMark):
                self.mark = record
            elif isinstance(record, BatchRecord):
                self.batches[record.sequence] = record
                self._awaited += len(record.key_ids) * (record.state == BatchState.RESERVED)
            elif isinstance(record, KeyTotals):
                self.totals = record
                self.generated_bits += (
                    record.delivered + record.destroyed + record.expired + record.quarantined
                )
                self.ended_bits[KeyState.DELIVERED] += record.delivered
                self.ended_bits[KeyState.DESTROYED] += record.destroyed
                self.ended_bits[KeyState.EXPIRED] += record.expired
                self.ended_bits[KeyState.QUARANTINED] += record.quarantined
            elif isinstance(record, KeyRecord):
                self._enter(record)
        changes: list[Put | Drop] = []
        for sequence, batch in sorted(self.batches.items()):
            alive = [k for k in batch.key_ids if k in self.keys and self.keys[k].state == KeyState.POOLED]
            if batch.state == BatchState.READY:
                self._place(sequence, sum(key_id in self.keys for key_id in batch.key_ids))
                self.ready.extend(alive)
            elif batch.state == BatchState.RESERVED:
                changes += self.make_void(sequence)
            else:
                self.void[sequence] = None
        return changes

    def find(self, key_id: str) -> KeyRecord | None:
        """Return a key of this session, alive or ended, while it is kept."""
        return self.keys.get(key_id) or self.ended.get(key_id)

    def _enter(self, key: KeyRecord) -> None:
        self.generated_bits += key.size_bits
        if key.state in (KeyState.DELIVERED, *DEAD):
            self._end(key)
            return
        self.keys[key.key_id] = key
        self._halves += key.state == KeyState.DELIVERED_IN_PART
        if not key.own:
            self._from_peer += 1
            self.from_peer.setdefault(key.sequence, []).append(key.key_id)

    def _end(self, key: KeyRecord) -> None:
        self.ended[key.key_id] = key
        self.ended_keys[key.state] += 1
        self.ended_bits[key.state] += key.size_bits

    def add(self, key: KeyRecord) -> Put:
        """Take a new key in."""
        self._enter(key)
        return Put(key)

    def reserve(self, keys: Sequence[KeyRecord]) -> list[Put | Drop]:
        """Open the next batch with keys of this KME; returns the rows to commit."""
        sequence = self.mark.next_sequence
        self.mark = msgspec.structs.replace(self.mark, next_sequence=sequence + 1)
        state = BatchState.READY if self.is_local else BatchState.RESERVED
        batch = BatchRecord(
            session=self.record.session,
            sequence=sequence,
            key_ids=tuple(key.key_id for key in keys),
            state=state,
        )
        self.batches[sequence] = batch
        if self.is_local:
            self._place(sequence, len(keys))
        else:
            self._awaited += len(keys)
        return [Put(self.mark), Put(batch), *(self.add(key) for key in keys)]

    def make_ready(self, sequence: int) -> list[Put | Drop]:
        """Mark a batch as placed at the far KME; an empty batch has done its work and goes."""
        batch = self.batches[sequence]
        if not batch.key_ids:
            del self.batches[sequence]
            return [Drop(BatchRecord.kind, batch.key)]
        ready = msgspec.structs.replace(batch, state=BatchState.READY)
        self.batches[sequence] = ready
        self._awaited -= len(batch.key_ids)
        self._place(sequence, len(batch.key_ids))
        return [Put(ready)]

    def _place(self, sequence: int, keys: int) -> None:
        self.live[sequence] = keys
        self._placed += keys

    def make_void(self, sequence: int) -> list[Put | Drop]:
        """Destroy a batch that was not acknowledged; the far KME is told with the next transfer.

        Of an empty one there is nothing to tell.
        """
        batch = self.batches[sequence]
        if not batch.key_ids:
            del self.batches[sequence]
            return [Drop(BatchRecord.kind, batch.key)]
        self._awaited -= len(batch.key_ids)
        void = msgspec.structs.replace(batch, state=BatchState.VOID)
        self.batches[sequence] = void
        self.void[sequence] = None
        changes: list[Put | Drop] = [Put(void)]
        for key_id in batch.key_ids:
            key = self.keys.get(key_id)
            if key is not None and key.state == KeyState.POOLED:
                changes += self.discard(key, KeyState.DESTROYED, ())
        return changes

    def forget_void(self, sequences: Sequence[int]) -> list[Put | Drop]:
        """Forget void batches that the far KME has durably destroyed."""
        changes: list[Put | Drop] = []
        for sequence in sequences:
            batch = self.batches.pop(sequence, None)
            self.void.pop(sequence, None)
            if batch is not None:
                changes.append(Drop(BatchRecord.kind, batch.key))
        return changes

    def destroy_from_peer(self, sequences: Sequence[int]) -> list[Put | Drop]:
        """Destroy keys of the peer's batches that the peer has destroyed."""
        changes: list[Put | Drop] = []
        for sequence in sequences:
            for key_id in self.from_peer.get(sequence, ())[:]:
                changes += self.discard(self.keys[key_id], KeyState.DESTROYED, ())
        return changes

    def finish(self, key: KeyRecord, state: KeyState, delivered_to: tuple[str, ...]) -> list[Put | Drop]:
        """Bring a key to an end state: its bits are the caller's; returns the rows to commit."""
        ended = msgspec.structs.replace(key, state=state, bits=None, delivered_to=delivered_to)
        del self.keys[key.key_id]
        self._halves -= key.state == KeyState.DELIVERED_IN_PART
        self._end(ended)
        changes: list[Put | Drop] = [Put(ended)]
        if key.own:
            changes += self._one_less(key.sequence)
        else:
            self._from_peer -= 1
            mine = self.from_peer[key.sequence]
            mine.remove(key.key_id)
            if not mine:
                del self.from_peer[key.sequence]
        return changes

    def discard(self, key: KeyRecord, state: KeyState, delivered_to: tuple[str, ...]) -> list[Put | Drop]:
        """Bring a key to an end state whose bits nobody needs: they are `spent`, to be wiped."""
        if key.bits is not None:
            self.spent.append(key.bits)
        return self.finish(key, state, delivered_to)

    def quarantine(self, batches: Collection[tuple[bool, int]]) -> list[Put | Drop]:
        """Set live keys aside whose batches are named as (own, sequence).

        Own batches that are on their way will not become ready: they are `suspect`.
        """
        changes: list[Put | Drop] = []
        for key in [key for key in self.keys.values() if (key.own, key.sequence) in batches]:
            if key.own and self.batches[key.sequence].state == BatchState.RESERVED:
                self.suspect.add(key.sequence)
            else:
                changes += self.discard(key, KeyState.QUARANTINED, key.delivered_to)
        if changes:
            self.ready = deque(key_id for key_id in self.ready if key_id in self.keys)
        return changes

    def hand_out_in_part(self, key: KeyRecord, sae: str) -> list[Put | Drop]:
        """Note that one of two SAEs of this KME has a key; the other may still fetch it."""
        part = msgspec.structs.replace(key, state=KeyState.DELIVERED_IN_PART, delivered_to=(sae,))
        self.keys[key.key_id] = part
        self._halves += 1
        return [Put(part)]

    def _one_less(self, sequence: int) -> list[Put | Drop]:
        batch = self.batches.get(sequence)
        if batch is None or batch.state != BatchState.READY:
            return []
        self.live[sequence] -= 1
        self._placed -= 1
        if self.live[sequence]:
            return []
        del self.live[sequence]
        del self.batches[sequence]
        return [Drop(BatchRecord.kind, batch.key)]

    def prune(self, kept: int) -> list[Put | Drop]:
        """Fold the oldest finished keys beyond `kept` into the totals."""
        changes: list[Put | Drop] = []
        while len(self.ended) > kept:
            _, key = self.ended.popitem(last=False)
            bits = key.size_bits
            totals = self.totals
            self.totals = msgspec.structs.replace(
                totals,
                delivered=totals.delivered + (bits if key.state == KeyState.DELIVERED else 0),
                destroyed=totals.destroyed + (bits if key.state == KeyState.DESTROYED else 0),
                expired=totals.expired + (bits if key.state == KeyState.EXPIRED else 0),
                quarantined=totals.quarantined + (bits if key.state == KeyState.QUARANTINED else 0),
            )
            changes.append(Drop(KeyRecord.kind, key.key))
        if changes:
            changes.append(Put(self.totals))
        return changes

    def unfetched(self) -> int:
        """Return the keys that wait for `dec`: the peer's; of two SAEs of this KME, all that are stored."""
        return len(self.keys) if self.is_local else self._from_peer

    def forget(self) -> list[Put | Drop]:
        """Drop what is left of a closed session whose keys are all folded away."""
        name = self.record.session
        kinds = (SessionRecord.kind, SessionMark.kind, KeyTotals.kind)
        batches = (Drop(BatchRecord.kind, batch.key) for batch in self.batches.values())
        return [*(Drop(kind, name) for kind in kinds), *batches]

    def placed_keys(self) -> int:
        """Return the own keys that are left of batches which the far KME has."""
        return self._placed

    def ready_keys(self) -> int:
        """Return the own keys that the far KME has and no SAE."""
        return self._placed - self._halves

    def peers_keys(self) -> int:
        """Return the peer's keys that wait here."""
        return self._from_peer

    def reserved_keys(self) -> int:
        """Return the keys in batches that are not yet placed."""
        return self._awaited

    def expire(self) -> list[Put | Drop]:
        """End every live key and close the session: its life is over, and its batches are not asked for."""
        changes: list[Put | Drop] = []
        for key in list(self.keys.values()):
            changes += self.discard(key, KeyState.EXPIRED, key.delivered_to)
        for sequence, batch in list(self.batches.items()):
            if sequence not in self.void:
                changes.append(Drop(BatchRecord.kind, batch.key))
                del self.batches[sequence]
        self.ready.clear()
        self.live.clear()
        self._placed = self._awaited = 0
        self.record = msgspec.structs.replace(self.record, closed=True)
        return [*changes, Put(self.record)]


class Tally(msgspec.Struct, frozen=True):
    """A session's live keys at one KME, counted one by one: keys, and bits by term of the account."""

    keys_ready: int
    keys_reserved: int
    keys_from_peer: int
    bits_available: int
    bits_reserved: int
    bits_in_flight: int


def tally(session: Session) -> Tally:
    """Count a session's live keys: own ready, own on their way, from the peer, half fetched."""
    ready = reserved = from_peer = available_bits = half_bits = flight_bits = 0
    for key in session.keys.values():
        if key.state == KeyState.DELIVERED_IN_PART:
            half_bits += key.size_bits
        elif not key.own:
            from_peer += 1
            available_bits += key.size_bits
        elif session.batches[key.sequence].state == BatchState.READY:
            ready += 1
            available_bits += key.size_bits
        else:
            reserved += 1
            flight_bits += key.size_bits
    return Tally(ready, reserved, from_peer, available_bits, half_bits, flight_bits)

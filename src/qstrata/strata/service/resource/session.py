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
        self.from_peer: dict[int, dict[str, None]] = {}
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
            self.from_peer.setdefault(key.sequence, {})[key.key_id] = None

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
        keys = [self.keys[key_id] for key_id in batch.key_ids if key_id in self.keys]
        pooled = [key for key in keys if key.state == KeyState.POOLED]
        return [Put(void), *self.discard(pooled, KeyState.DESTROYED)]

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
        gone = [self.keys[key_id] for sequence in sequences for key_id in self.from_peer.get(sequence, ())]
        return self.discard(gone, KeyState.DESTROYED)

    def finish(self, keys: Sequence[KeyRecord], state: KeyState, sae: str = "") -> list[Put | Drop]:
        """Bring keys to an end state, as given to `sae` too where one is named; returns the rows to commit.

        Their bits are the caller's.
        """
        changes: list[Put | Drop] = []
        fewer: dict[int, int] = {}
        bits = 0
        for key in keys:
            key_id, sequence = key.key_id, key.sequence
            given = (*key.delivered_to, sae) if sae else key.delivered_to
            ended = msgspec.structs.replace(key, state=state, bits=None, delivered_to=given)
            del self.keys[key_id]
            self.ended[key_id] = ended
            bits += key.size_bits
            changes.append(Put(ended))
            if key.state is KeyState.DELIVERED_IN_PART:
                self._halves -= 1
            if key.own:
                fewer[sequence] = fewer.get(sequence, 0) + 1
            else:
                self._from_peer -= 1
                mine = self.from_peer[sequence]
                del mine[key_id]
                if not mine:
                    del self.from_peer[sequence]
        self.ended_keys[state] += len(keys)
        self.ended_bits[state] += bits
        for sequence, number in fewer.items():
            changes += self._fewer(sequence, number)
        return changes

    def discard(self, keys: Sequence[KeyRecord], state: KeyState, sae: str = "") -> list[Put | Drop]:
        """Bring keys to an end state whose bits nobody needs: they are `spent`, to be wiped."""
        self.spent += [key.bits for key in keys if key.bits is not None]
        return self.finish(keys, state, sae)

    def quarantine(self, batches: Collection[tuple[bool, int]]) -> list[Put | Drop]:
        """Set live keys aside whose batches are named as (own, sequence).

        Own batches that are on their way will not become ready: they are `suspect`.
        """
        aside: list[KeyRecord] = []
        for key in [key for key in self.keys.values() if (key.own, key.sequence) in batches]:
            if key.own and self.batches[key.sequence].state == BatchState.RESERVED:
                self.suspect.add(key.sequence)
            else:
                aside.append(key)
        changes = self.discard(aside, KeyState.QUARANTINED)
        if changes:
            self.ready = deque(key_id for key_id in self.ready if key_id in self.keys)
        return changes

    def hand_out_in_part(self, key: KeyRecord, sae: str) -> list[Put | Drop]:
        """Note that one of two SAEs of this KME has a key; the other may still fetch it."""
        part = msgspec.structs.replace(key, state=KeyState.DELIVERED_IN_PART, delivered_to=(sae,))
        self.keys[key.key_id] = part
        self._halves += 1
        return [Put(part)]

    def _fewer(self, sequence: int, keys: int) -> list[Put | Drop]:
        batch = self.batches.get(sequence)
        if batch is None or batch.state != BatchState.READY:
            return []
        self.live[sequence] -= keys
        self._placed -= keys
        if self.live[sequence]:
            return []
        del self.live[sequence]
        del self.batches[sequence]
        return [Drop(BatchRecord.kind, batch.key)]

    def prune(self, kept: int) -> list[Put | Drop]:
        """Fold the oldest finished keys beyond `kept` into the totals."""
        if len(self.ended) <= kept:
            return []
        gone = [self.ended.popitem(last=False)[1] for _ in range(len(self.ended) - kept)]
        delivered, destroyed, expired, quarantined = (
            sum(key.size_bits for key in gone if key.state is state) for state in (KeyState.DELIVERED, *DEAD)
        )
        self.totals = msgspec.structs.replace(
            self.totals,
            delivered=self.totals.delivered + delivered,
            destroyed=self.totals.destroyed + destroyed,
            expired=self.totals.expired + expired,
            quarantined=self.totals.quarantined + quarantined,
        )
        return [*(Drop(KeyRecord.kind, key.key) for key in gone), Put(self.totals)]

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
        changes = self.discard(list(self.keys.values()), KeyState.EXPIRED)
        for sequence, batch in list(self.batches.items()):
            if sequence not in self.void:
                changes.append(Drop(BatchRecord.kind, batch.key))
                del self.batches[sequence]
        self.ready.clear()
        self.live.clear()
        self._placed = self._awaited = 0
        self.record = msgspec.structs.replace(self.record, closed=True)
        return [*changes, Put(self.record)]

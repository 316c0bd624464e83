"""The refill loop of a KME: draw keys, have them relayed, know them ready, or destroy them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Commit, Drop, Effect, Effects, Handle, Put, Send, Timer
from qstrata.core.randomness import UUID_BYTES, uuid_of
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.service_control import CreditWanted
from qstrata.fabric.messages.transfer import (
    Placed,
    Placement,
    TransferHeader,
    TransferRefused,
    TransferRequest,
    TransferSettled,
)
from qstrata.store.records import BatchState, KeyRecord, KeyState, SessionMark
from qstrata.strata.service.resource.keystore import KeyStore, committed
from qstrata.strata.service.resource.session import FULL, SUSPECT, Session

VOIDS_PER_TRANSFER = 256


class Waiting(Protocol):
    """Who waits for a batch: told once that it is placed, or that it has failed and is void."""

    def placed(self, transfer: "Transfer", now: int) -> Effects:
        """Go on: the batch is durable at the far KME, and reserved here until it is made ready."""

    def failed(self, transfer: "Transfer", reason: str, now: int) -> Effects:
        """Give up: the batch is void, or its session has ended."""


class Transfer:
    """A batch on its way; `waiting` when an SAE waits for it."""

    __slots__ = ("deadline_ps", "drawn_ps", "header", "retry_ps", "session", "waiting")

    def __init__(self, session: Session, header: TransferHeader, now: int) -> None:
        self.session = session
        self.header = header
        self.drawn_ps = now
        self.deadline_ps = header.deadline_ps
        self.retry_ps = 0
        self.waiting: Waiting | None = None


class Refill:
    """Keep every session's own half at depth, under the credit that control has granted."""

    def __init__(self, store: KeyStore, controller: Handle) -> None:
        self._store = store
        self._controller = controller
        self._transfers: dict[str, Transfer] = {}
        self._refused: dict[str, Transfer] = {}

    def tick(self, now: int) -> Effects:
        """Refill what is below depth, retry what the relay refused, give up what is overdue."""
        effects: list[Effect] = [Timer(now + self._store.figures.refill_ps, self.tick)]
        self._store.wipe_given()
        forgotten = self._store.forget()
        if forgotten:
            effects.append(Commit(tuple(forgotten)))
        for transfer in [tr for tr in self._transfers.values() if tr.deadline_ps <= now]:
            effects += self.overdue(transfer, now)
        for transfer in self._next_refused():
            if transfer.retry_ps <= now:
                del self._refused[transfer.header.transfer]
                effects += self._retry(transfer, now)
        for session in self._store.sessions.values():
            effects += self.consider(session, now)
        return effects

    def consider(self, session: Session, now: int) -> Effects:
        """Start a batch for a session that needs one and may have one."""
        record, figures = session.record, self._store.figures
        if record.closed:
            return []
        if session.is_local:
            return self._draw_local(session, now)
        credit = session.credit
        if credit is None:
            return []
        effects = list(self._renew(session, now))
        missing = record.depth - session.placed_keys() - session.reserved_keys()
        largest = figures.probe_keys if session.rest_ps else figures.batch_keys
        least = min(largest, self._smallest(session, now))
        if missing < least and credit.left_keys and not session.void:
            return effects
        if self._must_wait(session, now):
            return effects
        if not credit.left_keys:
            session.refill = "its credit is used up and control has not renewed it"
        wanted = min(missing, largest, credit.available(now))
        if wanted >= least:
            credit.spend(wanted, now)
            return [*effects, *self._start(session, wanted, now)]
        if session.void and not self._under_way(session):
            return [*effects, *self._start(session, 0, now)]
        return effects

    def renew(self, session: Session, now: int) -> Effects:
        """Ask for more credit, unless that was asked for just now."""
        credit = session.credit
        if credit is None or now - session.wanted_ps < self._store.figures.retry_ps:
            return []
        session.wanted_ps = now
        return [Send(self._controller, CreditWanted(self._store.site, session.record.session, credit.serial))]

    def _renew(self, session: Session, now: int) -> Effects:
        credit = session.credit
        return self.renew(session, now) if credit is not None and credit.half_used else []

    def _next_refused(self) -> list[Transfer]:
        """Return the lowest refused batch of each session that has nothing under way."""
        first: dict[str, Transfer] = {}
        for transfer in self._refused.values():
            name = transfer.session.record.session
            other = first.setdefault(name, transfer)
            if transfer.header.sequence < other.header.sequence:
                first[name] = transfer
        return [transfer for transfer in first.values() if not self._under_way(transfer.session)]

    def _smallest(self, session: Session, now: int) -> int:
        """Return the least batch that is worth its messages now."""
        figures = self._store.figures
        if now - session.started_ps >= figures.top_up_ps:
            return 1
        return max(1, min(figures.batch_keys_min, session.record.depth // 2))

    def _must_wait(self, session: Session, now: int) -> bool:
        """Say whether nothing new may start: batches go in the order of their numbers, few at a time."""
        if now < session.rests_until_ps:
            return True
        if self._refused and any(t.session is session for t in self._refused.values()):
            return True
        return self._under_way(session) >= (1 if session.rest_ps else self._store.figures.transfers_max)

    def _under_way(self, session: Session) -> int:
        return sum(t.session is session for t in self._transfers.values()) if self._transfers else 0

    def draw(self, session: Session, number: int, size_bits: int) -> list[KeyRecord]:
        """Draw keys with their ids; they belong to the session's next batch."""
        record, length = session.record, UUID_BYTES + size_bits // 8
        drawn = self._store.random.bytes(number * length)
        return [
            KeyRecord(
                key_id=uuid_of(drawn[start : start + UUID_BYTES]),
                session=record.session,
                sequence=session.mark.next_sequence,
                position=position,
                own=True,
                size_bits=size_bits,
                valid_until_ps=record.valid_until_ps,
                state=KeyState.POOLED,
                bits=KeyMaterial(drawn[start + UUID_BYTES : start + length]),
            )
            for position, start in enumerate(range(0, len(drawn), length))
        ]

    def _draw_local(self, session: Session, now: int) -> Effects:
        missing = session.record.depth - len(session.ready)
        if missing <= 0:
            return []
        is_full = session.unfetched() + missing > self._store.figures.stored_max
        session.refill = FULL if is_full else ""
        if is_full:
            return []
        keys = self.draw(session, missing, session.record.size_bits)
        changes = session.reserve(keys)
        notes = self._store.hold(session, keys)
        session.ready.extend(key.key_id for key in keys)
        return [*notes, Commit(tuple(changes))]

    def _start(self, session: Session, number: int, now: int) -> Effects:
        size_bits = session.record.size_bits
        return self.send(session, self.draw(session, number, size_bits), size_bits, now)[1]

    def send(
        self,
        session: Session,
        keys: Sequence[KeyRecord],
        size_bits: int,
        now: int,
        waiting: Waiting | None = None,
    ) -> tuple[Transfer, Effects]:
        """Reserve keys as the session's next batch, and have it relayed; credit is the caller's matter."""
        record, credit, store = session.record, session.credit, self._store
        figures = store.figures
        timeout_ps = figures.transfer_timeout_ps if waiting is None else figures.order_timeout_ps
        session.started_ps = now
        sequence = session.mark.next_sequence
        changes = session.reserve(keys)
        notes = store.hold(session, keys)
        header = TransferHeader(
            transfer=f"{record.session}/{store.site}/{sequence}",
            path=credit.path if credit is not None else 0,
            session=record.session,
            owner=store.site,
            sequence=sequence,
            key_ids=tuple(key.key_id for key in keys),
            size_bits=size_bits,
            valid_until_ps=record.valid_until_ps,
            deadline_ps=now + timeout_ps,
            void=tuple(session.void)[:VOIDS_PER_TRANSFER],
            shared=any(key.shared for key in keys),
        )
        transfer = Transfer(session, header, now)
        transfer.waiting = waiting
        self._transfers[header.transfer] = transfer
        ask = self._ask(transfer)
        return transfer, [*notes, Commit((*changes, *store.prune(session)), lambda now: ask)]

    def overdue(self, transfer: Transfer, now: int) -> Effects:
        """Give a batch up that has no answer, unless it has been withdrawn."""
        if self._transfers.pop(transfer.header.transfer, None) is None:
            return []
        return self._fail(transfer, "no answer by the deadline", now)

    def withdraw(self, transfer: Transfer) -> None:
        """Let a batch go that nobody waits for any more: an answer to it is not heard."""
        self._transfers.pop(transfer.header.transfer, None)

    def _ask(self, transfer: Transfer) -> Effects:
        keys = [transfer.session.keys.get(key_id) for key_id in transfer.header.key_ids]
        bits = b"".join(key.bits.reveal() for key in keys if key is not None and key.bits is not None)
        return [Send(self._store.relay, TransferRequest(transfer.header, KeyMaterial(bits)))]

    def refused(self, message: TransferRefused, sender: Address, now: int) -> Effects:
        """Keep a batch that the relay refused before anything was spent, and ask again later.

        A large one is given up after a while, for a small one may go sooner.
        """
        transfer = self._transfers.pop(message.transfer, None)
        if transfer is None:
            return []
        transfer.session.refill = message.reason
        figures = self._store.figures
        late = now - transfer.drawn_ps >= figures.transfer_timeout_ps
        if transfer.waiting is not None or (late and len(transfer.header.key_ids) > figures.probe_keys):
            return self._fail(transfer, message.reason, now)
        transfer.retry_ps = now + self._store.figures.retry_ps
        self._refused[message.transfer] = transfer
        return []

    def _retry(self, transfer: Transfer, now: int) -> Effects:
        session, credit = transfer.session, transfer.session.credit
        header = transfer.header
        batch = session.batches.get(header.sequence)
        if batch is None or batch.state != BatchState.RESERVED or session.record.closed:
            return []
        if credit is None:
            transfer.retry_ps = now + self._store.figures.retry_ps
            self._refused[header.transfer] = transfer
            return []
        transfer.deadline_ps = now + self._store.figures.transfer_timeout_ps
        transfer.header = msgspec.structs.replace(
            header,
            path=credit.path,
            deadline_ps=transfer.deadline_ps,
            void=tuple(session.void)[:VOIDS_PER_TRANSFER],
        )
        self._transfers[header.transfer] = transfer
        return self._ask(transfer)

    def settled(self, message: TransferSettled, sender: Address, now: int) -> Effects:
        """Make a placed batch ready; destroy one that was refused on the way."""
        transfer = self._transfers.pop(message.transfer, None)
        if transfer is None:
            return []
        session, header = transfer.session, transfer.header
        if not message.placed or session.record.closed:
            return self._fail(transfer, message.reason, now)
        if header.sequence in session.suspect:
            session.suspect.discard(header.sequence)
            return self._fail(transfer, SUSPECT, now)
        session.refill, session.rest_ps = "", 0
        told = session.forget_void(header.void)
        if transfer.waiting is not None:
            known = [Commit(tuple(told))] if told else []
            return [*known, *transfer.waiting.placed(transfer, now)]
        changes = [*session.make_ready(header.sequence), *told]

        def ready(now: int) -> Effects:
            if session.record.closed:
                return []
            session.ready.extend(key_id for key_id in header.key_ids if key_id in session.keys)
            return self.consider(session, now)

        return [Commit(tuple(changes), ready)]

    def _fail(self, transfer: Transfer, reason: str, now: int) -> Effects:
        session, figures = transfer.session, self._store.figures
        effects: list[Effect] = []
        if session.record.closed:
            reason = session.refill
        else:
            session.refill = reason
            session.rest_ps = min(max(2 * session.rest_ps, figures.retry_ps), figures.rest_max_ps)
            session.rests_until_ps = now + session.rest_ps
            effects.append(committed(session.make_void(transfer.header.sequence), (session,)))
        if transfer.waiting is not None:
            effects += transfer.waiting.failed(transfer, reason, now)
        return effects

    def place(self, message: Placement, sender: Address, now: int) -> Effects:
        """Take the peer's batch in, durably, and say so; a number seen before is not taken again."""
        header, store = message.header, self._store
        session = store.sessions.get(header.session)
        reason = _refusal(session, header, len(message.bits) * 8, now)
        if session is not None and session.unfetched() + len(header.key_ids) > store.figures.stored_max:
            reason = reason or f"at the far KME, {FULL}"
        if session is None or reason:
            return [Send(store.relay, Placed(header.transfer, False, reason))]
        session.mark = _placed_mark(session, header)
        keys = _placed_keys(header, message.bits.take())
        changes: list[Put | Drop] = [Put(session.mark), *session.destroy_from_peer(header.void)]
        changes += [session.add(key) for key in keys]
        notes = store.hold(session, keys)
        answer = Send(store.relay, Placed(header.transfer, True, ""))
        return [*notes, committed((*changes, *store.prune(session)), (session,), lambda now: [answer])]


def _refusal(session: Session | None, header: TransferHeader, bits: int, now: int) -> str:
    if session is None or session.record.closed:
        return "the session is not open at the far KME"
    if header.sequence <= session.mark.placed_sequence:
        return "this batch comes too late"
    if header.valid_until_ps <= now:
        return "the session has expired"
    if bits != len(header.key_ids) * header.size_bits:
        return "the batch does not have the stated length"
    return ""


def _placed_mark(session: Session, header: TransferHeader) -> SessionMark:
    return msgspec.structs.replace(session.mark, placed_sequence=header.sequence)


def _placed_keys(header: TransferHeader, bits: bytes) -> list[KeyRecord]:
    size = header.size_bits // 8
    return [
        KeyRecord(
            key_id=key_id,
            session=header.session,
            sequence=header.sequence,
            position=index,
            own=False,
            size_bits=header.size_bits,
            valid_until_ps=header.valid_until_ps,
            state=KeyState.POOLED,
            bits=KeyMaterial(bits[index * size : (index + 1) * size]),
            shared=header.shared,
        )
        for index, key_id in enumerate(header.key_ids)
    ]

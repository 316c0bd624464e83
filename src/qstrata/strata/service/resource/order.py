"""Keys that are made while an SAE waits: of another size, very many, or for several slave SAEs.

The master's KME draws them once and has a copy placed at the KME of each slave, in the session of the master
with that slave. Only when all copies are durable are they handed out, here in one commit; a copy that is not
acknowledged in time voids them all, at every KME.
"""

from collections.abc import Callable, Sequence

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Drop, Effect, Effects, Put, Send, Timer
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.delivery import EncKeys, Fault, RequestRefused
from qstrata.store.records import BatchState, KeyRecord
from qstrata.strata.service.resource.keystore import KeyStore, committed
from qstrata.strata.service.resource.refill import Refill, Transfer
from qstrata.strata.service.resource.session import FULL, NO_PATH_YET, SUSPECT, Session

CREDIT_PS = PS_PER_S
"""How soon control is expected to grant the credit of a session that has just opened, or to renew it."""

Copies = Sequence[tuple[Session, Sequence[KeyRecord]]]
Deliver = Callable[[Copies, Sequence[Put | Drop], EncKeys, Address], Effects]
"""Hand keys out by `enc`: their copies, changes to commit with that and before it, request, sender."""


class Order:
    """One request that waits for its keys; `sessions` are the master's with each slave."""

    def __init__(
        self,
        store: KeyStore,
        refill: Refill,
        deliver: Deliver,
        sessions: Sequence[Session],
        request: EncKeys,
        sender: Address,
    ) -> None:
        self._store = store
        self._refill = refill
        self._deliver = deliver
        self._sessions = sessions
        self._request = request
        self._sender = sender
        self._far = [session for session in sessions if not session.is_local]
        self._drawn: Sequence[KeyRecord] = ()
        self._transfers: dict[str, Transfer] = {}
        self._missing: dict[str, Transfer] = {}

    def start(self, now: int) -> Effects:
        """Have the keys placed where this KME does not serve the slave; refuse what cannot be done at all."""
        lacking = [session for session in self._sessions if self._lacks_credit(session)]
        if lacking:
            renewals = [effect for session in lacking for effect in self._refill.renew(session, now)]
            return [*renewals, self._refusal(_credit_text(lacking[0]), self._credit_ps(lacking))]
        if any(self._is_full(session) for session in self._sessions):
            return [self._refusal(FULL, 0)]
        self._draw()
        for session in self._sessions:
            session.grant(self._request.sae, self._weight(session), now)
        if not self._far:
            return self._finish(now)
        effects: list[Effect] = []
        for session in self._far:
            if session.credit is not None:
                session.credit.spend(self._weight(session), now)
            size_bits = self._request.size_bits
            transfer, asked = self._refill.send(session, self._copies(session), size_bits, now, self)
            self._transfers[session.record.session] = transfer
            self._missing[transfer.header.transfer] = transfer
            effects += asked
        return [*effects, Timer(now + self._store.figures.order_timeout_ps, self._overdue)]

    def placed(self, transfer: Transfer, now: int) -> Effects:
        """Hand the keys out once every KME has acknowledged its copy."""
        del self._missing[transfer.header.transfer]
        return [] if self._missing else self._finish(now)

    def failed(self, transfer: Transfer, reason: str, now: int) -> Effects:
        """Void the copies in the other sessions, and tell the SAE that waits."""
        return self._give_up(f"the keys were not relayed: {reason}", transfer.session, now)

    def _overdue(self, now: int) -> Effects:
        missing = list(self._missing.values())
        return [effect for transfer in missing for effect in self._refill.overdue(transfer, now)]

    def _finish(self, now: int) -> Effects:
        for session in self._sessions:
            if session.record.closed or session.record.valid_until_ps <= now:
                return self._give_up("the session is closed", session, now)
            if self._is_full(session):
                return self._give_up(FULL, session, now)
            transfer = self._transfers.get(session.record.session)
            if transfer is not None and transfer.header.sequence in session.suspect:
                return self._give_up(SUSPECT, session, now)
        changes: list[Put | Drop] = []
        notes: list[Effect] = []
        copies: list[tuple[Session, Sequence[KeyRecord]]] = []
        for session in self._sessions:
            transfer = self._transfers.get(session.record.session)
            if transfer is not None:
                changes += session.make_ready(transfer.header.sequence)
                keys: Sequence[KeyRecord] = [session.keys[key_id] for key_id in transfer.header.key_ids]
            else:
                keys = self._copies(session)
                changes += session.reserve(keys)
                notes += self._store.hold(session, keys)
            copies.append((session, keys))
        return [*notes, *self._deliver(copies, changes, self._request, self._sender)]

    def _give_up(self, reason: str, session: Session, now: int) -> Effects:
        changes: list[Put | Drop] = []
        self._missing = {}
        for transfer in self._transfers.values():
            self._refill.withdraw(transfer)
            batch = transfer.session.batches.get(transfer.header.sequence)
            if batch is not None and batch.state is BatchState.RESERVED:
                changes += transfer.session.make_void(transfer.header.sequence)
        after_ps = 0
        if not session.record.closed and not self._is_full(session):
            after_ps = max(session.rests_until_ps - now, 0) + self._store.figures.refill_ps
        refusal = self._refusal(reason, after_ps)
        return [committed(changes, self._sessions), refusal] if changes else [refusal]

    @property
    def _first(self) -> Session:
        return self._far[0] if self._far else self._sessions[0]

    def _draw(self) -> None:
        shared = len(self._sessions) > 1
        drawn = self._refill.draw(self._first, self._request.number, self._request.size_bits)
        self._drawn = [msgspec.structs.replace(key, shared=shared) for key in drawn]

    def _copies(self, session: Session) -> Sequence[KeyRecord]:
        """Return the keys as they belong to a session, with bits of their own: in the first as drawn."""
        if session is self._first:
            return self._drawn
        return [
            msgspec.structs.replace(
                key,
                session=session.record.session,
                sequence=session.mark.next_sequence,
                valid_until_ps=session.record.valid_until_ps,
                bits=KeyMaterial(key.bits.reveal() if key.bits is not None else b""),
            )
            for key in self._drawn
        ]

    def _weight(self, session: Session) -> int:
        return session.weight(self._request.number, self._request.size_bits)

    def _lacks_credit(self, session: Session) -> bool:
        credit = session.credit
        return not session.is_local and (credit is None or credit.left_keys < self._weight(session))

    def _credit_ps(self, lacking: Sequence[Session]) -> int:
        """Return how soon credit that suffices is expected; 0 where it is not known to come at all."""
        for session in lacking:
            credit = session.credit
            if credit is None and session.refill != NO_PATH_YET:
                return 0
            if credit is not None and credit.total_keys < self._weight(session):
                return 0
        return CREDIT_PS

    def _is_full(self, session: Session) -> bool:
        more, most = self._request.number, self._store.figures.stored_max
        return session.is_local and session.unfetched() + more > most

    def _refusal(self, text: str, after_ps: int) -> Send:
        refusal = RequestRefused(self._request.request, Fault.UNAVAILABLE, text, after_ps)
        return Send(self._store.port.bind(self._sender), refusal)


def _credit_text(session: Session) -> str:
    peers = f"{session.record.local} with {session.record.peer}"
    why = f": {session.refill}" if session.refill else ""
    return f"the session of {peers} has no credit for this now{why}"

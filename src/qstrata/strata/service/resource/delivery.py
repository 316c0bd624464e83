"""Delivery of keys to SAEs: at most once a side, and durable before it is visible.

The owner KME hands a key out by `enc`, the other by `dec`; where both SAEs are attached here, this
KME does both. A refused request consumes nothing.
"""

from collections.abc import Sequence

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Commit, Drop, Effects, Note, Put, Send
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_S
from qstrata.fabric.log import Answered
from qstrata.fabric.messages.delivery import (
    AskStatus,
    DecKeys,
    DeliveredKey,
    EncKeys,
    Fault,
    KeysDelivered,
    PairStatus,
    RequestRefused,
)
from qstrata.planes.admission import NotRoutableRefusal, outside
from qstrata.planes.names import is_of
from qstrata.planes.places import kme_name
from qstrata.store.records import KeyRecord, KeyState
from qstrata.strata.service.resource.keystore import KeyStore, KmeFigures, committed
from qstrata.strata.service.resource.order import Copies, Order
from qstrata.strata.service.resource.refill import Refill
from qstrata.strata.service.resource.session import Session

NOT_FOUND = "one or more keys specified are not found on KME"
"""ETSI GS QKD 014 V1.1.1, 6.4."""


class Delivery:
    """Answer the requests of one KME's SAEs."""

    def __init__(self, store: KeyStore, refill: Refill) -> None:
        self._store = store
        self._refill = refill

    def status(self, message: AskStatus, sender: Address, now: int) -> Effects:
        """Answer how a pair stands; an allowed pair without a session has an empty one."""
        refusal = self._not_allowed(message.sae, message.peer)
        if refusal is not None:
            return self._refuse(message.request, sender, *refusal)
        session = self._open_session(message.sae, message.peer, now)
        record = session.record if session is not None else None
        figures, domain = self._store.figures, self._store.address.domain
        answer = PairStatus(
            request=message.request,
            session=record.session if record is not None else "",
            kme=kme_name(domain, self._store.site),
            peer_kme=kme_name(domain, self._store.saes[message.peer].site),
            size_bits=record.size_bits if record is not None else 0,
            stored=len(session.ready) if session is not None else 0,
            capacity=record.depth if record is not None else 0,
            max_per_request=self._most_per_request(session),
            max_size_bits=figures.key_size_max,
            min_size_bits=figures.key_size_min,
        )
        return [Send(self._store.port.bind(sender), answer)]

    def enc(self, message: EncKeys, sender: Address, now: int) -> Effects:
        """Hand out new keys for a pair: own keys that are ready at both KMEs.

        Keys of another size, more of them than are ever stored, or keys for several slave SAEs are made
        while the SAE waits.
        """
        if message.also:
            return self._for_several(message, sender, now)
        refusal = self._not_allowed(message.sae, message.peer) or self._out_of_range(message)
        if refusal is not None:
            return self._refuse(message.request, sender, *refusal)
        session = self._open_session(message.sae, message.peer, now)
        if session is None:
            text = "no session between these SAEs is open yet"
            return self._refuse(message.request, sender, Fault.NO_SESSION, text)
        size_bits = message.size_bits or session.record.size_bits
        weight = session.weight(message.number, size_bits)
        limited = self._limited(session, message, weight, now)
        if limited is not None:
            return [Send(self._store.port.bind(sender), limited)]
        if size_bits != session.record.size_bits or message.number > session.record.depth:
            return self._order((session,), message, sender, now)
        if len(session.ready) < message.number:
            return self._refuse_short(session, message, sender, now)
        session.grant(message.sae, weight, now)
        keys = [session.keys[session.ready.popleft()] for _ in range(message.number)]
        return [
            *self._hand_out(session, keys, "enc", message.request, message.sae, sender),
            *self._refill.consider(session, now),
        ]

    def _for_several(self, message: EncKeys, sender: Address, now: int) -> Effects:
        refusal = self._wrong_slaves(message) or self._out_of_range(message)
        if refusal is not None:
            return self._refuse(message.request, sender, *refusal)
        sessions: list[Session] = []
        for slave in (message.peer, *message.also):
            session = self._open_session(message.sae, slave, now)
            if session is None:
                text = f"no session with {slave} is open yet"
                return self._refuse(message.request, sender, Fault.NO_SESSION, text)
            sessions.append(session)
        size_bits = message.size_bits or sessions[0].record.size_bits
        for session in sessions:
            limited = self._limited(session, message, session.weight(message.number, size_bits), now)
            if limited is not None:
                return [Send(self._store.port.bind(sender), limited)]
        return self._order(sessions, message, sender, now)

    def _order(self, sessions: Sequence[Session], message: EncKeys, sender: Address, now: int) -> Effects:
        asked = msgspec.structs.replace(message, size_bits=message.size_bits or sessions[0].record.size_bits)
        order = Order(self._store, self._refill, self._hand_out_copies, sessions, asked, sender)
        return order.start(now)

    def dec(self, message: DecKeys, sender: Address, now: int) -> Effects:
        """Hand out the keys of these ids to the SAE that they were made for: all or none."""
        refusal = self._unknown(message.sae)
        if refusal is not None:
            return self._refuse(message.request, sender, *refusal)
        found = [self._find(key_id, message.sae) for key_id in message.key_ids]
        for session, key in found:
            if session is not None and key is not None and not _may_fetch(session, key, message.sae):
                text = "the keys were not made for this SAE"
                return self._refuse(message.request, sender, Fault.UNAUTHORIZED, text)
        keys: list[KeyRecord] = []
        holder: Session | None = None
        for session, key in found:
            if session is None or key is None or not _is_fetchable(session, key, message, now):
                return self._refuse(message.request, sender, Fault.BAD_REQUEST, NOT_FOUND)
            keys.append(key)
            holder = session
        if holder is None or len({key.key_id for key in keys}) != len(keys):
            return self._refuse(message.request, sender, Fault.BAD_REQUEST, NOT_FOUND)
        return self._hand_out(holder, keys, "dec", message.request, message.sae, sender)

    def _find(self, key_id: str, sae: str) -> tuple[Session | None, KeyRecord | None]:
        """Return a key with its session; of several copies that which this SAE may fetch, if there is one."""
        session = self._store.session_of.get(key_id)
        key = session.find(key_id) if session is not None else None
        for other in self._store.copies.get(key_id, ()):
            copy = other.find(key_id)
            if copy is not None and _may_fetch(other, copy, sae):
                return other, copy
        return session, key

    def _hand_out(
        self,
        session: Session,
        keys: Sequence[KeyRecord],
        verb: str,
        request: int,
        sae: str,
        sender: Address,
        before: Sequence[Put | Drop] = (),
        others: Copies = (),
    ) -> Effects:
        """Mark keys as given, and their copies in other sessions, then answer; `before` is committed first.

        The bits of a key that nobody else may fetch here leave with the answer.
        """
        changes: list[Put | Drop] = [*before]
        delivered: list[DeliveredKey] = []
        ended: dict[str, list[KeyRecord]] = {}
        for key in keys:
            holder = self._store.sessions[key.session]
            if holder.is_local and not key.delivered_to:
                delivered.append(DeliveredKey(key.key_id, _copy(key)))
                changes += holder.hand_out_in_part(key, sae)
            else:
                delivered.append(DeliveredKey(key.key_id, _own(key)))
                ended.setdefault(key.session, []).append(key)
        for name, gone in ended.items():
            changes += self._store.sessions[name].finish(gone, KeyState.DELIVERED, sae)
        answer = Send(self._store.port.bind(sender), KeysDelivered(request, tuple(delivered)))
        notes = [Note(Answered(self._store.site, sae, verb, key.key_id)) for key in keys]
        last_ps = min(key.valid_until_ps for key in keys)
        for holder, copies in others:
            last_ps = min(last_ps, holder.record.valid_until_ps)
            changes += _marked(holder, copies, sae)
            changes += self._store.prune(holder)

        def durable(now: int) -> Effects:
            self._store.wipe_given()
            self._store.given = delivered
            if now < last_ps:
                return [*notes, answer]
            return self._refuse(request, sender, Fault.BAD_REQUEST, NOT_FOUND)

        changes += self._store.prune(session)
        if others:
            return [committed(changes, [holder for holder, _ in others], durable)]
        return [Commit(tuple(changes), durable)]

    def _hand_out_copies(
        self, copies: Copies, before: Sequence[Put | Drop], request: EncKeys, sender: Address
    ) -> Effects:
        """Hand keys out to their master, of which each slave has a copy in its session with the master."""
        (session, keys), *others = copies
        return self._hand_out(session, keys, "enc", request.request, request.sae, sender, before, others)

    def _unknown(self, sae: str) -> tuple[Fault, str] | None:
        if self._store.registry_serial < 0:
            return Fault.UNAVAILABLE, "this KME has not been configured yet: ask again in a moment"
        entry = self._store.saes.get(sae)
        if entry is None or entry.site != self._store.site:
            strange = "" if is_of(self._store.address.domain, sae) else ": it is of another domain"
            return Fault.UNAUTHORIZED, f"this SAE is not registered at this KME{strange}"
        return None

    def _not_allowed(self, sae: str, peer: str) -> tuple[Fault, str] | None:
        unknown = self._unknown(sae)
        if unknown is not None:
            return unknown
        if peer not in self._store.saes:
            return self._stranger(sae, peer)
        if peer not in self._store.saes[sae].peers:
            return Fault.UNAUTHORIZED, "policy does not let these SAEs share keys"
        return None

    def _stranger(self, sae: str, peer: str) -> tuple[Fault, str]:
        domain = self._store.address.domain
        if is_of(domain, peer):
            return Fault.BAD_REQUEST, "the other SAE is not known"
        refused = outside(domain, peer, not self._store.saes[sae].routable)
        fault = Fault.UNAUTHORIZED if isinstance(refused, NotRoutableRefusal) else Fault.BAD_REQUEST
        return fault, refused.reason

    def _wrong_slaves(self, message: EncKeys) -> tuple[Fault, str] | None:
        for slave in (message.peer, *message.also):
            if slave == message.sae and slave in message.also:
                return Fault.BAD_REQUEST, "the SAE that asks is no additional slave SAE of its own"
            refusal = self._not_allowed(message.sae, slave)
            if refusal is not None:
                return refusal
        slaves, most = frozenset((message.peer, *message.also)), self._store.figures.sae_ids_max
        if len(slaves) <= len(message.also) or len(message.also) > most:
            return Fault.BAD_REQUEST, f"there shall be at most {most} additional slave SAEs, each named once"
        return None

    def _out_of_range(self, message: EncKeys) -> tuple[Fault, str] | None:
        figures = self._store.figures
        if not 1 <= message.number <= figures.keys_per_request_max:
            return Fault.BAD_REQUEST, f"number shall be 1 to {figures.keys_per_request_max}"
        size = message.size_bits
        if size and (size % 8 or not figures.key_size_min <= size <= figures.key_size_max):
            text = f"size shall be a multiple of 8 from {figures.key_size_min} to {figures.key_size_max} bits"
            return Fault.BAD_REQUEST, text
        return None

    def _limited(self, session: Session, message: EncKeys, weight: int, now: int) -> RequestRefused | None:
        """Return what an SAE is told that asks for more than its session grants now, None within it."""
        bucket = session.bucket(message.sae, now)
        if bucket is None or weight <= bucket.available(now):
            return None
        limit = f"request-rate-keys-per-s is {bucket.rate_keys_per_s:g} and burst-keys {bucket.burst_keys}"
        if weight > bucket.burst_keys:
            text = f"{weight} keys of {session.record.size_bits} bits at once are never granted: {limit}"
            return RequestRefused(message.request, Fault.BAD_REQUEST, f"{text} in this session")
        after_ps = bucket.wait_ps(weight, now) or 0
        text = f"over the limit of this session: {limit}; ask again in {-(-after_ps // PS_PER_S)} s"
        return RequestRefused(message.request, Fault.UNAVAILABLE, text, after_ps)

    def _most_per_request(self, session: Session | None) -> int:
        most = self._store.figures.keys_per_request_max
        limited = session is not None and session.record.request_rate_keys_per_s
        return min(most, session.record.burst_keys) if session is not None and limited else most

    def _open_session(self, sae: str, peer: str, now: int) -> Session | None:
        session = self._store.pairs.get((sae, peer))
        if session is None or session.record.valid_until_ps <= now:
            return None
        return session

    def _refuse_short(self, session: Session, message: EncKeys, sender: Address, now: int) -> Effects:
        stored, wanted = len(session.ready), message.number
        after_ps = expected_ps(session, wanted - stored, self._store.figures, now)
        when = f"in about {-(-after_ps // PS_PER_S)} s" if after_ps else "later"
        why = f" ({session.refill})" if session.refill else ""
        text = f"{stored} of {wanted} keys are stored now; try again {when}{why}"
        refusal = RequestRefused(message.request, Fault.UNAVAILABLE, text, after_ps)
        return [Send(self._store.port.bind(sender), refusal)]

    def _refuse(self, request: int, sender: Address, fault: Fault, text: str) -> Effects:
        return [Send(self._store.port.bind(sender), RequestRefused(request, fault, text))]


def expected_ps(session: Session, missing: int, figures: KmeFigures, now: int) -> int:
    """Return how long it takes until `missing` more keys are expected, at the rate that control granted.

    0 says that nothing is known: there is no credit, or too little of it is left.
    """
    if session.is_local:
        return figures.refill_ps
    credit, more = session.credit, max(0, missing - session.reserved_keys())
    if credit is None or credit.left_keys < more:
        return 0
    earning_ps = credit.bucket.wait_ps(more, now)
    if earning_ps is None:
        return 0
    return max(earning_ps, session.rests_until_ps - now, 0) + figures.refill_ps


def _copy(key: KeyRecord) -> KeyMaterial:
    return key.bits.copy() if key.bits is not None else KeyMaterial(b"")


def _own(key: KeyRecord) -> KeyMaterial:
    return key.bits if key.bits is not None else KeyMaterial(b"")


def _marked(session: Session, copies: Sequence[KeyRecord], sae: str) -> list[Put | Drop]:
    """Mark copies as given to the master: wholly, but where the slave fetches them at this KME."""
    if session.is_local:
        return [change for key in copies for change in session.hand_out_in_part(key, sae)]
    return session.discard(copies, KeyState.DELIVERED, sae)


def _may_fetch(session: Session, key: KeyRecord, sae: str) -> bool:
    """Say whether this SAE is the slave of a key: the one that got it by `enc` only if paired with itself."""
    record = session.record
    if session.is_local:
        is_slave = sae not in key.delivered_to[:1] or record.local == record.peer
        return is_slave and sae in (record.local, record.peer)
    return not key.own and sae == session.record.local


def _is_fetchable(session: Session, key: KeyRecord, message: DecKeys, now: int) -> bool:
    """Say whether the key is here, unfetched, in time, and was made with the master named."""
    if key.valid_until_ps <= now:
        return False
    if session.is_local:
        return key.state == KeyState.DELIVERED_IN_PART and key.delivered_to == (message.peer,)
    return key.state == KeyState.POOLED and session.record.peer == message.peer

"""The KME of a site: the key store of its SAEs, between the relay below and applications above."""

from collections.abc import Sequence

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Commit, Effect, Effects, Note, Put, Record, Send, Timer
from qstrata.core.randomness import RandomSource
from qstrata.fabric.log import Sampled
from qstrata.fabric.messages.delivery import AskStatus, DecKeys, EncKeys
from qstrata.fabric.messages.east_west import Proposal, ProposalReplied
from qstrata.fabric.messages.samples import KmeSample, ProbeService, SessionSample
from qstrata.fabric.messages.service_control import (
    CloseSession,
    ConfigureKme,
    GrantCredit,
    HeldSession,
    KeyTrace,
    KeyTraced,
    KmeHello,
    OpenSession,
    ProposeUnit,
    QuarantineKeys,
    ReportSessions,
    SessionOpened,
    SessionsReport,
    TraceKey,
    WithdrawCredit,
)
from qstrata.fabric.messages.transfer import Placement, TransferRefused, TransferSettled
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.planes.beats import next_beat_ps
from qstrata.planes.token_bucket import token_bucket
from qstrata.store.records import BatchState, KeyRecord, KeyState, KmeRegistry, SessionRecord
from qstrata.strata.service.resource.delivery import Delivery
from qstrata.strata.service.resource.keystore import KeyStore, KmeFigures, committed
from qstrata.strata.service.resource.negotiation import Negotiation
from qstrata.strata.service.resource.quarantine import Quarantine
from qstrata.strata.service.resource.refill import Refill
from qstrata.strata.service.resource.session import Credit, Session
from qstrata.strata.service.resource.tally import Tally, tally

TRACED_MAX = 100
ACCOUNT_PERIODS = 60
"""Samples between two entries of the accounts in the event log."""
HELLO_PERIODS = 10
"""Refill periods between two hellos while control has not answered."""


class KmeElement(Element):
    """Wire the KME's store, refill and delivery to its port; `controller` is service.ctl."""

    def __init__(
        self,
        address: Address,
        port: Port,
        controller: Address,
        records: Sequence[Record],
        random: RandomSource,
        salt: bytes,
        figures: KmeFigures | None = None,
    ) -> None:
        super().__init__(address)
        self.store = KeyStore(address, port, records, random, salt, figures or KmeFigures())
        self._controller = port.bind(controller)
        self._refill = Refill(self.store, self._controller)
        self._delivery = Delivery(self.store, self._refill)
        self._negotiation = Negotiation(self.store, self._controller)
        self._quarantine = Quarantine(self.store, self._controller)
        self._telemetry: Address | None = None
        self._period_ps = 0
        self._samples = 0
        self._greeted = False
        self._opening: set[str] = set()
        for kind, handler in (
            (ConfigureKme, self._configure),
            (OpenSession, self._open),
            (GrantCredit, self._grant),
            (WithdrawCredit, self._withdraw),
            (CloseSession, self._close),
            (ReportSessions, self._report),
            (TraceKey, self._trace),
            (QuarantineKeys, self._quarantine.impose),
            (ProposeUnit, self._negotiation.proposed),
            (Proposal, self._negotiation.passed),
            (ProposalReplied, self._negotiation.replied),
            (ProbeService, self._probe),
            (TransferRefused, self._refill.refused),
            (TransferSettled, self._refill.settled),
            (Placement, self._refill.place),
            (AskStatus, self._delivery.status),
            (EncKeys, self._delivery.enc),
            (DecKeys, self._delivery.dec),
        ):
            self.on(kind, handler)

    def start(self, now: int) -> Effects:
        """Burn what was reserved when the node stopped, say hello, and begin to refill."""
        effects: list[Effect] = [Commit(tuple(self.store.burnt))] if self.store.burnt else []
        self.store.burnt = []
        for session in self.store.sessions.values():
            session.loaded_ps = now
        return [*effects, *self._hello(now), *self._expire(now), *self._refill.tick(now)]

    def adopt(self, figures: KmeFigures) -> None:
        """Keep to other bounds from now on."""
        self.store.figures = figures

    def end(self) -> Effects:
        """Close every session, for the site is taken away: no key is left."""
        effects: list[Effect] = []
        for session in self.store.sessions.values():
            if not session.record.closed:
                effects += self._end(session)
        return effects

    def _expire(self, now: int) -> Effects:
        """End the sessions that are over, whether or not control is there to say so."""
        effects: list[Effect] = [Timer(now + self.store.figures.refill_ps, self._expire)]
        for session in self.store.sessions.values():
            if not session.record.closed and session.record.valid_until_ps <= now:
                effects += self._end(session)
        return effects

    def _hello(self, now: int) -> Effects:
        if self._greeted:
            return []
        again = Timer(now + HELLO_PERIODS * self.store.figures.refill_ps, self._hello)
        return [Send(self._controller, KmeHello(self.address.site)), again]

    def _configure(self, message: ConfigureKme, sender: Address, now: int) -> Effects:
        self._greeted = True
        if message.serial <= self.store.registry_serial:
            return []
        registry = KmeRegistry(serial=message.serial, saes=message.saes)
        self.store.configure(registry)
        return [Commit((Put(registry),))]

    def _open(self, message: OpenSession, sender: Address, now: int) -> Effects:
        self._greeted = True
        opened = Send(self._controller, SessionOpened(self.address.site, message.session))
        known = self.store.sessions.get(message.session)
        if known is not None:
            ends = known.record.closed or message.session in self._opening
            return [] if ends else self._refigure(known, message, opened, now)
        record = SessionRecord(
            session=message.session,
            unit=message.unit,
            local=message.local,
            peer=message.peer,
            peer_site=message.peer_site,
            size_bits=message.size_bits,
            depth=message.depth,
            valid_until_ps=message.valid_until_ps,
            request_rate_keys_per_s=message.request_rate_keys_per_s,
            burst_keys=message.burst_keys,
            rate_keys_per_s=message.rate_keys_per_s,
        )
        session = self.store.open(record)
        self._opening.add(message.session)

        def durable(now: int) -> Effects:
            self._opening.discard(message.session)
            return [opened, *self._refill.consider(session, now)]

        return [Commit((Put(record),), durable)]

    def _refigure(self, session: Session, message: OpenSession, opened: Send, now: int) -> Effects:
        """Take over the figures of an open session that may change while it is open."""
        record = msgspec.structs.replace(
            session.record,
            depth=message.depth,
            request_rate_keys_per_s=message.request_rate_keys_per_s,
            burst_keys=message.burst_keys,
            rate_keys_per_s=message.rate_keys_per_s,
        )
        if record == session.record:
            return [opened]
        session.take_figures(record, now)
        return [Commit((Put(record),), lambda now: [opened, *self._refill.consider(session, now)])]

    def _grant(self, message: GrantCredit, sender: Address, now: int) -> Effects:
        session = self.store.sessions.get(message.session)
        if session is None:
            # Control takes for open what a crash has lost here: a hello that was lost, too, is said again.
            return [Send(self._controller, KmeHello(self.address.site))]
        if session.credit is not None and message.serial <= session.credit.serial:
            return []
        session.credit = Credit(
            serial=message.serial,
            path=message.path,
            total_keys=message.total_keys,
            left_keys=message.total_keys,
            bucket=token_bucket(message.rate_keys_per_s, self.store.figures.batch_keys, now),
        )
        session.refill = ""
        return self._refill.consider(session, now)

    def _withdraw(self, message: WithdrawCredit, sender: Address, now: int) -> Effects:
        session = self.store.sessions.get(message.session)
        if session is not None and (session.credit is None or message.serial > session.credit.serial):
            session.credit = None
            session.refill = message.reason
        return []

    def _close(self, message: CloseSession, sender: Address, now: int) -> Effects:
        session = self.store.sessions.get(message.session)
        return self._end(session) if session is not None and not session.record.closed else []

    def _end(self, session: Session) -> Effects:
        changes = session.expire()
        session.credit = None
        session.refill = "the session is closed"
        self.store.close(session)
        return [committed(changes, (session,))]

    def _report(self, message: ReportSessions, sender: Address, now: int) -> Effects:
        held = tuple(
            HeldSession(
                r.session,
                r.unit,
                r.local,
                r.peer,
                r.peer_site,
                r.size_bits,
                r.depth,
                r.valid_until_ps,
                r.rate_keys_per_s,
            )
            for r in (session.record for session in self.store.sessions.values())
            if not r.closed
        )
        hello = Send(self._controller, KmeHello(self.address.site))
        return [Send(self._controller, SessionsReport(self.address.site, held)), hello]

    def _trace(self, message: TraceKey, sender: Address, now: int) -> Effects:
        wanted = message.wanted
        session = self.store.sessions.get(wanted)
        if session is not None:
            newest = [*session.ended.values(), *session.keys.values()][-TRACED_MAX:]
            keys = [self._key_trace(session, key) for key in newest]
        else:
            copies = [(holder, holder.find(wanted)) for holder in self.store.holders(wanted)]
            keys = [self._key_trace(holder, key) for holder, key in copies if key is not None]
        units = dict.fromkeys(key.session for key in keys) or (wanted,)
        negotiations = tuple(trace for unit in units for trace in self._negotiation.traces(unit))
        answer = KeyTraced(message.request, self.address.site, tuple(keys), negotiations)
        return [Send(self.store.port.bind(sender), answer)]

    def _key_trace(self, session: Session, key: KeyRecord) -> KeyTrace:
        record = session.record
        owner = self.address.site if key.own else record.peer_site
        batch = session.batches.get(key.sequence)
        state = key.state.value
        if key.own and key.state == KeyState.POOLED and batch is not None:
            state = "ready" if batch.state == BatchState.READY else "reserved"
        elif key.state == KeyState.POOLED:
            state = "ready"
        return KeyTrace(
            key_id=key.key_id,
            session=record.session,
            unit=record.unit,
            site=self.address.site,
            own=key.own,
            size_bits=key.size_bits,
            state=state,
            valid_until_ps=key.valid_until_ps,
            delivered_to=key.delivered_to,
            transfer="" if session.is_local else f"{record.session}/{owner}/{key.sequence}",
            position=key.position,
        )

    def _probe(self, message: ProbeService, sender: Address, now: int) -> Effects:
        first = self._telemetry is None
        self._telemetry, self._period_ps = sender, message.period_ps
        return self._sample(now) if first else []

    def _sample(self, now: int) -> Effects:
        if self._telemetry is None:
            return []
        sessions = self.store.sessions.values()
        samples = tuple(_session_sample(s) for s in sessions if not s.record.closed)
        sample = KmeSample(self.address.site, now, samples)
        effects: list[Effect] = [Send(self.store.port.bind(self._telemetry), sample)]
        if self._samples % ACCOUNT_PERIODS == 0:
            effects += [Note(_account(self.address.site, s, tally(s))) for s in sessions]
        self._samples += 1
        return [*effects, Timer(next_beat_ps(str(self.address), self._period_ps, now), self._sample)]


def _session_sample(session: Session) -> SessionSample:
    record, ended = session.record, session.ended_keys
    return SessionSample(
        session=record.session,
        local=record.local,
        peer=record.peer,
        peer_site=record.peer_site,
        size_bits=record.size_bits,
        depth=record.depth,
        keys_ready=session.ready_keys(),
        keys_reserved=session.reserved_keys(),
        keys_from_peer=session.peers_keys(),
        keys_delivered=ended[KeyState.DELIVERED],
        keys_destroyed=ended[KeyState.DESTROYED],
        keys_expired=ended[KeyState.EXPIRED],
        refill=session.refill,
    )


def _account(site: str, session: Session, counted: Tally) -> Sampled:
    ended = session.ended_bits
    return Sampled(
        site=site,
        ledger=session.record.session,
        generated=session.generated_bits,
        provisioned=0,
        available=counted.bits_available,
        reserved=counted.bits_reserved,
        in_flight=counted.bits_in_flight,
        relayed=0,
        delivered=ended[KeyState.DELIVERED],
        authentication=0,
        quarantined=ended[KeyState.QUARANTINED],
        expired=ended[KeyState.EXPIRED],
        destroyed=ended[KeyState.DESTROYED],
    )

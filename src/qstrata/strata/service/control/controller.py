"""The controller of the service stratum: it keeps units as policy and applications want them."""

from functools import partial

from qstrata.core.address import Address, End
from qstrata.core.effects import Effect, Effects, Handle, Send, Timer
from qstrata.core.randomness import RandomSource
from qstrata.core.time import PS_PER_S, EpochAnchor
from qstrata.fabric.messages.path_requirements import PathGranted, PathLost
from qstrata.fabric.messages.policy import QueryService, ServicePolicy, ServiceState
from qstrata.fabric.messages.service_control import (
    CloseSession,
    ConfigureKme,
    CreditWanted,
    HeldSession,
    KmeHello,
    ReportSessions,
    SessionOpened,
    SessionsReport,
)
from qstrata.fabric.messages.unit_requests import CloseUnit, OpenUnit, QueryUnit, UnitAnswer
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.admission import Admitted, PairingPolicy, Refusal, pairing_policy
from qstrata.planes.asking import Serials
from qstrata.planes.controlling import Controller
from qstrata.planes.names import name_table
from qstrata.store.records import SaeEntry
from qstrata.strata.service.control.supply import Supply
from qstrata.strata.service.control.units import (
    ASKED_MAX,
    UNITS_MAX,
    Figures,
    Unit,
    UnitBook,
    UnitEvent,
    UnitPhase,
    best_held,
    learnt_unit,
    pair_key,
    propose,
    refused_unit,
)

LEARN_PS = 2 * PS_PER_S
"""How long control waits for KMEs to say what they hold before it opens anything anew."""

SWEEP_PS = 10 * PS_PER_S
"""How often paths are required and credit is said again, lest a loss went unnoticed."""


class ServiceController(Controller):
    """Control the service stratum of a domain.

    `random` draws the nonces of units; `anchor` ties their valid-until to the calendar. Units that
    were open before a restart are learnt again from the KMEs.
    """

    def __init__(self, address: Address, port: Port, random: RandomSource, anchor: EpochAnchor) -> None:
        domain = address.domain
        manager = places.manager(End.SERVICE_MGT, domain)
        super().__init__(address, port, manager, ServicePolicy, QueryService)
        self._random = random
        self._anchor = anchor
        self._serials = Serials()
        forwarding = places.controller(End.FORWARDING_CTL, domain)
        self._supply = Supply(port, forwarding, self.outbox, self._serials)
        self._pairing: PairingPolicy | None = None
        self._registries: dict[str, ConfigureKme] = {}
        self._units = UnitBook()
        self._held: dict[str, tuple[HeldSession, ...]] = {}
        self._closing: dict[tuple[str, str], None] = {}
        self._learnt = False
        self.on(KmeHello, self._hello)
        self.on(SessionOpened, self._opened)
        self.on(SessionsReport, self._report)
        self.on(CreditWanted, self._credit_wanted)
        self.on(PathGranted, self._path_granted)
        self.on(PathLost, self._path_lost)
        self.on(OpenUnit, self._open_unit)
        self.on(QueryUnit, self._query_unit)
        self.on(CloseUnit, self._close_unit)

    # --- policy and state (T4) ---

    def start(self, now: int) -> Effects:
        """Ask for policy, and begin to sweep."""
        return [*super().start(now), Timer(now + SWEEP_PS, self._sweep)]

    def adopt(self, policy: ServicePolicy, now: int) -> list[Effect]:
        """Configure the KMEs, ask what they hold, and open what is declared once they have said so."""
        table = name_table(policy.routes, policy.saes)
        self._pairing = pairing_policy(policy.pairs, table, [sae.name for sae in policy.saes])
        effects: list[Effect] = []
        for site in policy.sites:
            self._registries[site] = self._registry(site, now)
            sends = [Send(self._kme(site), self._registries[site]), Send(self._kme(site), ReportSessions())]
            effects += self.outbox.ask(("report", site), sends, now)
        for unit in list(self._units.live.values()):
            if isinstance(self._pairing.admit(unit.pair.a, unit.pair.b), Refusal):
                reason = "policy no longer allows the pair"
                effects += self._close(unit, reason, now) if unit.serves else []
                effects += self._decide(unit, reason, now) if unit.phase is UnitPhase.PROPOSED else []
        if self._learnt:
            return [*effects, *self._open_declared(now)]
        return [*effects, Timer(now + LEARN_PS, self._learn)]

    def _registry(self, site: str, now: int) -> ConfigureKme:
        """Make a KME's registry: its own SAEs with their peers, and the names of all others."""
        pairing, policy = self._pairing, self._policy
        assert pairing is not None
        entries = (
            SaeEntry(sae.name, sae.site, pairing.peers_of(sae.name) if sae.site == site else ())
            for sae in policy.saes
        )
        return ConfigureKme(self._serials.next(now), tuple(entries))

    def state(self) -> ServiceState:
        """Show live units, declared ones that were refused, and the last that ended."""
        return ServiceState(self._units.shown())

    def _sweep(self, now: int) -> Effects:
        effects: list[Effect] = [Timer(now + SWEEP_PS, self._sweep)]
        for unit in self._units.live.values():
            effects += self._supply.repeat(unit)
        if self._learnt and self._policy.admission:
            effects += self._open_declared(now)
        return effects

    # --- what KMEs hold (F1) ---

    def _report(self, message: SessionsReport, sender: Address, now: int) -> Effects:
        if self._pairing is None:
            return ()
        self.outbox.settle(("report", message.site))
        self._held[message.site] = message.sessions
        self._settle_closed(message.site)
        effects: list[Effect] = []
        if self._learnt:
            effects += self._disown(message.site, now)
            for held in message.sessions:
                current = self._units.of_pair(held.local, held.peer)
                wanted = current is None or current.session == held.session
                effects += self._take_over(message.site, held, wanted, now)
        elif all(site in self._held for site in self._policy.sites):
            effects += self._learn(now)
        return [*effects, *self.publish()]

    def _learn(self, now: int) -> list[Effect]:
        """Take over what KMEs hold, one session a pair, then open what is declared and not held."""
        if self._learnt:
            return []
        self._learnt = True
        by_pair: dict[tuple[str, str], list[tuple[str, HeldSession]]] = {}
        for site in self._policy.sites:
            for held in self._held.get(site, ()):
                by_pair.setdefault(pair_key(held.local, held.peer), []).append((site, held))
        effects: list[Effect] = []
        for sessions in by_pair.values():
            chosen = best_held(sessions)
            for site, held in sessions:
                wanted = held.session == chosen and self._may_hold(held.peer_site, chosen)
                effects += self._take_over(site, held, wanted, now)
        return [*effects, *self._open_declared(now), *self.publish()]

    def _may_hold(self, site: str, session: str) -> bool:
        """Tell whether a KME holds a session, as far as it has said."""
        return site not in self._held or any(held.session == session for held in self._held[site])

    def _disown(self, site: str, now: int) -> list[Effect]:
        """End the units that were learnt of one KME when the other, heard at last, does not hold them."""
        effects: list[Effect] = []
        for unit in list(self._units.live.values()):
            missing = unit.learnt and site in unit.sites and site not in unit.confirmed
            if missing and unit.serves and not self._may_hold(site, unit.session):
                unit.reason = f"the KME at {site} does not hold it"
                effects += self._renew(unit, now)
        return effects

    def _take_over(self, site: str, held: HeldSession, wanted: bool, now: int) -> list[Effect]:
        """Go on with a session that a KME holds, or have it closed there."""
        assert self._pairing is not None
        unit = self._units.find(held.session)
        if unit is not None:
            return (
                self._confirm(unit, site, now) if unit.serves else self._tell_close(held.session, site, now)
            )
        pair = self._pairing.admit(held.local, held.peer)
        if (
            not wanted
            or held.valid_until_ps <= now
            or isinstance(pair, Refusal)
            or (pair.site_a, pair.site_b) != (site, held.peer_site)
        ):
            return self._tell_close(held.session, site, now)
        unit = learnt_unit(pair, held, self._figures_of(pair))
        return [*self._enter(unit, now), *self._confirm(unit, site, now)]

    def _hello(self, message: KmeHello, sender: Address, now: int) -> Effects:
        # Nothing is asked here: a KME says hello after each report too.
        registry = self._registries.get(message.site)
        if registry is None:
            return ()
        effects: list[Effect] = [Send(self._kme(message.site), registry)]
        for unit in self._units.live.values():
            if unit.serves and message.site in unit.sites:
                effects += self._ask_open(unit, message.site, now)
                effects += self._supply.say(unit, (message.site,), now)
        return effects

    def _opened(self, message: SessionOpened, sender: Address, now: int) -> Effects:
        unit = self._units.live.get(message.session)
        return [*self._confirm(unit, message.site, now), *self.publish()] if unit is not None else ()

    def _confirm(self, unit: Unit, site: str, now: int) -> list[Effect]:
        self.outbox.settle(("open", unit.session, site))
        unit.confirmed.add(site)
        if unit.phase is not UnitPhase.NEGOTIATED or len(unit.confirmed) < len(unit.sites):
            return []
        unit.happens(UnitEvent.CONFIRMED)
        return self._supply.say(unit, unit.sites, now)

    # --- the life of a unit ---

    def _open_declared(self, now: int) -> list[Effect]:
        effects: list[Effect] = []
        self._units.refused.clear()
        for spec in self._policy.sessions:
            if self._units.of_pair(spec.a, spec.b) is None:
                unit = self._propose(spec.a, spec.b, spec, now)
                if isinstance(unit, Refusal):
                    self._units.refused[spec.a, spec.b] = refused_unit(spec.a, spec.b, unit)
                else:
                    effects += self._enter(unit, now)
        return effects

    def _propose(self, a: str, b: str, figures: Figures, now: int) -> Unit | Refusal:
        assert self._pairing is not None
        if len(self._units.live) >= UNITS_MAX:
            return Refusal(f"control holds {UNITS_MAX} units already: close one first")
        valid_until = self._anchor.to_epoch_s(now) + figures.ttl_s
        verify = self._policy.admission
        unit = propose(self._pairing, a, b, figures, valid_until, self._random, verify)
        if isinstance(unit, Unit):
            unit.valid_until_ps = self._anchor.to_time_ps(valid_until)
        return unit

    def _enter(self, unit: Unit, now: int) -> list[Effect]:
        self._units.enter(unit)
        effects: list[Effect] = [Timer(unit.valid_until_ps, partial(self._expire, unit))]
        if unit.phase is not UnitPhase.PROPOSED:
            for site in unit.sites:
                effects += self._ask_open(unit, site, now)
        return [*effects, *self._supply.require(unit, now)]

    def _decide(self, unit: Unit, refusal: str, now: int) -> list[Effect]:
        """Open a proposed unit at its KMEs, or refuse it, and answer who waits for that."""
        effects: list[Effect] = []
        if refusal:
            self._supply.forgo(unit)
            self._units.refuse(unit, refusal)
        else:
            unit.happens(UnitEvent.ADMITTED)
            for site in unit.sites:
                effects += self._ask_open(unit, site, now)
        return [*effects, *(self._tell_unit(unit, request, sender) for sender, request in unit.asked)]

    def _tell_unit(self, unit: Unit, request: int, sender: Address) -> Send:
        answer = UnitAnswer(request, unit.session, unit.unit, unit.phase.value, unit.reason)
        return Send(self.port.bind(sender), answer)

    def _ask_open(self, unit: Unit, site: str, now: int) -> list[Effect]:
        opening = Send(self._kme(site), unit.opening(site))
        return self.outbox.ask(("open", unit.session, site), [opening], now)

    def _expire(self, unit: Unit, now: int) -> Effects:
        if unit.session not in self._units.live:
            return ()
        if unit.phase is UnitPhase.PROPOSED:
            return self._decide(unit, "forwarding control has not answered", now)
        return [*self._renew(unit, now), *self.publish()]

    def _renew(self, unit: Unit, now: int) -> list[Effect]:
        """End a unit before it was asked to close; a declared one is opened anew."""
        served = unit.serves
        unit.happens(UnitEvent.EXPIRED)
        effects = self._leave(unit, now)
        self._units.end(unit)
        spec = self._declared(unit.pair)
        if served and spec is not None:
            fresh = self._propose(unit.pair.a, unit.pair.b, spec, now)
            effects += self._enter(fresh, now) if isinstance(fresh, Unit) else []
        return effects

    def _close(self, unit: Unit, reason: str, now: int) -> list[Effect]:
        unit.happens(UnitEvent.CLOSING)
        unit.reason = reason
        return self._leave(unit, now)

    def _leave(self, unit: Unit, now: int) -> list[Effect]:
        """Take a unit from its path and its KMEs."""
        effects = self._supply.release(unit)
        for site in unit.sites:
            self.outbox.settle(("open", unit.session, site))
            effects += self._tell_close(unit.session, site, now)
        return effects

    def _tell_close(self, session: str, site: str, now: int) -> list[Effect]:
        if (session, site) in self._closing:
            return []
        self._closing[session, site] = None
        kme = self._kme(site)
        sends = [Send(kme, CloseSession(session)), Send(kme, ReportSessions())]
        return self.outbox.ask(("close", session, site), sends, now)

    def _settle_closed(self, site: str) -> None:
        """Take note of the sessions that a KME no longer holds."""
        held = {session.session for session in self._held[site]}
        for session, where in list(self._closing):
            if where == site and session not in held:
                self.outbox.settle(("close", session, site))
                del self._closing[session, site]
                unit = self._units.live.get(session)
                if unit is not None and all((session, other) not in self._closing for other in unit.sites):
                    unit.happens(UnitEvent.DRAINED)
                    self._units.end(unit)

    def _declared(self, pair: Admitted) -> Figures | None:
        wanted = pair_key(pair.a, pair.b)
        return next((spec for spec in self._policy.sessions if pair_key(spec.a, spec.b) == wanted), None)

    def _figures_of(self, pair: Admitted) -> Figures:
        return self._declared(pair) or self._policy.defaults

    def _kme(self, site: str) -> Handle:
        return self.port.bind(places.kme(self.address.domain, site))

    # --- paths and credit (F11, F1) ---

    def _path_granted(self, message: PathGranted, sender: Address, now: int) -> Effects:
        unit = self._units.live.get(message.session)
        if unit is not None and unit.phase is UnitPhase.PROPOSED:
            decided = self._decide(unit, "", now)
            return [*decided, *self._supply.granted(unit, message, now), *self.publish()]
        if unit is not None and unit.serves:
            return [*self._supply.granted(unit, message, now), *self.publish()]
        return self._supply.release_unknown(message.session) if self._learnt else ()

    def _path_lost(self, message: PathLost, sender: Address, now: int) -> Effects:
        unit = self._units.live.get(message.session)
        if unit is not None and unit.phase is UnitPhase.PROPOSED:
            return [*self._decide(unit, message.reason, now), *self.publish()]
        if unit is None or not unit.serves:
            return ()
        return [*self._supply.lost(unit, message, now), *self.publish()]

    def _credit_wanted(self, message: CreditWanted, sender: Address, now: int) -> Effects:
        unit = self._units.live.get(message.session)
        return self._supply.wanted(unit, message, now) if unit is not None else ()

    # --- applications (F10) ---

    def _open_unit(self, message: OpenUnit, sender: Address, now: int) -> Effects:
        to, request = self.port.bind(sender), message.request
        if not self._learnt or self._pairing is None:
            reason = "control has just started and asks the KMEs what is open: ask again in a moment"
            return (Send(to, UnitAnswer(request, "", "", UnitPhase.PROPOSED.value, reason)),)
        pair = self._pairing.admit(message.sae, message.peer)
        if isinstance(pair, Refusal):
            return (Send(to, UnitAnswer(request, "", "", UnitPhase.REFUSED.value, pair.reason)),)
        effects: list[Effect] = []
        unit = self._units.of_pair(pair.a, pair.b)
        if unit is None:
            proposed = self._propose(pair.a, pair.b, self._figures_of(pair), now)
            if isinstance(proposed, Refusal):
                return (Send(to, UnitAnswer(request, "", "", UnitPhase.REFUSED.value, proposed.reason)),)
            unit = proposed
            effects = [*self._enter(unit, now), *self.publish()]
        if unit.phase is UnitPhase.PROPOSED and len(unit.asked) < ASKED_MAX:
            unit.asked.append((sender, message.request))
            return effects
        return [*effects, self._tell_unit(unit, message.request, sender)]

    def _query_unit(self, message: QueryUnit, sender: Address, now: int) -> Effects:
        unit = self._units.owned(message.session, message.sae)
        return (self._answer(message, unit, sender),)

    def _close_unit(self, message: CloseUnit, sender: Address, now: int) -> Effects:
        unit = self._units.owned(message.session, message.sae)
        effects: list[Effect] = []
        if unit is not None and unit.serves:
            effects = [*self._close(unit, f"closed by {message.sae}", now), *self.publish()]
        return [*effects, self._answer(message, unit, sender)]

    def _answer(self, message: QueryUnit | CloseUnit, unit: Unit | None, sender: Address) -> Send:
        if unit is not None:
            return self._tell_unit(unit, message.request, sender)
        reason = f"{message.sae} has no unit {message.session}"
        refused = UnitAnswer(message.request, message.session, "", UnitPhase.REFUSED.value, reason)
        return Send(self.port.bind(sender), refused)

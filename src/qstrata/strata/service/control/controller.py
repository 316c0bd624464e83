"""The controller of the service stratum: it keeps units as policy and applications want them."""

from qstrata.core.address import Address, End
from qstrata.core.effects import Effect, Effects, Send, Timer
from qstrata.core.randomness import RandomSource
from qstrata.core.time import PS_PER_S, EpochAnchor
from qstrata.fabric.messages.path_requirements import KeysSuspected, PathGranted, PathLost
from qstrata.fabric.messages.policy import QueryService, ServicePolicy, ServiceState
from qstrata.fabric.messages.service_control import (
    ConfigureKme,
    CreditWanted,
    KeysQuarantined,
    KmeHello,
    ReportSessions,
    SessionOpened,
    SessionsReport,
    UnitReplied,
)
from qstrata.fabric.messages.unit_requests import CloseUnit, OpenUnit, QueryUnit, UnitAnswer
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.admission import Refusal, pairing_policy
from qstrata.planes.asking import Serials
from qstrata.planes.controlling import Controller
from qstrata.planes.names import name_table
from qstrata.store.records import SaeEntry
from qstrata.strata.service.control.agreements import Agreements
from qstrata.strata.service.control.holdings import Holdings
from qstrata.strata.service.control.lives import Lives
from qstrata.strata.service.control.negotiations import Negotiations
from qstrata.strata.service.control.revising import revise
from qstrata.strata.service.control.supply import Supply
from qstrata.strata.service.control.suspects import Suspects
from qstrata.strata.service.control.units import ASKED_MAX, Unit, UnitPhase

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
        self._serials = Serials()
        forwarding = places.controller(End.FORWARDING_CTL, domain)
        self._supply = Supply(port, forwarding, self.outbox, self._serials)
        self._negotiations = Negotiations(port, self.outbox, self._serials, anchor)
        self._lives = Lives(port, random, anchor, self.outbox, self._supply, self._negotiations, self.publish)
        self._agreements = Agreements(self._lives, self._supply, self._negotiations, self.publish)
        self._units = self._lives.units
        self._holdings = Holdings(self._lives, self.outbox)
        self._suspects = Suspects(port, self.outbox, self._lives, self._serials)
        self._registries: dict[str, ConfigureKme] = {}
        self.on(KmeHello, self._hello)
        self.on(SessionOpened, self._opened)
        self.on(SessionsReport, self._report)
        self.on(UnitReplied, self._replied)
        self.on(CreditWanted, self._credit_wanted)
        self.on(PathGranted, self._path_granted)
        self.on(PathLost, self._path_lost)
        self.on(KeysSuspected, self._suspects.suspected)
        self.on(KeysQuarantined, self._quarantined)
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
        pairing = pairing_policy(self.address.domain, policy.pairs, table, policy.saes)
        lives = self._lives
        before = lives.policy if lives.pairing is not None else None
        lives.policy, lives.pairing = policy, pairing
        self._units.refused.clear()
        self._negotiations.registry = self._serials.next(now)
        effects: list[Effect] = []
        for site in policy.sites:
            self._registries[site] = self._registry(site, now)
            sends = [Send(lives.kme(site), self._registries[site]), Send(lives.kme(site), ReportSessions())]
            effects += self.outbox.ask(("report", site), sends, now)
        effects += revise(lives, self._agreements, before, now)
        for site in [site for site in self._registries if site not in policy.sites]:
            del self._registries[site]
            self.outbox.settle(("report", site))
            self._holdings.forget(site)
            effects += self._suspects.forget(site)
        if self._holdings.learnt:
            return [*effects, *lives.open_declared(now)]
        return [*effects, Timer(now + LEARN_PS, self._learn)]

    def _registry(self, site: str, now: int) -> ConfigureKme:
        """Make a KME's registry: its own SAEs with their peers, and the names of all others.

        A name that is not routable is told only to the KMEs that serve it or an SAE that may pair with it.
        """
        pairing, policy = self._lives.pairing, self._policy
        assert pairing is not None
        peers = {sae.name: pairing.peers_of(sae.name) for sae in policy.saes if sae.site == site}
        met = {peer for names in peers.values() for peer in names}
        entries = (
            SaeEntry(sae.name, sae.site, peers.get(sae.name, ()), sae.routable)
            for sae in policy.saes
            if sae.routable or sae.site == site or sae.name in met
        )
        return ConfigureKme(self._serials.next(now), tuple(entries))

    def state(self) -> ServiceState:
        """Show live units, declared ones that were refused, and the last that ended."""
        return ServiceState(self._units.shown(), self._suspects.exposures())

    def _sweep(self, now: int) -> Effects:
        effects: list[Effect] = [Timer(now + SWEEP_PS, self._sweep)]
        for unit in self._units.live.values():
            effects += self._supply.repeat(unit)
        return [*effects, *(self._lives.open_declared(now) if self._holdings.learnt else [])]

    # --- what KMEs hold (F1) ---

    def _report(self, message: SessionsReport, sender: Address, now: int) -> Effects:
        if self._lives.pairing is None:
            return ()
        return [*self._holdings.report(message, now), *self.publish()]

    def _learn(self, now: int) -> Effects:
        return [*self._holdings.learn(now), *self.publish()]

    def _hello(self, message: KmeHello, sender: Address, now: int) -> Effects:
        # Nothing is asked here: a KME says hello after each report too.
        registry = self._registries.get(message.site)
        if registry is None:
            return ()
        effects: list[Effect] = [Send(self._lives.kme(message.site), registry)]
        for unit in self._units.live.values():
            if unit.serves and message.site in unit.sites:
                effects += self._lives.ask_open(unit, message.site, now)
                effects += self._supply.say(unit, (message.site,), now)
        return effects

    def _opened(self, message: SessionOpened, sender: Address, now: int) -> Effects:
        unit = self._units.live.get(message.session)
        return [*self._lives.confirm(unit, message.site, now), *self.publish()] if unit is not None else ()

    # --- paths and credit (F11, F1) ---

    def _path_granted(self, message: PathGranted, sender: Address, now: int) -> Effects:
        unit = self._units.live.get(message.session)
        if unit is not None and (unit.serves or unit.phase is UnitPhase.PROPOSED):
            return [*self._agreements.granted(unit, message, now), *self.publish()]
        return self._supply.release_unknown(message.session) if self._holdings.learnt else ()

    def _path_lost(self, message: PathLost, sender: Address, now: int) -> Effects:
        unit = self._units.live.get(message.session)
        if unit is None or not (unit.serves or unit.phase is UnitPhase.PROPOSED):
            return ()
        return [*self._agreements.lost(unit, message, now), *self.publish()]

    def _replied(self, message: UnitReplied, sender: Address, now: int) -> Effects:
        return [*self._agreements.replied(message, now), *self.publish()]

    def _credit_wanted(self, message: CreditWanted, sender: Address, now: int) -> Effects:
        unit = self._units.live.get(message.session)
        return self._supply.wanted(unit, message, now) if unit is not None else ()

    def _quarantined(self, message: KeysQuarantined, sender: Address, now: int) -> Effects:
        return [*self._suspects.quarantined(message, now), *self.publish()]

    # --- applications (F10) ---

    def _open_unit(self, message: OpenUnit, sender: Address, now: int) -> Effects:
        to, request = self.port.bind(sender), message.request
        if not self._holdings.learnt or self._lives.pairing is None:
            reason = "control has just started and asks the KMEs what is open: ask again in a moment"
            return (Send(to, UnitAnswer(request, "", "", UnitPhase.PROPOSED.value, reason)),)
        pair = self._lives.pairing.admit(message.sae, message.peer)
        if isinstance(pair, Refusal):
            return (Send(to, UnitAnswer(request, "", "", UnitPhase.REFUSED.value, pair.reason)),)
        effects: list[Effect] = []
        unit = self._units.of_pair(pair.a, pair.b)
        if unit is None:
            proposed = self._lives.propose(pair.a, pair.b, self._lives.figures_of(pair), now)
            if isinstance(proposed, Refusal):
                return (Send(to, UnitAnswer(request, "", "", UnitPhase.REFUSED.value, proposed.reason)),)
            unit = proposed
            effects = [*self._lives.enter(unit, now), *self.publish()]
        if unit.phase is UnitPhase.PROPOSED and not unit.reason and len(unit.asked) < ASKED_MAX:
            unit.asked.append((sender, message.request))
            return effects
        return [*effects, self._lives.tell_unit(unit, message.request, sender)]

    def _query_unit(self, message: QueryUnit, sender: Address, now: int) -> Effects:
        unit = self._units.owned(message.session, message.sae)
        return (self._answer(message, unit, sender),)

    def _close_unit(self, message: CloseUnit, sender: Address, now: int) -> Effects:
        unit = self._units.owned(message.session, message.sae)
        effects: list[Effect] = []
        if unit is not None and unit.serves:
            effects = [*self._lives.close(unit, f"closed by {message.sae}", now), *self.publish()]
        return [*effects, self._answer(message, unit, sender)]

    def _answer(self, message: QueryUnit | CloseUnit, unit: Unit | None, sender: Address) -> Send:
        if unit is not None:
            return self._lives.tell_unit(unit, message.request, sender)
        reason = f"{message.sae} has no unit {message.session}"
        refused = UnitAnswer(message.request, message.session, "", UnitPhase.REFUSED.value, reason)
        return Send(self.port.bind(sender), refused)

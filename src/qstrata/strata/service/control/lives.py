"""The life of units: proposed, opened at their KMEs, renewed, closed."""

from collections.abc import Callable
from functools import partial

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Handle, Send, Timer
from qstrata.core.randomness import RandomSource
from qstrata.core.time import EpochAnchor
from qstrata.fabric.messages.policy import ServicePolicy
from qstrata.fabric.messages.service_control import CloseSession, Offer, ReportSessions
from qstrata.fabric.messages.unit_requests import UnitAnswer
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.admission import Admitted, PairingPolicy, Refusal
from qstrata.planes.asking import Outbox
from qstrata.strata.service.control.negotiations import Negotiations, Way
from qstrata.strata.service.control.supply import Supply
from qstrata.strata.service.control.units import (
    UNITS_MAX,
    Figures,
    Unit,
    UnitBook,
    UnitEvent,
    UnitPhase,
    pair_key,
    propose,
    refused_unit,
)


class Lives:
    """Carry units through their lives; `policy` and `pairing` are those in force, `publish` shows changes."""

    def __init__(
        self,
        port: Port,
        random: RandomSource,
        anchor: EpochAnchor,
        outbox: Outbox,
        supply: Supply,
        negotiations: Negotiations,
        publish: Callable[[], list[Effect]],
    ) -> None:
        self.units = UnitBook()
        self.policy: ServicePolicy
        self.pairing: PairingPolicy | None = None
        self._port = port
        self._random = random
        self._anchor = anchor
        self._outbox = outbox
        self._supply = supply
        self._negotiations = negotiations
        self._publish = publish
        self._closing: dict[tuple[str, str], None] = {}

    def kme(self, site: str) -> Handle:
        """Return the way to a site's KME."""
        return self._port.bind(places.kme(self._port.address.domain, site))

    def declared(self, pair: Admitted) -> Figures | None:
        """Return the figures of a pair whose session is declared."""
        wanted = pair_key(pair.a, pair.b)
        return next((spec for spec in self.policy.sessions if pair_key(spec.a, spec.b) == wanted), None)

    def figures_of(self, pair: Admitted) -> Figures:
        """Return what a unit of this pair is asked to be."""
        return self.declared(pair) or self.policy.defaults

    # --- beginning ---

    def open_declared(self, now: int) -> list[Effect]:
        """Propose the declared sessions that have no unit; keep why those are refused that policy forbids."""
        effects: list[Effect] = []
        for spec in self.policy.sessions:
            if self.units.of_pair(spec.a, spec.b) is None:
                unit = self.propose(spec.a, spec.b, spec, now)
                if isinstance(unit, Refusal):
                    self.units.refused[spec.a, spec.b] = refused_unit(spec.a, spec.b, unit)
                else:
                    effects += self.enter(unit, now)
        return effects

    def propose(self, a: str, b: str, figures: Figures, now: int) -> Unit | Refusal:
        """Propose a unit to policy; it is not in the book yet."""
        assert self.pairing is not None
        if len(self.units.live) >= UNITS_MAX:
            return Refusal(f"control holds {UNITS_MAX} units already: close one first")
        begin_s = self._anchor.to_epoch_s(now)
        unit = propose(self.pairing, a, b, figures, begin_s, self._random)
        if isinstance(unit, Unit):
            unit.valid_until_ps = self._anchor.to_time_ps(begin_s + figures.ttl_s)
            unit.verify = self.policy.admission and len(unit.sites) > 1
        return unit

    def enter(self, unit: Unit, now: int) -> list[Effect]:
        """Take a unit in: require its path; a proposal of one KME is negotiated at once."""
        self.units.enter(unit)
        effects: list[Effect] = [Timer(unit.valid_until_ps, partial(self._expire, unit))]
        if unit.phase is not UnitPhase.PROPOSED:
            for site in unit.sites:
                effects += self.ask_open(unit, site, now)
        elif len(unit.sites) < 2:
            effects += self._negotiations.ask(unit, Way(unit.sites, ()), now)
        return [*effects, *self._supply.require(unit, now)]

    def refuse(self, unit: Unit, reason: str, now: int) -> list[Effect]:
        """Refuse a proposed unit, and answer who waits for it."""
        self._negotiations.drop(unit)
        effects = self._supply.release(unit)
        self.units.refuse(unit, reason)
        return [*effects, *self.tell_asked(unit)]

    def agree(self, unit: Unit, offer: Offer, now: int) -> list[Effect]:
        """Open a unit, as it has been negotiated, at its KMEs, and answer who waits for it."""
        self.units.rename(unit, offer.identifier)
        unit.happens(UnitEvent.ADMITTED)
        unit.offer, unit.rate_keys_per_s = offer, offer.rate_keys_per_s
        effects: list[Effect] = []
        valid_until_ps = self._anchor.to_time_ps(offer.begin_s + offer.life_s)
        if valid_until_ps < unit.valid_until_ps:
            unit.valid_until_ps = valid_until_ps
            effects.append(Timer(valid_until_ps, partial(self._expire, unit)))
        for site in unit.sites:
            effects += self.ask_open(unit, site, now)
        return [*effects, *self.tell_asked(unit)]

    def tell_asked(self, unit: Unit) -> list[Effect]:
        """Answer who waits to hear of a unit."""
        asked, unit.asked = unit.asked, []
        return [self.tell_unit(unit, request, sender) for sender, request in asked]

    def tell_unit(self, unit: Unit, request: int, sender: Address) -> Send:
        """Answer a request with how a unit stands."""
        answer = UnitAnswer(request, unit.session, unit.unit, unit.phase.value, unit.reason)
        return Send(self._port.bind(sender), answer)

    def ask_open(self, unit: Unit, site: str, now: int) -> list[Effect]:
        """Open a unit at one of its KMEs, again until it is confirmed."""
        opening = Send(self.kme(site), unit.opening(site))
        return self._outbox.ask(("open", unit.session, site), [opening], now)

    def confirm(self, unit: Unit, site: str, now: int) -> list[Effect]:
        """Take note that a KME holds a unit; it is open once all do, and credit follows."""
        self._outbox.settle(("open", unit.session, site))
        unit.confirmed.add(site)
        if unit.phase is not UnitPhase.NEGOTIATED or len(unit.confirmed) < len(unit.sites):
            return []
        unit.happens(UnitEvent.CONFIRMED)
        return self._supply.say(unit, unit.sites, now)

    # --- end ---

    def _expire(self, unit: Unit, now: int) -> Effects:
        if self.units.live.get(unit.session) is not unit:
            return ()
        if unit.phase is UnitPhase.PROPOSED:
            reason = unit.reason or "forwarding control has not answered"
            return [*self.refuse(unit, reason, now), *self._publish()]
        return [*self.renew(unit, now), *self._publish()]

    def renew(self, unit: Unit, now: int) -> list[Effect]:
        """End a unit before it was asked to close; a declared one is opened anew."""
        served = unit.serves
        unit.happens(UnitEvent.EXPIRED)
        effects = self._leave(unit, now)
        self.units.end(unit)
        spec = self.declared(unit.pair)
        if served and spec is not None:
            fresh = self.propose(unit.pair.a, unit.pair.b, spec, now)
            effects += self.enter(fresh, now) if isinstance(fresh, Unit) else []
        return effects

    def close(self, unit: Unit, reason: str, now: int) -> list[Effect]:
        """Let a unit drain."""
        unit.happens(UnitEvent.CLOSING)
        unit.reason = reason
        return self._leave(unit, now)

    def _leave(self, unit: Unit, now: int) -> list[Effect]:
        """Take a unit from its path and its KMEs."""
        self._negotiations.drop(unit)
        effects = self._supply.release(unit)
        for site in unit.sites:
            self._outbox.settle(("open", unit.session, site))
            effects += self.tell_close(unit.session, site, now)
        return effects

    def tell_close(self, session: str, site: str, now: int) -> list[Effect]:
        """Close a session at a KME, again until the KME no longer lists it."""
        if (session, site) in self._closing:
            return []
        self._closing[session, site] = None
        kme = self.kme(site)
        sends = [Send(kme, CloseSession(session)), Send(kme, ReportSessions())]
        return self._outbox.ask(("close", session, site), sends, now)

    def settle_closed(self, site: str, held: set[str]) -> None:
        """Take note of the sessions that a KME no longer holds."""
        for session, where in list(self._closing):
            if where == site and session not in held:
                self._outbox.settle(("close", session, site))
                del self._closing[session, site]
                unit = self.units.live.get(session)
                if unit is not None and all((session, other) not in self._closing for other in unit.sites):
                    unit.happens(UnitEvent.DRAINED)
                    self.units.end(unit)

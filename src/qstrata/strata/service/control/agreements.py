"""Agreements: what comes of proposals, and of the routes that they follow (decision 0008)."""

from collections.abc import Callable

from qstrata.core.effects import Effect, Effects
from qstrata.core.urn import Urn
from qstrata.fabric.messages.path_requirements import PathGranted, PathLost
from qstrata.fabric.messages.service_control import HopReply, Offer, Reply, UnitReplied
from qstrata.strata.service.control.lives import Lives
from qstrata.strata.service.control.negotiations import Attempt, Negotiations, Way
from qstrata.strata.service.control.supply import Supply
from qstrata.strata.service.control.units import Unit


class Agreements:
    """Have units negotiated along the routes that forwarding finds, then opened; or look for other routes.

    A proposed unit is refused once no route is left, or when a KME of its ends says so. An open one keeps
    what was agreed: hops that come new into its path are asked too, and one that refuses is gone around.
    """

    def __init__(
        self,
        lives: Lives,
        supply: Supply,
        negotiations: Negotiations,
        publish: Callable[[], list[Effect]],
    ) -> None:
        self._lives = lives
        self._supply = supply
        self._negotiations = negotiations
        self._publish = publish
        negotiations.silent = self._silent

    def granted(self, unit: Unit, message: PathGranted, now: int) -> list[Effect]:
        """Take a route: propose the unit to those of its hops that have not agreed yet."""
        if unit.serves and (message.path == unit.path or set(message.sites) <= unit.agreed):
            self._negotiations.drop(unit)
            return self._supply.granted(unit, message, now)
        if not unit.serves:
            unit.reason = ""
        self._supply.settle(unit)
        return self._negotiations.ask(unit, Way(message.sites, message.channels, message), now)

    def lost(self, unit: Unit, message: PathLost, now: int) -> list[Effect]:
        """Take note that there is no route: a unit that asked for another, or for a promise, is refused."""
        self._negotiations.drop(unit)
        reason = "; ".join((*unit.avoid.values(), message.reason))
        if unit.serves:
            return self._supply.lost(unit, reason, now)
        if unit.verify or unit.avoid:
            return self._lives.refuse(unit, reason, now)
        self._supply.settle(unit)
        unit.reason = reason
        return self._lives.tell_asked(unit)

    def replied(self, message: UnitReplied, now: int) -> list[Effect]:
        """Act on what the hops of a route have answered."""
        attempt = self._negotiations.settle(message)
        unit = self._lives.units.live.get(message.proposal)
        if attempt is None or unit is None:
            return []
        stop = next((hop for hop in message.hops if not hop.passes), None)
        if stop is not None:
            return self._stopped(unit, attempt, stop, now)
        if not only_lowers(attempt.offer, message.offer):
            raised = f"the KME at {message.site} answers with higher figures than were proposed"
            return self._lives.refuse(unit, raised, now) if not unit.serves else []
        unit.agreed.update(attempt.way.sites)
        if unit.serves:
            return self._go_on(unit, attempt, message.offer.rate_keys_per_s, now)
        return self._open(unit, attempt, message.offer, now)

    def ask_rate(self, unit: Unit, now: int) -> list[Effect]:
        """Ask the hops of an open unit for the rate that policy wants now."""
        self._negotiations.drop(unit)
        if not unit.path and len(unit.sites) > 1:
            unit.agreed.clear()
            return []
        way = Way(unit.path_sites or unit.sites, unit.channels)
        return [*self._supply.say(unit, unit.sites, now), *self._negotiations.ask(unit, way, now)]

    def _open(self, unit: Unit, attempt: Attempt, offer: Offer, now: int) -> list[Effect]:
        former = unit.session
        effects = self._lives.agree(unit, offer, now)
        if attempt.way.grant is not None:
            effects += self._supply.granted(unit, attempt.way.grant, now)
            effects += self._supply.take_over(unit, former, now)
        return effects

    def _go_on(self, unit: Unit, attempt: Attempt, rate_keys_per_s: float, now: int) -> list[Effect]:
        """Let an open unit take a path, and the rate that is agreed on over it."""
        effects: list[Effect] = []
        if attempt.way.grant is not None:
            effects += self._supply.granted(unit, attempt.way.grant, now)
        if unit.rate_keys_per_s != rate_keys_per_s:
            unit.rate_keys_per_s = rate_keys_per_s
            for site in unit.sites:
                effects += self._lives.ask_open(unit, site, now)
            effects += self._supply.say(unit, unit.sites, now)
        return effects

    def _stopped(self, unit: Unit, attempt: Attempt, hop: HopReply, now: int) -> list[Effect]:
        """Go around a hop that refuses or is silent; an end cannot be gone around."""
        says = "refuses" if hop.reply is Reply.REFUSED else "does not answer"
        text = f"the KME at {hop.site} {says}: {hop.reason}"
        if unit.serves and (hop.reply is Reply.SILENT or hop.site in unit.sites):
            return self._go_on(unit, attempt, unit.rate_keys_per_s, now)
        if hop.site in unit.sites:
            return self._lives.refuse(unit, text, now)
        unit.avoid[hop.site] = text
        return self._supply.require(unit, now)

    def _silent(self, unit: Unit, attempt: Attempt, now: int) -> Effects:
        site, reason = attempt.way.sites[0], "control has asked it in vain"
        hop = HopReply(site, Reply.SILENT, attempt.offer.life_s, attempt.offer.rate_keys_per_s, reason)
        return [*self._stopped(unit, attempt, hop, now), *self._publish()]


def only_lowers(proposed: Offer, answered: Offer) -> bool:
    """Tell whether an answer keeps to a proposal: the same but for tokens, with figures not higher."""
    return (
        answered.originator == proposed.originator
        and Urn.parse(answered.peer).equivalent(Urn.parse(proposed.peer))
        and (answered.size_bits, answered.begin_s) == (proposed.size_bits, proposed.begin_s)
        and 0 < answered.life_s <= proposed.life_s
        and 0 < answered.rate_keys_per_s <= proposed.rate_keys_per_s
    )

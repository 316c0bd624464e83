"""Supply: the path that a unit requires, and the credit that its KMEs are granted over it."""

from collections.abc import Sequence

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Send
from qstrata.fabric.messages.path_requirements import PathGranted, ReleasePath, RequirePath
from qstrata.fabric.messages.service_control import CreditWanted, GrantCredit, WithdrawCredit
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.asking import Outbox, Serials
from qstrata.planes.credit import credit, is_outdated
from qstrata.strata.service.control.units import Unit, UnitPhase


class Supply:
    """Require paths of forwarding control, and turn them into credit at the KMEs."""

    def __init__(self, port: Port, forwarding: Address, outbox: Outbox, serials: Serials) -> None:
        self._port = port
        self._domain = forwarding.domain
        self._forwarding = port.bind(forwarding)
        self._outbox = outbox
        self._serials = serials

    def require(self, unit: Unit, now: int) -> list[Effect]:
        """Require a path for a unit of two KMEs, until it is granted or refused."""
        if len(unit.sites) < 2:
            return []
        return self._outbox.ask(("path", unit.session), [self._requirement(unit)], now)

    def take_over(self, unit: Unit, former: str, now: int) -> list[Effect]:
        """Have the path that was granted to a proposal kept for the unit that came of it."""
        return self._outbox.ask(("path", unit.session), [self._requirement(unit, former)], now)

    def settle(self, unit: Unit) -> None:
        """Stop asking for a path: it has been granted or refused."""
        self._outbox.settle(("path", unit.session))

    def release(self, unit: Unit) -> list[Effect]:
        """Release a unit's path."""
        self._outbox.settle(("path", unit.session))
        unit.path, unit.path_sites = 0, ()
        return [Send(self._forwarding, ReleasePath(unit.session))] if len(unit.sites) > 1 else []

    def release_unknown(self, session: str) -> Effects:
        """Release the path of a session that control does not have."""
        return (Send(self._forwarding, ReleasePath(session)),)

    def granted(self, unit: Unit, message: PathGranted, now: int) -> list[Effect]:
        """Take a path; credit follows when the path is another or sustains far more or less."""
        self._outbox.settle(("path", unit.session))
        moved = unit.path != message.path or is_outdated(unit.granted_bps, message.rate_bps)
        unit.path, unit.path_sites, unit.rate_bps = message.path, message.sites, message.rate_bps
        unit.channels = message.channels
        unit.reason = ""
        return self.say(unit, unit.sites, now) if moved else []

    def lost(self, unit: Unit, reason: str, now: int) -> list[Effect]:
        """Withdraw the credit of a unit that has no path, and keep why."""
        self._outbox.settle(("path", unit.session))
        if not unit.path and unit.reason == reason:
            return []
        unit.path, unit.path_sites, unit.reason = 0, (), reason
        return self.say(unit, unit.sites, now)

    def wanted(self, unit: Unit, message: CreditWanted, now: int) -> Effects:
        """Renew a KME's credit; one that has not heard of its newest yet is told again."""
        said = unit.said.get(message.site)
        if said is None or message.site not in unit.sites:
            return ()
        if message.serial < said.serial:
            return (self._tell(message.site, said),)
        return self.say(unit, (message.site,), now)

    def say(self, unit: Unit, sites: Sequence[str], now: int) -> list[Effect]:
        """Grant an open unit credit over its path, or withdraw it where there is none."""
        if unit.phase is not UnitPhase.OPEN or len(unit.sites) < 2:
            return []
        effects: list[Effect] = []
        unit.granted_bps = unit.rate_bps
        for site in sites:
            serial = self._serials.next(now)
            if unit.path:
                grant = credit(min(unit.rate_bps, unit.wanted_bps), unit.size_bits)
                said: GrantCredit | WithdrawCredit = GrantCredit(
                    unit.session, serial, unit.path, grant.rate_keys_per_s, grant.total_keys
                )
            elif unit.reason:
                said = WithdrawCredit(unit.session, serial, unit.reason)
            else:
                continue
            unit.said[site] = said
            effects.append(self._tell(site, said))
        return effects

    def repeat(self, unit: Unit) -> list[Effect]:
        """Require the path again, which is answered with its present rate, and say the credit again."""
        if len(unit.sites) < 2 or not (unit.serves or unit.phase is UnitPhase.PROPOSED):
            return []
        said = [self._tell(site, message) for site, message in unit.said.items()]
        if self._outbox.stands(("path", unit.session)):
            return [*said]
        return [self._requirement(unit), *said]

    def _tell(self, site: str, message: GrantCredit | WithdrawCredit) -> Send:
        return Send(self._port.bind(places.kme(self._domain, site)), message)

    def _requirement(self, unit: Unit, former: str = "") -> Send:
        required = RequirePath(
            session=unit.session,
            a=unit.pair.site_a,
            b=unit.pair.site_b,
            rate_bps=unit.wanted_bps,
            verify=unit.verify and unit.phase is UnitPhase.PROPOSED,
            avoid=tuple(unit.avoid),
            former=former,
        )
        return Send(self._forwarding, required)

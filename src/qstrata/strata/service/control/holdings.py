"""What KMEs hold: control learns its units from them after a restart, and has strange ones closed."""

from qstrata.core.effects import Effect
from qstrata.fabric.messages.service_control import HeldSession, SessionsReport
from qstrata.planes.admission import Refusal
from qstrata.planes.asking import Outbox
from qstrata.strata.service.control.lives import Lives
from qstrata.strata.service.control.units import best_held, learnt_unit, pair_key


class Holdings:
    """Compare what KMEs hold with the units that control knows; `learnt` says that they were heard once."""

    def __init__(self, lives: Lives, outbox: Outbox) -> None:
        self.learnt = False
        self._lives = lives
        self._outbox = outbox
        self._held: dict[str, tuple[HeldSession, ...]] = {}

    def report(self, message: SessionsReport, now: int) -> list[Effect]:
        """Take a KME's report; when all sites have been heard for the first time, learn."""
        lives, site = self._lives, message.site
        self._outbox.settle(("report", site))
        self._held[site] = message.sessions
        lives.settle_closed(site, {held.session for held in message.sessions})
        if not self.learnt:
            return self.learn(now) if all(each in self._held for each in lives.policy.sites) else []
        effects = self._disown(site, now)
        for held in message.sessions:
            current = lives.units.of_pair(held.local, held.peer)
            wanted = current is None or current.session == held.session
            effects += self._take_over(site, held, wanted, now)
        return effects

    def forget(self, site: str) -> None:
        """Forget a site that is gone: nothing is held there any more."""
        self._held.pop(site, None)
        self._lives.settle_closed(site, set())

    def learn(self, now: int) -> list[Effect]:
        """Take over what KMEs hold, one session a pair, then open what is declared and not held."""
        if self.learnt:
            return []
        self.learnt = True
        by_pair: dict[tuple[str, str], list[tuple[str, HeldSession]]] = {}
        for site in self._lives.policy.sites:
            for held in self._held.get(site, ()):
                by_pair.setdefault(pair_key(held.local, held.peer), []).append((site, held))
        effects: list[Effect] = []
        for sessions in by_pair.values():
            chosen = best_held(sessions)
            for site, held in sessions:
                wanted = held.session == chosen and self._may_hold(held.peer_site, chosen)
                effects += self._take_over(site, held, wanted, now)
        return [*effects, *self._lives.open_declared(now)]

    def _may_hold(self, site: str, session: str) -> bool:
        """Tell whether a KME holds a session, as far as it has said."""
        return site not in self._held or any(held.session == session for held in self._held[site])

    def _disown(self, site: str, now: int) -> list[Effect]:
        """End the units that were learnt of one KME when the other, heard at last, does not hold them."""
        effects: list[Effect] = []
        for unit in list(self._lives.units.live.values()):
            missing = unit.learnt and site in unit.sites and site not in unit.confirmed
            if missing and unit.serves and not self._may_hold(site, unit.session):
                unit.reason = f"the KME at {site} does not hold it"
                effects += self._lives.renew(unit, now)
        return effects

    def _take_over(self, site: str, held: HeldSession, wanted: bool, now: int) -> list[Effect]:
        """Go on with a session that a KME holds, or have it closed there."""
        lives = self._lives
        assert lives.pairing is not None
        unit = lives.units.find(held.session)
        if unit is not None and unit.serves:
            return lives.confirm(unit, site, now)
        pair = lives.pairing.admit(held.local, held.peer)
        if (
            unit is not None
            or not wanted
            or held.valid_until_ps <= now
            or isinstance(pair, Refusal)
            or (pair.site_a, pair.site_b) != (site, held.peer_site)
        ):
            return lives.tell_close(held.session, site, now)
        unit = learnt_unit(pair, held, lives.figures_of(pair))
        return [*lives.enter(unit, now), *lives.confirm(unit, site, now)]

"""connectivity.ctl: grants fibres and companion channels to links, and tells what becomes of their light."""

from collections.abc import Sequence

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.effects import Effect, Effects, Handle, Send
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.connectivity_control import (
    BearersGranted,
    BearerSignal,
    BearersReleased,
    GrantBearers,
    LinkBearers,
    ReleaseBearers,
    ReportTerminations,
    TerminationHello,
)
from qstrata.fabric.messages.media import (
    MediaChanged,
    MediaGranted,
    MediaRefused,
    ReleaseMedia,
    RequireMedia,
)
from qstrata.fabric.messages.policy import (
    ConnectivityPolicy,
    ConnectivityState,
    FibreSpec,
    MediaState,
    QueryConnectivity,
)
from qstrata.fabric.messages.reports import ConnectivityReport, SubscribeConnectivity
from qstrata.fabric.messages.samples import TerminationSample
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.asking import Serials, Subscription
from qstrata.planes.controlling import Controller

RECONCILE_PS = 5 * PS_PER_S
"""How often telemetry reports to control, which finds signals there that it missed."""


class _Signal(msgspec.Struct, frozen=True, gc=False):
    up: bool
    heard_ps: int


class ConnectivityController(Controller):
    """Control the connectivity stratum of a domain.

    What was granted before a restart is learnt again from the terminations' hellos.
    """

    def __init__(self, address: Address, port: Port) -> None:
        domain = address.domain
        manager = places.manager(End.CONNECTIVITY_MGT, domain)
        super().__init__(address, port, manager, ConnectivityPolicy, QueryConnectivity)
        self._forwarding = port.bind(places.controller(End.FORWARDING_CTL, domain))
        telemetry = port.bind(places.telemetry(End.CONNECTIVITY_TEL, domain))
        self._subscription = Subscription(telemetry, SubscribeConnectivity(RECONCILE_PS), 3 * RECONCILE_PS)
        self._serials = Serials()
        self._fibres: dict[str, FibreSpec] = {}
        self._required: dict[str, LinkBearers] = {}
        self._refused: dict[str, str] = {}
        self._asked: dict[tuple[str, str], int] = {}
        self._confirmed: dict[tuple[str, str], int] = {}
        self._signals: dict[str, dict[str, _Signal]] = {}
        self._asked_sites: tuple[str, ...] = ()
        self.on(RequireMedia, self._require)
        self.on(ReleaseMedia, self._release)
        self.on(TerminationHello, self._hello)
        self.on(BearersGranted, self._granted)
        self.on(BearersReleased, self._released)
        self.on(BearerSignal, self._signal)
        self.on(ConnectivityReport, self._reconcile)

    def start(self, now: int) -> Effects:
        """Ask for policy, and subscribe to telemetry."""
        return [*super().start(now), *self._subscription.start(now)]

    def adopt(self, policy: ConnectivityPolicy, now: int) -> list[Effect]:
        """Take the inventory, and ask every termination what it has granted."""
        before, self._fibres = self._fibres, {fibre.link: fibre for fibre in policy.fibres}
        effects: list[Effect] = []
        for link, fibre in before.items():
            if self._fibres.get(link) != fibre:
                effects += self._revise(fibre, now)
        for link in [link for link in self._refused if link in self._fibres and link not in before]:
            effects += self._answer_requirement(link, now)
        self._forget_others(policy.sites)
        for site in policy.sites:
            ask = Send(self._termination(site), ReportTerminations())
            effects += self.outbox.ask(("hello", site), [ask], now)
        return effects

    def _revise(self, before: FibreSpec, now: int) -> list[Effect]:
        """Take back the media of a link that changed, and what is known of them; grant those that it has."""
        link = before.link
        wanted = link in self._required or link in self._refused
        effects = self._take_back(link, now)
        for bearer in _bearers(before).names:
            self._signals.pop(bearer, None)
        if link not in self._fibres or not wanted:
            return effects
        return [*effects, *self._answer_requirement(link, now)]

    def _forget_others(self, sites: Sequence[str]) -> None:
        """Ask nothing more of sites that are gone."""
        for link, site in sorted({*self._asked, *self._confirmed}):
            if site not in sites:
                self._asked.pop((link, site), None)
                self._confirmed.pop((link, site), None)
                self.outbox.settle(("grant", link, site))
                self.outbox.settle(("release", link, site))
        for site in [site for site in self._asked_sites if site not in sites]:
            self.outbox.settle(("hello", site))
        self._asked_sites = tuple(sites)

    def state(self) -> ConnectivityState:
        """Show every link's media."""
        return ConnectivityState(tuple(self._media(link) for link in self._fibres))

    def _media(self, link: str) -> MediaState:
        if link in self._refused:
            return MediaState(link, "refused", self._refused[link])
        if link not in self._required:
            return MediaState(link, "pending", "forwarding control has not required it")
        missing = [site for site in self._sites(link) if (link, site) not in self._confirmed]
        if missing:
            return MediaState(link, "pending", f"{' and '.join(missing)} has not confirmed the grant")
        lost = [self._cause(bearer) for bearer in self._required[link].names if self._dark_at(bearer)]
        return MediaState(link, "down", "; ".join(lost)) if lost else MediaState(link, "granted", "")

    # --- media (F13) ---

    def _require(self, message: RequireMedia, sender: Address, now: int) -> Effects:
        if not self._fibres:
            return ()
        return [*self._answer_requirement(message.link, now), *self.publish()]

    def _answer_requirement(self, link: str, now: int) -> list[Effect]:
        reason = self._lacks(link)
        if reason:
            self._refused[link] = reason
            return [Send(self._forwarding, MediaRefused(link, reason))]
        self._refused.pop(link, None)
        fibre = self._fibres[link]
        self._required[link] = _bearers(fibre)
        return self._pursue(link, now)

    def _lacks(self, link: str) -> str:
        fibre = self._fibres.get(link)
        if fibre is None:
            return f"link {link} is not in the inventory: declare its fibre and channels"
        if fibre.pairs and fibre.fibre:
            return ""
        named = (
            ("fibre", fibre.fibre),
            ("distillation channel", fibre.distillation),
            ("relay channel", fibre.relay),
        )
        missing = [what for what, name in named if not name]
        return f"link {link} has no {' and no '.join(missing)}: declare one" if missing else ""

    def _pursue(self, link: str, now: int) -> list[Effect]:
        """Grant where it is not confirmed yet; answer the requirement once it is everywhere."""
        effects: list[Effect] = []
        for site in self._sites(link):
            if (link, site) not in self._confirmed and not self.outbox.stands(("grant", link, site)):
                effects += self._grant(link, site, now)
        return effects or self._answer(link)

    def _grant(self, link: str, site: str, now: int) -> list[Effect]:
        serial = self._asked[link, site] = self._serials.next(now)
        self.outbox.settle(("release", link, site))
        grant = Send(self._termination(site), GrantBearers(serial, self._required[link]))
        return self.outbox.ask(("grant", link, site), [grant], now)

    def _answer(self, link: str) -> list[Effect]:
        if any((link, site) not in self._confirmed for site in self._sites(link)):
            return []
        bearers = self._required[link]
        changed = (self._changed(link, bearer) for bearer in bearers.names)
        return [Send(self._forwarding, MediaGranted(bearers)), *changed]

    def _release(self, message: ReleaseMedia, sender: Address, now: int) -> Effects:
        return [*self._take_back(message.link, now), *self.publish()]

    def _take_back(self, link: str, now: int) -> list[Effect]:
        self._refused.pop(link, None)
        if self._required.pop(link, None) is None:
            return []
        effects: list[Effect] = []
        for granted, site in sorted({*self._confirmed, *self._asked}):
            if granted == link:
                self._confirmed.pop((link, site), None)
                serial = self._asked[link, site] = self._serials.next(now)
                self.outbox.settle(("grant", link, site))
                release = Send(self._termination(site), ReleaseBearers(serial, link))
                effects += self.outbox.ask(("release", link, site), [release], now)
        return effects

    # --- terminations (F3) ---

    def _hello(self, message: TerminationHello, sender: Address, now: int) -> Effects:
        self.outbox.settle(("hello", message.site))
        held = {bearers.link: bearers for bearers in message.granted}
        effects: list[Effect] = []
        for link in self._fibres:
            if message.site not in self._sites(link):
                continue
            if link in held and not self._lacks(link):
                self._required.setdefault(link, held[link])
            if link not in self._required:
                continue
            if held.get(link) == self._required[link]:
                self._confirmed[link, message.site] = now
                self.outbox.settle(("grant", link, message.site))
                effects += self._answer(link)
            else:
                self._confirmed.pop((link, message.site), None)
                effects += self._grant(link, message.site, now)
        return [*effects, *self.publish()]

    def _granted(self, message: BearersGranted, sender: Address, now: int) -> Effects:
        link, site = message.link, message.site
        if link not in self._required or self._asked.get((link, site)) != message.serial:
            return ()
        self.outbox.settle(("grant", link, site))
        if (link, site) in self._confirmed:
            return ()
        self._confirmed[link, site] = now
        return [*self._answer(link), *self.publish()]

    def _released(self, message: BearersReleased, sender: Address, now: int) -> Effects:
        if self._asked.get((message.link, message.site)) == message.serial:
            self.outbox.settle(("release", message.link, message.site))
            self._asked.pop((message.link, message.site))
        return ()

    # --- signals (F3, F6) ---

    def _signal(self, message: BearerSignal, sender: Address, now: int) -> Effects:
        return self._see(message.link, message.bearer, message.site, message.up, now)

    def _reconcile(self, message: ConnectivityReport, sender: Address, now: int) -> Effects:
        self._subscription.heard(now)
        effects: list[Effect] = []
        for sample in message.terminations:
            effects += self._grant_again(sample, now)
            for state in sample.bearers:
                known = self._signals.get(state.bearer, {}).get(sample.site)
                if known is None or sample.at_ps > known.heard_ps:
                    effects += self._see(state.link, state.bearer, sample.site, state.up, sample.at_ps)
        return effects

    def _grant_again(self, sample: TerminationSample, now: int) -> list[Effect]:
        """Grant once more what a termination has forgotten though it confirmed it: its hello was lost."""
        effects: list[Effect] = []
        for link in dict.fromkeys(state.link for state in sample.bearers if not state.granted):
            if self._confirmed.get((link, sample.site), sample.at_ps) < sample.at_ps:
                del self._confirmed[link, sample.site]
                effects += self._grant(link, sample.site, now)
        return effects

    def _see(self, link: str, bearer: str, site: str, up: bool, now: int) -> list[Effect]:
        before = self._dark_at(bearer)
        self._signals.setdefault(bearer, {})[site] = _Signal(up, now)
        after = self._dark_at(bearer)
        if before == after:
            return []
        tells = link in self._required and bool(before) != bool(after)
        return [*([self._changed(link, bearer)] if tells else []), *self.publish()]

    def _changed(self, link: str, bearer: str) -> Send:
        up = not self._dark_at(bearer)
        return Send(self._forwarding, MediaChanged(link, bearer, up, "" if up else self._cause(bearer)))

    def _dark_at(self, bearer: str) -> tuple[str, ...]:
        seen = self._signals.get(bearer, {})
        return tuple(site for site in sorted(seen) if not seen[site].up)

    def _cause(self, bearer: str) -> str:
        return f"no signal of {bearer} at {' and '.join(self._dark_at(bearer))}"

    def _sites(self, link: str) -> tuple[str, ...]:
        fibre = self._fibres[link]
        return (fibre.a, fibre.b)

    def _termination(self, site: str) -> Handle:
        return self.port.bind(places.termination(self.address.domain, site))


def _bearers(fibre: FibreSpec) -> LinkBearers:
    return LinkBearers(fibre.link, fibre.fibre, fibre.distillation, fibre.relay, fibre.pairs)

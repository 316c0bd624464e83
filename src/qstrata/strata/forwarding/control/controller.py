"""The controller of the forwarding stratum: it follows policy, and acts on what links and relays say."""

from functools import partial

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.effects import Effect, Effects, Send, Timer
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.forwarding_control import (
    ActivateLink,
    AgentHello,
    BlocksQuarantined,
    CircuitMarked,
    DeactivateLink,
    LinkStatus,
    RelayHello,
    ReportResources,
    TableInstalled,
)
from qstrata.fabric.messages.media import (
    MediaChanged,
    MediaGranted,
    MediaRefused,
    ReleaseMedia,
    RequireMedia,
)
from qstrata.fabric.messages.path_requirements import (
    PathGranted,
    PathLost,
    ReleasePath,
    RequirePath,
    SuspectsHeard,
)
from qstrata.fabric.messages.policy import ForwardingPolicy, ForwardingState, QueryForwarding
from qstrata.fabric.messages.reports import ForwardingReport, SubscribeForwarding
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.asking import Serials, Subscription
from qstrata.planes.controlling import Controller
from qstrata.planes.paths import Barred, LinkPhase, LinkView, NoPath, Path, choose_path
from qstrata.strata.forwarding.control.entanglement import Entanglement
from qstrata.strata.forwarding.control.links import SETTLED, LinkBook
from qstrata.strata.forwarding.control.promises import Load, shortfall
from qstrata.strata.forwarding.control.routes import Route, Verdict, barred_sites, judge
from qstrata.strata.forwarding.control.shown import shown
from qstrata.strata.forwarding.control.suspicions import Suspicions
from qstrata.strata.forwarding.control.tables import TableBook

GRACE_PS = 3 * PS_PER_S
"""How long after a policy path requirements wait for links that are still starting."""

RETIRE_PS = 10 * PS_PER_S
"""How long tables keep a path that has been replaced, for what is still on its way."""

SWEEP_PS = 10 * PS_PER_S
"""How often tables, and what has not come about, are said again, lest a loss went unnoticed."""

SILENT_PS = 3 * PS_PER_S
"""How long relays may take to confirm a path before another one is looked for."""

MEDIA_SWEEPS = 3
"""Every how many sweeps media are required again, which answers with their present signals."""


class ForwardingController(Controller):
    """Control the forwarding stratum of a domain; what it knew before a restart it learns again."""

    def __init__(self, address: Address, port: Port) -> None:
        domain = address.domain
        manager = places.manager(End.FORWARDING_MGT, domain)
        super().__init__(address, port, manager, ForwardingPolicy, QueryForwarding)
        self._connectivity = port.bind(places.controller(End.CONNECTIVITY_CTL, domain))
        self._service = port.bind(places.controller(End.SERVICE_CTL, domain))
        telemetry = port.bind(places.telemetry(End.FORWARDING_TEL, domain))
        self._subscription = Subscription(telemetry, SubscribeForwarding(PS_PER_S))
        self._serials = Serials()
        self._tables = TableBook(self._serials)
        self._suspicions = Suspicions(domain, port, self.outbox, self._serials)
        self._entanglement = Entanglement(domain, port, self.outbox, self._serials)
        self._links: dict[str, LinkBook] = {}
        self._views: dict[str, LinkView] = {}
        self._routes: dict[str, Route] = {}
        self._sites: tuple[str, ...] = ()
        self._settled_ps = 0
        self._sweeps = 0
        self.on(MediaGranted, self._granted)
        self.on(MediaRefused, self._refused)
        self.on(MediaChanged, self._changed)
        self.on(AgentHello, self._agent_hello)
        self.on(LinkStatus, self._status)
        self.on(RelayHello, self._relay_hello)
        self.on(TableInstalled, self._installed)
        self.on(RequirePath, self._require)
        self.on(ReleasePath, lambda message, sender, now: self._let_go(message.session, now))
        self.on(ForwardingReport, self._report)
        self.on(BlocksQuarantined, self._suspicions.imposed)
        self.on(SuspectsHeard, self._suspicions.heard)
        self.on(CircuitMarked, self._entanglement.suspicions.marked)

    # --- policy and state (T4) ---

    def start(self, now: int) -> Effects:
        """Ask for policy, subscribe to telemetry, and begin to sweep."""
        sweep = Timer(now + SWEEP_PS, self._sweep)
        return [*super().start(now), *self._subscription.start(now), sweep]

    def adopt(self, policy: ForwardingPolicy, now: int) -> list[Effect]:
        """Require media for new links, activate changed ones anew, give up links that are not wanted."""
        effects = self._entanglement.adopt(policy, now)
        wanted = {spec.link: spec for spec in policy.links}
        for link, book in list(self._links.items()):
            spec = wanted.get(link)
            if spec is None or (spec.a, spec.b) != book.sites:
                effects += self._abandon(book, now)
            elif spec != book.spec:
                book.take(spec)
                effects += self._activate_anew(book, now) if book.bearers is not None else []
        for link, spec in wanted.items():
            if link not in self._links:
                self._links[link] = LinkBook(spec)
                effects += self._ask_media(link, now)
        for site in [site for site in self._tables.sites if site not in policy.sites]:
            self._tables.forget(site)
            self.outbox.settle(("table", site))
        for site in [site for site in self._sites if site not in policy.sites]:
            self.outbox.settle(("hello", site))
        self._sites = policy.sites
        for site in policy.sites:
            relay = self.port.bind(places.relay(self.address.domain, site))
            effects += self.outbox.ask(("hello", site), [Send(relay, ReportResources())], now)
        self._settled_ps = now + GRACE_PS
        effects.append(self._suspicions.watch(self._links, self._entanglement.watched))
        return [*effects, *self._review(now)]

    def _abandon(self, book: LinkBook, now: int) -> list[Effect]:
        link = book.spec.link
        del self._links[link]
        self.outbox.settle(("media", link))
        effects: list[Effect] = [Send(self._connectivity, ReleaseMedia(link))]
        for site in book.sites:
            self.outbox.settle(("activate", link, site))
            agent = self.port.bind(places.agent(self.address.domain, site, link))
            effects.append(Send(agent, DeactivateLink(link, self._serials.next(now))))
        return effects

    def state(self) -> ForwardingState:
        """Show every link, and the path of every session."""
        routes = self._routes.values()
        return shown(self._tables.version, self._views, routes, *self._entanglement.shown())

    def essence(self, state: ForwardingState) -> object:
        """Leave the rates out, which change with every report."""
        paths = tuple(msgspec.structs.replace(path, rate_bps=0.0) for path in state.paths)
        return (state.version, state.links, paths, state.pair_links, state.circuits)

    # --- links (F13, F2) ---

    def _ask_media(self, link: str, now: int) -> list[Effect]:
        return self.outbox.ask(("media", link), [Send(self._connectivity, RequireMedia(link))], now)

    def _granted(self, message: MediaGranted, sender: Address, now: int) -> Effects:
        book = self._links.get(message.bearers.link)
        if book is None:
            return self._of_pairs(message)
        self.outbox.settle(("media", message.bearers.link))
        fresh = book.bearers is None
        book.bearers, book.refused = message.bearers, ""
        if not fresh:
            return ()
        return [*self._activate_anew(book, now), *self._review(now)]

    def _of_pairs(self, message: MediaGranted | MediaRefused | MediaChanged) -> Effects:
        self._entanglement.hear(message)
        return self.publish()

    def _refused(self, message: MediaRefused, sender: Address, now: int) -> Effects:
        book = self._links.get(message.link)
        if book is None:
            return self._of_pairs(message)
        self.outbox.settle(("media", message.link))
        book.refused, book.bearers = message.reason, None
        return self._review(now)

    def _changed(self, message: MediaChanged, sender: Address, now: int) -> Effects:
        book = self._links.get(message.link)
        if book is None:
            return self._of_pairs(message)
        book.signal(message.bearer, message.up, message.cause)
        return self._review(now)

    def _activate_anew(self, book: LinkBook, now: int) -> list[Effect]:
        book.serial = self._serials.next(now)
        return [effect for site in book.sites for effect in self._activate(book, site, now)]

    def _activate(self, book: LinkBook, site: str, now: int) -> list[Effect]:
        spec = book.spec
        agent = self.port.bind(places.agent(self.address.domain, site, spec.link))
        peer = spec.b if site == spec.a else spec.a
        activate = ActivateLink(spec.link, book.serial, peer, site == spec.a, spec.parameters)
        return self.outbox.ask(("activate", spec.link, site), [Send(agent, activate)], now)

    def _agent_hello(self, message: AgentHello, sender: Address, now: int) -> Effects:
        book = self._links.get(message.link)
        if book is None or book.bearers is None or message.site not in book.sites:
            return ()
        book.status(message.site, "waiting", now)
        return [*self._activate(book, message.site, now), *self._review(now)]

    def _status(self, message: LinkStatus, sender: Address, now: int) -> Effects:
        book = self._links.get(message.link)
        if book is None or message.site not in book.sites:
            return ()
        if message.status in SETTLED:
            self.outbox.settle(("activate", message.link, message.site))
        book.status(message.site, message.status, now)
        return self._review(now)

    def _sweep(self, now: int) -> Effects:
        watch = self._suspicions.watch(self._links, self._entanglement.watched)
        effects: list[Effect] = [Timer(now + SWEEP_PS, self._sweep), watch]
        self._sweeps += 1
        effects += self._entanglement.require_again(now) if self._sweeps % MEDIA_SWEEPS == 0 else ()
        for link, book in self._links.items():
            if self._sweeps % MEDIA_SWEEPS == 0 and not self.outbox.stands(("media", link)):
                effects += self._ask_media(link, now)
            for site in book.sites if book.bearers is not None else ():
                if not book.runs_at(site) and not self.outbox.stands(("activate", link, site)):
                    effects += self._activate(book, site, now)
        for site in self._tables.sites:
            if not self.outbox.stands(("table", site)):
                effects += self._install(site, now)
        return effects

    def _report(self, message: ForwardingReport, sender: Address, now: int) -> Effects:
        self._subscription.heard(now)
        for report in message.links:
            if report.link in self._links:
                self._links[report.link].report = report
        effects = self._suspicions.follow(self._links, message.suspicions, now)
        return [*effects, *self._entanglement.follow(message, now), *self._review(now)]

    # --- tables (F2) ---

    def _install(self, site: str, now: int) -> list[Effect]:
        relay = self.port.bind(places.relay(self.address.domain, site))
        return self.outbox.ask(("table", site), [Send(relay, self._tables.table(site))], now)

    def _relay_hello(self, message: RelayHello, sender: Address, now: int) -> Effects:
        self.outbox.settle(("hello", message.site))
        self._serials.observe(message.version)
        return self._settle_table(message.site, message.version, now)

    def _installed(self, message: TableInstalled, sender: Address, now: int) -> Effects:
        return self._settle_table(message.site, message.version, now)

    def _settle_table(self, site: str, version: int, now: int) -> Effects:
        wanted = self._tables.version_at(site)
        if not wanted:
            return ()
        if version > wanted:
            self._tables.renew(site, version, now)
        self._tables.confirm(site, version if version <= wanted else 0)
        if version != wanted:
            return self._install(site, now) if version > wanted or not version else ()
        self.outbox.settle(("table", site))
        effects: list[Effect] = []
        for route in self._routes.values():
            if route.pending is not None and self._tables.in_force(route.pending_number):
                effects += self._take(route, now)
        return [*effects, *self.publish()]

    # --- paths (F11) ---

    def _require(self, message: RequirePath, sender: Address, now: int) -> Effects:
        if self._policy is None:
            return ()
        route = self._routes.get(message.session) or self._renamed(message)
        if route is not None and route.avoid != message.avoid:
            return [*self._let_go(message.session, now), *self._begin(message, now)]
        if route is None:
            return self._begin(message, now)
        route.rate_bps = min(route.rate_bps, message.rate_bps)
        if route.path is not None:
            return (self._grant(route), *self.publish())
        if route.lost:
            return (Send(self._service, PathLost(route.session, route.lost)),)
        return self._review(now)

    def _renamed(self, message: RequirePath) -> Route | None:
        route = self._routes.pop(message.former, None)
        if route is not None:
            route.session, route.avoid = message.session, message.avoid
            self._routes[message.session] = route
        return route

    def _begin(self, message: RequirePath, now: int) -> Effects:
        route = Route(message.session, message.a, message.b, message.rate_bps, message.avoid)
        if message.verify:
            if self._is_settling(now):
                return ()
            short = shortfall(
                self._views, self._routes.values(), *route.ends, route.rate_bps, self._barred(route)
            )
            if short:
                return (Send(self._service, PathLost(message.session, short)),)
        self._routes[message.session] = route
        return self._review(now)

    def _barred(self, route: Route) -> Barred:
        return barred_sites(self._policy.untrusted, route.avoid)

    def _let_go(self, session: str, now: int) -> Effects:
        route = self._routes.pop(session, None)
        return [*self._retire_later(route, now), *self.publish()] if route is not None else ()

    def _review(self, now: int) -> list[Effect]:
        """Judge every route as links are now, act on it, and show what has changed."""
        self._views = {link: book.view(now) for link, book in self._links.items()}
        effects: list[Effect] = []
        if not self._is_settling(now):
            for route in self._routes.values():
                effects += self._act(route, *judge(route, self._views, now, self._barred(route)), now)
                effects += self._doubt(route, now)
        return [*effects, *self.publish()]

    def _is_settling(self, now: int) -> bool:
        pending = any(view.phase is LinkPhase.PENDING for view in self._views.values())
        wanted = (book for book in self._links.values() if not book.refused)
        unheard = any(book.report is None or not book.report.pools for book in wanted)
        return now < self._settled_ps and (pending or unheard)

    def _act(self, route: Route, verdict: Verdict, found: Path | NoPath | None, now: int) -> list[Effect]:
        if verdict is Verdict.SWITCH and isinstance(found, Path):
            return self._switch(route, found, now)
        if verdict is Verdict.LOSE and isinstance(found, NoPath):
            return self._lose(route, found.reason, now)
        return []

    def _doubt(self, route: Route, now: int) -> list[Effect]:
        """Leave a path that relays have not confirmed in time for another, or say that they have not."""
        if route.pending is None or now - route.switched_ps < SILENT_PS:
            return []
        silent = self._tables.silent(route.pending_number)
        barred = {**self._barred(route), **dict.fromkeys(silent, "is silent")}
        found = choose_path(list(self._views.values()), *route.ends, barred=barred)
        if isinstance(found, Path) and found.links != route.pending.links:
            return self._switch(route, found, now)
        reason = f"the relay at {' and '.join(silent)} has not confirmed its table"
        if route.path is not None or route.lost == reason:
            return []
        route.lost = reason
        return [Send(self._service, PathLost(route.session, reason))]

    def _switch(self, route: Route, path: Path, now: int) -> list[Effect]:
        effects: list[Effect] = []
        if route.pending_number:
            effects += self._retire(route.pending_number, now)
        route.pending = path
        route.pending_number = self._tables.add(path.sites, path.links, now).path
        route.switched_ps, route.lost = now, ""
        for site in path.sites:
            effects += self._install(site, now)
        return effects

    def _take(self, route: Route, now: int) -> list[Effect]:
        effects: list[Effect] = []
        if route.number:
            effects.append(Timer(now + RETIRE_PS, partial(self._retire, route.number)))
        route.path, route.number = route.pending, route.pending_number
        route.pending, route.pending_number, route.lost = None, 0, ""
        return [*effects, self._grant(route)]

    def _lose(self, route: Route, reason: str, now: int) -> list[Effect]:
        if route.lost == reason:
            return []
        effects = self._retire_later(route, now)
        route.path, route.number, route.pending, route.pending_number = None, 0, None, 0
        route.lost = reason
        return [*effects, Send(self._service, PathLost(route.session, reason))]

    def _retire_later(self, route: Route, now: int) -> list[Effect]:
        numbers = (number for number in (route.number, route.pending_number) if number)
        return [Timer(now + RETIRE_PS, partial(self._retire, number)) for number in numbers]

    def _retire(self, number: int, now: int) -> list[Effect]:
        effects: list[Effect] = []
        for site in self._tables.remove(number, now):
            effects += self._install(site, now)
        return effects

    def _grant(self, route: Route) -> Send:
        assert route.path is not None
        rate_bps = Load(self._routes.values()).forecast_bps(route, self._views)
        books = (self._links.get(link) for link in route.path.links)
        channels = tuple(book.bearers.relay if book and book.bearers else "" for book in books)
        granted = PathGranted(route.session, route.number, route.path.sites, rate_bps, channels)
        return Send(self._service, granted)

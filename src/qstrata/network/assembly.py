"""Assembly: make the elements of a plan on a host and a fabric; crash and restart nodes.

The same assembly serves virtual and real time: what differs is the executor of commits and who runs
the queue. It is part of the supervisor: local calls, no messages.
"""

from collections.abc import Callable, Mapping, Sequence

from qstrata.core.address import Address, End
from qstrata.core.effects import Effects, Record
from qstrata.core.randomness import source
from qstrata.core.time import EpochAnchor
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.log import NodeEvent
from qstrata.fabric.memory import MemoryFabric, Mischief
from qstrata.fabric.messages.lab import Heal, Inject
from qstrata.fabric.messages.operator import Configure
from qstrata.fabric.messages.policy import ConnectivityPolicy, ForwardingPolicy, ServicePolicy
from qstrata.fabric.recorder import Recorder
from qstrata.interfaces.etsi014.face import ApplicationFace
from qstrata.interfaces.etsi014.faults import AnswerFaults, FaultShim
from qstrata.interfaces.etsi014.types import Limits
from qstrata.kernel.element import Element
from qstrata.kernel.host import CommitExecutor, Host, JobExecutor, no_jobs
from qstrata.kernel.queue import EventQueue
from qstrata.network import description
from qstrata.network.engines import find_engine
from qstrata.network.intruders import impostors, world_plan
from qstrata.network.operator import Callback, OperatorElement
from qstrata.network.pair_plan import StationSpec
from qstrata.network.plan import OUTSIDE_NODE, WORLD_NODE, AgentSpec, NetworkPlan, SiteSpec, face
from qstrata.planes import places
from qstrata.store.interface import Store
from qstrata.store.records import BlockState
from qstrata.strata.connectivity.control import ConnectivityController
from qstrata.strata.connectivity.management import ConnectivityManager
from qstrata.strata.connectivity.resource import Termination
from qstrata.strata.connectivity.telemetry import ConnectivityTelemetry
from qstrata.strata.forwarding.control import ForwardingController
from qstrata.strata.forwarding.management import ForwardingManager
from qstrata.strata.forwarding.resource.agent import AgentElement
from qstrata.strata.forwarding.resource.circuit import CircuitStation, StationFigures
from qstrata.strata.forwarding.resource.relay import RelayElement
from qstrata.strata.forwarding.telemetry import ForwardingTelemetry
from qstrata.strata.service.control import ServiceController
from qstrata.strata.service.management import ServiceManager
from qstrata.strata.service.resource.keystore import KmeFigures
from qstrata.strata.service.resource.kme import KmeElement
from qstrata.strata.service.telemetry import ServiceTelemetry
from qstrata.twin.engine import Twin

Desired = ConnectivityPolicy | ForwardingPolicy | ServicePolicy


class Assembly:
    """One network's elements; `handlers` and `operator` are how the outside speaks to them."""

    def __init__(
        self,
        plan: NetworkPlan,
        store: Store,
        recorder: Recorder,
        commit: Callable[[EventQueue, Store], CommitExecutor],
        seed: int | None,
        salt: bytes,
        anchor: EpochAnchor,
        *,
        start_ps: int = 0,
        mischief: Mischief | None = None,
        checked: bool = False,
        jobs: Callable[[EventQueue], JobExecutor] = lambda queue: no_jobs,
    ) -> None:
        self.plan = plan
        self.store = store
        self.recorder = recorder
        self.seed = seed
        self.salt = salt
        self.anchor = anchor
        self.queue = EventQueue()
        self.queue.now = start_ps
        self.bearers = BearerTable()
        for row in plan.bearers:
            self.bearers.declare(row.bearer, row.kind, row.delay_ps, granted=row.granted)
        self.fabric = MemoryFabric(
            self.queue, self.bearers, recorder, plan.directory, mischief=mischief, checked=checked
        )
        self.commits = commit(self.queue, store)
        self.host = Host(
            self.queue,
            send=self.fabric.send,
            commit=self.commits,
            note=recorder.note,
            set_bearer=lambda effect, now: self.bearers.apply(effect),
            durable=recorder.durable,
            job=jobs(self.queue),
        )
        self.answer_faults = AnswerFaults([site.site for site in plan.sites] if plan.directory.lab else [])
        self.handlers = {site.site: self.make_handler(site.site) for site in plan.sites}
        self.operator: OperatorElement
        self.on_crash: list[Callable[[str], None]] = []

    def make_handler(self, site: str, plan: NetworkPlan | None = None) -> FaultShim:
        """Make the handler of a site of a plan, else of this one: the KME is down until its face is made."""
        queue = self.queue

        def later(delay_ps: int, act: Callable[[int], None]) -> None:
            queue.push(queue.now + delay_ps, lambda: act(queue.now))

        limits = limits_of(plan or self.plan, site)
        return FaultShim(limits, site, self.answer_faults, self.recorder.note, later)

    def start(self) -> None:
        """Make the world, every site and the control site, and set the desired state."""
        records = {site.site: self.store.load(site.site) for site in self.plan.sites}
        self._make_world(newest_blocks(records))
        for site in self.plan.sites:
            self.make_site(site, records[site.site])
        self._make_control()
        self._make_outside()
        self.configure(self.queue.now)

    def crash(self, node: str) -> None:
        """Kill a node at this instant: its elements, what they wait for, and what is not yet durable."""
        self.recorder.note(NodeEvent(node, "crash"), self.queue.now)
        for element in self.host.crash(node):
            self.fabric.detach(element.address)
        if node in self.handlers:
            self.handlers[node].attach(None)
        for hook in self.on_crash:
            hook(node)

    def restart(self, node: str) -> None:
        """Start a node again from its durable rows."""
        self.recorder.note(NodeEvent(node, "start"), self.queue.now)
        if node == places.CONTROL_SITE:
            self._make_control()
            self.configure(self.queue.now)
        else:
            self.make_site(self.plan.site(node), self.store.load(node))

    def configure(self, now: int) -> None:
        """Set the desired state of every stratum by T7, again until management has confirmed it."""
        desired: tuple[tuple[End, Desired], ...] = (
            (End.CONNECTIVITY_MGT, self.plan.connectivity),
            (End.FORWARDING_MGT, self.plan.forwarding),
            (End.SERVICE_MGT, self.plan.service),
        )
        for end, policy in desired:
            self._configure_one(end, policy)

    def _configure_one(self, end: End, policy: Desired) -> None:
        def confirmed(answer: object) -> None:
            # Another plan may have been adopted meanwhile, and is told by itself.
            if answer is None and policy in (self.plan.connectivity, self.plan.forwarding, self.plan.service):
                self._configure_one(end, policy)

        self.operate(
            lambda now: self.operator.manager(
                end,
                lambda request: Configure(request, policy),
                confirmed,
                now,
            )
        )

    def operate(self, act: Callable[[int], Effects]) -> None:
        """Perform what `act(now)` returns in the operator's name."""
        now = self.queue.now
        self.host.perform(OUTSIDE_NODE, act(now), now)

    def inject(self, kind: str, target: str, amount: float, callback: Callback) -> None:
        """Inject a fault into the world (T8)."""
        self.operate(lambda now: self.operator.lab(lambda r: Inject(r, kind, target, amount), callback, now))

    def heal(self, kind: str, target: str, callback: Callback) -> None:
        """End a fault of the world (T8)."""
        self.operate(lambda now: self.operator.lab(lambda r: Heal(r, kind, target), callback, now))

    def spawn(self, node: str, element: Element, addresses: Sequence[Address] = ()) -> None:
        """Start an element on a node, and let messages to its addresses reach it."""
        self.host.spawn(node, element)
        receive = self.host.receiver(element)
        for address in addresses or (element.address,):
            self.fabric.attach(address, receive)

    def _make_world(self, newest_blocks: dict[str, int]) -> None:
        plan = world_plan(self.plan, self.seed, newest_blocks)
        addresses = [plan.lab, *(monitor.device for monitor in plan.monitors)]
        addresses += [end.device for link in plan.links for end in link.ends]
        addresses += [memory.device for memory in plan.memories]
        ports = {address: self.fabric.port(address) for address in (*addresses, *impostors(plan))}
        self.spawn(WORLD_NODE, Twin(plan, ports, engines=find_engine), addresses)

    def make_site(self, site: SiteSpec, records: Sequence[Record]) -> None:
        """Make the elements of a site from its durable rows."""
        domain, name = self.plan.domain, site.site
        forwarding = places.controller(End.FORWARDING_CTL, domain)
        termination = places.termination(domain, name)
        self.spawn(name, Termination(termination, self.fabric.port(termination), site.bearers))
        relay = places.relay(domain, name)
        port = self.fabric.port(relay)
        self.spawn(name, RelayElement(relay, port, forwarding, site.relay_links, records, self.salt))
        for spec in site.agents:
            self.make_agent(name, spec)
        for station in site.stations:
            self.make_station(name, station)
        kme = places.kme(domain, name)
        random = source(self.seed, "kme", name, self.host.incarnation(name))
        figures = kme_figures(self.plan, name)
        controller = places.controller(End.SERVICE_CTL, domain)
        element = KmeElement(kme, self.fabric.port(kme), controller, records, random, self.salt, figures)
        self.spawn(name, element)
        self._make_face(name)

    def make_agent(self, site: str, spec: AgentSpec) -> None:
        """Make the agent of a link at one of its ends."""
        controller = places.controller(End.FORWARDING_CTL, self.plan.domain)
        port = self.fabric.port(spec.address)
        random = source(self.seed, "agent", site, spec.link, self.host.incarnation(site))
        ends = spec.link, spec.peer, spec.channel, spec.device, controller
        agent = AgentElement(spec.address, port, *ends, random=random)
        self.spawn(site, agent)

    def make_station(self, site: str, spec: StationSpec) -> None:
        """Make the station of a circuit at one of its sites."""
        port = self.fabric.port(spec.address)
        figures = StationFigures(test_share=spec.test_share, pumping=spec.pumping)
        hops = spec.head, spec.tail
        random = source(self.seed, "station", site, spec.circuit, self.host.incarnation(site))
        station = CircuitStation(spec.address, port, spec.device, spec.circuit, *hops, figures, random)
        self.spawn(site, station)

    def _make_face(self, site: str) -> None:
        address = face(self.plan.domain, site)

        def perform(effects: Effects, now: int) -> None:
            if self.host.elements(site):
                self.host.perform(site, effects, now)

        element = ApplicationFace(address, self.fabric.port(address), perform)
        self.spawn(site, element)
        self.handlers[site].attach(element)

    def _make_control(self) -> None:
        node, domain = places.CONTROL_SITE, self.plan.domain
        sources = sources_of(self.plan)

        def spawn(make: Callable[..., Element], address: Address, *rest: object) -> None:
            self.spawn(node, make(address, self.fabric.port(address), *rest))

        spawn(ConnectivityManager, places.manager(End.CONNECTIVITY_MGT, domain))
        spawn(ForwardingManager, places.manager(End.FORWARDING_MGT, domain))
        spawn(ServiceManager, places.manager(End.SERVICE_MGT, domain))
        for kind, end in (
            (ConnectivityTelemetry, End.CONNECTIVITY_TEL),
            (ForwardingTelemetry, End.FORWARDING_TEL),
            (ServiceTelemetry, End.SERVICE_TEL),
        ):
            spawn(kind, places.telemetry(end, domain), sources[end])
        spawn(ConnectivityController, places.controller(End.CONNECTIVITY_CTL, domain))
        spawn(ForwardingController, places.controller(End.FORWARDING_CTL, domain))
        random = source(self.seed, "service.ctl", self.host.incarnation(node))
        spawn(ServiceController, places.controller(End.SERVICE_CTL, domain), random, self.anchor)

    def _make_outside(self) -> None:
        address = self.plan.operator
        self.operator = OperatorElement(address, self.fabric.port(address), self.plan.lab)
        self.spawn(OUTSIDE_NODE, self.operator)


def _given(plan: NetworkPlan, site: str) -> description.Limits:
    return plan.description.limits_of(_node(plan, site))


def _node(plan: NetworkPlan, site: str) -> description.Node:
    return next(node for node in plan.description.nodes if node.name == site)


def sources_of(plan: NetworkPlan) -> dict[End, list[Address]]:
    """Return the elements that each stratum's telemetry listens to."""
    domain, sites = plan.domain, [site.site for site in plan.sites]
    agents = [agent.address for site in plan.sites for agent in site.agents]
    stations = [station.address for site in plan.sites for station in site.stations]
    return {
        End.CONNECTIVITY_TEL: [places.termination(domain, site) for site in sites],
        End.FORWARDING_TEL: [*(places.relay(domain, site) for site in sites), *agents, *stations],
        End.SERVICE_TEL: [places.kme(domain, site) for site in sites],
    }


def kme_figures(plan: NetworkPlan, site: str) -> KmeFigures:
    """Return the bounds of a site's KME."""
    limits, given = limits_of(plan, site), _given(plan, site)
    return KmeFigures(
        keys_per_request_max=limits.max_key_per_request,
        key_size_min=limits.min_key_size_bits,
        key_size_max=limits.max_key_size_bits,
        stored_max=given.max_stored_keys,
        sae_ids_max=limits.max_sae_id_count,
        session_life_max_s=given.max_session_life_s,
        session_rate_max_keys_per_s=given.max_session_rate_keys_per_s,
        transit=_node(plan, site).kme.transit,
    )


def limits_of(plan: NetworkPlan, site: str) -> Limits:
    """Return what the handler of a site accepts."""
    given = _given(plan, site)
    return Limits(
        max_key_per_request=given.max_key_per_request,
        max_key_size_bits=given.max_key_size_bits,
        min_key_size_bits=given.min_key_size_bits,
        max_sae_id_count=given.max_sae_ids,
    )


def newest_blocks(records: Mapping[str, Sequence[Record]]) -> dict[str, int]:
    """Return the newest block number of every link that a ledger knows."""
    newest: dict[str, int] = {}
    for rows in records.values():
        for row in rows:
            if isinstance(row, BlockState):
                newest[row.link] = max(newest.get(row.link, row.number), row.number)
    return newest

"""Adoption: bring the elements of a network that runs from one plan to another.

It is the supervisor's: elements are made, ended and told by local calls what stands around them; policy
follows by T7. What is alike in both plans is not touched.
"""

from collections.abc import Mapping, Sequence

from qstrata.core.address import Address
from qstrata.core.effects import Record, SetBearer
from qstrata.fabric.log import NodeEvent
from qstrata.interfaces.etsi014.face import ApplicationFace
from qstrata.kernel.element import Element
from qstrata.network.assembly import Assembly, kme_figures, limits_of, newest_blocks, sources_of
from qstrata.network.intruders import impostors, world_plan
from qstrata.network.pair_plan import links as pair_links
from qstrata.network.pair_plan import memories
from qstrata.network.plan import WORLD_NODE, NetworkPlan, SiteSpec, twin_plan
from qstrata.planes import places
from qstrata.planes.probing import Telemetry
from qstrata.strata.connectivity.resource import Termination
from qstrata.strata.forwarding.resource.agent import AgentElement
from qstrata.strata.forwarding.resource.circuit import CircuitStation
from qstrata.strata.forwarding.resource.relay import RelayElement
from qstrata.strata.service.resource.kme import KmeElement
from qstrata.twin.engine import Twin
from qstrata.twin.plan import TwinPlan, check_plan

Rows = Mapping[str, Sequence[Record]]
"""Durable rows by site."""


def sites_to_read(before: NetworkPlan, after: NetworkPlan) -> tuple[str, ...]:
    """Return the sites whose durable rows `adopt` needs: those that begin, and the ends of new links."""
    old = {site.site: site for site in before.sites}
    return tuple(
        site.site
        for site in after.sites
        if site.site not in old or set(site.relay_links) - set(old[site.site].relay_links)
    )


def adopt(assembly: Assembly, after: NetworkPlan, records: Rows) -> None:
    """Let an assembly run as another plan, of the same domain, from now on.

    `records` are the rows of `sites_to_read`; handlers of new sites may have been made before. Raises
    InputError for a plan that cannot run, before anything has changed.
    """
    before, now = assembly.plan, assembly.queue.now
    check_plan(twin_plan(after, assembly.seed, newest_blocks(records)))
    kept = {site.site: site for site in after.sites}
    for site in before.sites:
        if site.site not in kept:
            _end_site(assembly, site, now)
    assembly.fabric.redeclare(after.directory)
    assembly.plan = after
    assembly.answer_faults.adopt([site.site for site in after.sites])
    _adopt_bearers(assembly, before, after)
    _adopt_world(assembly, before, records, now)
    old = {site.site: site for site in before.sites}
    for site in after.sites:
        if site.site in old:
            _adopt_site(assembly, before, old[site.site], site, records, now)
    if _entangled(before) != _entangled(after):
        _adopt_stations(assembly, old)
    for site in after.sites:
        if site.site not in old:
            assembly.recorder.note(NodeEvent(site.site, "start"), now)
            if site.site not in assembly.handlers:
                assembly.handlers[site.site] = assembly.make_handler(site.site)
            assembly.make_site(site, records[site.site])
    _adopt_telemetry(assembly, after, now)
    assembly.configure(now)


def _end_site(assembly: Assembly, site: SiteSpec, now: int) -> None:
    """Answer what waits, destroy and book what key is there, and end the elements of a site."""
    name, host = site.site, assembly.host
    for element in host.elements(name):
        if isinstance(element, RelayElement):
            host.act(element, element.adopt((), (), now), now)
        elif isinstance(element, KmeElement):
            host.act(element, element.end(), now)
        elif isinstance(element, ApplicationFace):
            host.act(element, element.end(now), now)
    assembly.recorder.note(NodeEvent(name, "end"), now)
    for element in host.elements(name):
        _retire(assembly, name, element)
    assembly.handlers.pop(name).attach(None)


def _retire(assembly: Assembly, node: str, element: Element) -> None:
    if isinstance(element, AgentElement):
        element.end()
    assembly.host.retire(node, element.address)
    assembly.fabric.detach(element.address)


def _adopt_bearers(assembly: Assembly, before: NetworkPlan, after: NetworkPlan) -> None:
    old, new = ({row.bearer: row for row in plan.bearers} for plan in (before, after))
    for name in [name for name in old if name not in new]:
        assembly.bearers.withdraw(name)
    for name, row in new.items():
        if name not in old:
            assembly.bearers.declare(name, row.kind, row.delay_ps, granted=row.granted)
        elif old[name].delay_ps != row.delay_ps:
            assembly.bearers.apply(SetBearer(name, delay_ps=row.delay_ps))


def _adopt_world(assembly: Assembly, before: NetworkPlan, records: Rows, now: int) -> None:
    (twin,) = (element for element in assembly.host.elements(WORLD_NODE) if isinstance(element, Twin))
    plan = world_plan(assembly.plan, assembly.seed, newest_blocks(records))
    old, new = _devices(twin_plan(before, assembly.seed, {})), _devices(plan)
    for address in old:
        if address not in new:
            assembly.fabric.detach(address)
    ports = {address: assembly.fabric.port(address) for address in (plan.lab, *new, *impostors(plan))}
    effects = twin.adopt(plan, ports, now)
    receive = assembly.host.receiver(twin)
    for address in new:
        if address not in old:
            assembly.fabric.attach(address, receive)
    assembly.host.act(twin, effects, now)


def _devices(plan: TwinPlan) -> dict[Address, None]:
    """Return the addresses of all devices, in order."""
    monitors = (monitor.device for monitor in plan.monitors)
    ends = (end.device for link in plan.links for end in link.ends)
    return dict.fromkeys((*monitors, *ends, *(memory.device for memory in plan.memories)))


def _adopt_site(
    assembly: Assembly, before: NetworkPlan, old: SiteSpec, new: SiteSpec, records: Rows, now: int
) -> None:
    """Let the elements of a site that stays know what has changed there; one that is down learns it later."""
    name, host = new.site, assembly.host
    if limits_of(before, name) != limits_of(assembly.plan, name):
        assembly.handlers[name].limit(limits_of(assembly.plan, name))
    figures = kme_figures(assembly.plan, name)
    if not host.elements(name):
        return
    ended = {agent.address for agent in old.agents if agent not in new.agents}
    for element in host.elements(name):
        if element.address in ended:
            _retire(assembly, name, element)
        elif isinstance(element, Termination) and old.bearers != new.bearers:
            host.act(element, element.adopt(new.bearers, now), now)
        elif isinstance(element, RelayElement) and old.relay_links != new.relay_links:
            host.act(element, element.adopt(new.relay_links, records.get(name, ()), now), now)
        elif isinstance(element, KmeElement) and figures != kme_figures(before, name):
            element.adopt(figures)
    for agent in new.agents:
        if agent not in old.agents:
            assembly.make_agent(name, agent)


def _entangled(plan: NetworkPlan) -> tuple[object, ...]:
    """Return all that stations and their devices depend on."""
    return memories(plan.description), pair_links(plan.description), [site.stations for site in plan.sites]


def _adopt_stations(assembly: Assembly, old: Mapping[str, SiteSpec]) -> None:
    """Make all stations anew: the devices that they had are gone, with all that they held."""
    for site in assembly.plan.sites:
        if site.site not in old or not assembly.host.elements(site.site):
            continue
        for element in assembly.host.elements(site.site):
            if isinstance(element, CircuitStation):
                _retire(assembly, site.site, element)
        for station in site.stations:
            assembly.make_station(site.site, station)


def _adopt_telemetry(assembly: Assembly, after: NetworkPlan, now: int) -> None:
    described = after.description
    pairs = (link.name for link in described.pair_links)
    links = frozenset((*(link.name for link in described.links), *pairs))
    sources = sources_of(after)
    for element in assembly.host.elements(places.CONTROL_SITE):
        if isinstance(element, Telemetry):
            effects = element.watch(sources[element.address.end], links, now)
            assembly.host.act(element, effects, now)

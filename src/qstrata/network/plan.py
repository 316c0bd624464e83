"""From a description to what runs: addresses, bearers, the facts of scope, the world, desired state.

Pure: a plan is computed, never performed here. The supervisor makes the elements of it, and the
operator's port sets their desired state.
"""

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.connectivity_control import LinkBearers
from qstrata.fabric.messages.policy import (
    ConnectivityPolicy,
    FibreSpec,
    ForwardingPolicy,
    LinkSpec,
    RouteSpec,
    SaeSpec,
    ServicePolicy,
    SessionDefaults,
    SessionSpec,
)
from qstrata.fabric.port import management_bearer
from qstrata.fabric.scope import Directory
from qstrata.interfaces.etsi014.face import FACE_NAME
from qstrata.network import pair_plan
from qstrata.network.description import NATIVE, Description, Link, Node
from qstrata.network.levels import check_level, long_block
from qstrata.planes import places
from qstrata.strata.forwarding.resource.station import RelayLink
from qstrata.twin.plan import LinkEnd, LinkPlan, MonitorPlan, TwinPlan

WORLD_NODE = "world"
OUTSIDE_NODE = "outside"


class BearerSpec(msgspec.Struct, frozen=True):
    """A bearer to declare: its kind, its one-way delay, and whether it needs no grant."""

    bearer: str
    kind: str
    delay_ps: int
    granted: bool = False


class AgentSpec(msgspec.Struct, frozen=True):
    """An agent to make: its address, its peer, its channel and its device."""

    address: Address
    peer: Address
    link: str
    channel: str
    device: Address


class SiteSpec(msgspec.Struct, frozen=True):
    """What stands at one site."""

    site: str
    port: int
    relay_links: tuple[RelayLink, ...]
    agents: tuple[AgentSpec, ...]
    bearers: tuple[LinkBearers, ...]
    stations: tuple[pair_plan.StationSpec, ...] = ()


class NetworkPlan(msgspec.Struct, frozen=True):
    """All that bring-up needs, derived from one description."""

    description: Description
    domain: str
    sites: tuple[SiteSpec, ...]
    bearers: tuple[BearerSpec, ...]
    directory: Directory
    operator: Address
    lab: Address
    connectivity: ConnectivityPolicy
    forwarding: ForwardingPolicy
    service: ServicePolicy

    def site(self, name: str) -> SiteSpec:
        """Return a site's specification; KeyError for a name that is not in the plan."""
        return {site.site: site for site in self.sites}[name]


def face(domain: str, site: str) -> Address:
    """Return the address of a site's ETSI GS QKD 014 face."""
    return Address(End.APPLICATION, domain, site, FACE_NAME)


def device(domain: str, site: str, link: str) -> Address:
    """Return the address of the device at one end of a link."""
    return Address(End.WORLD, domain, site, f"qkd.{link}")


def operator(domain: str) -> Address:
    """Return the address of the operator's port."""
    return Address(End.OPERATOR, domain, places.CONTROL_SITE, "operator")


def lab(domain: str) -> Address:
    """Return the address at which the world can be hurt."""
    return Address(End.WORLD, domain, places.CONTROL_SITE, "lab")


def make_plan(description: Description) -> NetworkPlan:
    """Derive the plan of a network; links without both companion channels get no elements.

    Raises InputError for a link that cannot have its level of detail, or whose blocks fit into no pool.
    """
    for link in description.links:
        check_level(link)
        if (long := long_block(link)) is not None:
            raise InputError(long.text)
    domain = description.domain
    whole = [link for link in description.links if _is_whole(link)]
    names = [node.name for node in description.nodes]
    pair_links, circuits = pair_plan.wanted(description)
    return NetworkPlan(
        description=description,
        domain=domain,
        sites=tuple(
            _site(description, node, [link for link in whole if node.name in link.ends])
            for node in description.nodes
        ),
        bearers=_bearers(description, whole),
        directory=_directory(description, names, whole),
        operator=operator(domain),
        lab=lab(domain),
        connectivity=ConnectivityPolicy(
            sites=tuple(names),
            fibres=(
                *(_fibre(link) for link in description.links),
                *(pair_plan.fibre_of(link) for link in description.pair_links),
            ),
        ),
        forwarding=ForwardingPolicy(
            sites=tuple(names),
            links=tuple(
                LinkSpec(link.name, *link.ends, link.link_parameters, commissioned=_is_watched(link))
                for link in description.links
            ),
            untrusted=tuple(node.name for node in description.nodes if not node.trusted),
            pair_links=pair_links,
            circuits=circuits,
        ),
        service=_service(description),
    )


def _is_watched(link: Link) -> bool:
    """Say whether the link's instruments tell what its parameters foretell."""
    return link.engine == NATIVE


def _is_whole(link: Link) -> bool:
    return link.distillation_delay_ps is not None and link.relay_delay_ps is not None


def _channels(link: Link) -> LinkBearers:
    return LinkBearers(link.name, link.fibre, f"{link.name}/distillation", f"{link.name}/relay")


def _fibre(link: Link) -> FibreSpec:
    bearers = _channels(link)
    return FibreSpec(
        link=link.name,
        a=link.ends[0],
        b=link.ends[1],
        fibre=bearers.fibre,
        distillation=bearers.distillation if link.distillation_delay_ps is not None else "",
        relay=bearers.relay if link.relay_delay_ps is not None else "",
    )


def _site(description: Description, node: Node, links: list[Link]) -> SiteSpec:
    domain, site = description.domain, node.name
    entangling = (link for link in description.pair_links if site in link.ends)
    return SiteSpec(
        site=site,
        port=node.kme.port,
        relay_links=tuple(RelayLink(link.name, _other(link, site), _channels(link).relay) for link in links),
        agents=tuple(
            AgentSpec(
                address=places.agent(domain, site, link.name),
                peer=places.agent(domain, _other(link, site), link.name),
                link=link.name,
                channel=_channels(link).distillation,
                device=device(domain, site, link.name),
            )
            for link in links
        ),
        bearers=(*(_channels(link) for link in links), *map(pair_plan.bearers_of, entangling)),
        stations=pair_plan.stations(description, site),
    )


def _other(link: Link, site: str) -> str:
    return link.ends[1] if link.ends[0] == site else link.ends[0]


def _bearers(description: Description, links: list[Link]) -> tuple[BearerSpec, ...]:
    control = BearerSpec(management_bearer(places.CONTROL_SITE), "management", 0, granted=True)
    rows = [control]
    for node in description.nodes:
        delay_ps = description.management_delay_ps(node)
        rows.append(BearerSpec(management_bearer(node.name), "management", delay_ps, granted=True))
    for link in links:
        names = _channels(link)
        rows.append(BearerSpec(names.fibre, "fibre", link.fibre_delay_ps))
        rows.append(BearerSpec(names.distillation, "channel", link.distillation_delay_ps or 0))
        rows.append(BearerSpec(names.relay, "channel", link.relay_delay_ps or 0))
    for pair_link in description.pair_links:
        rows.append(BearerSpec(pair_link.fibre, "fibre", pair_link.fibre_delay_ps))
        rows.append(BearerSpec(pair_link.channel, "channel", pair_link.channel_delay_ps))
    return tuple(rows)


def _directory(description: Description, sites: list[str], links: list[Link]) -> Directory:
    domain = description.domain
    owners = {places.monitor(domain, site): places.termination(domain, site) for site in sites}
    owners |= pair_plan.owners(description)
    channels = {link.channel: link.ends for link in description.pair_links}
    for link in links:
        for site in link.ends:
            owners[device(domain, site, link.name)] = places.agent(domain, site, link.name)
        names = _channels(link)
        channels[names.distillation] = channels[names.relay] = link.ends
    return Directory(
        sites=dict.fromkeys((*sites, places.CONTROL_SITE), domain),
        owners=owners,
        channels=channels,
        operators={operator(domain): "administrator"},
        staff=frozenset(
            (
                *(places.controller(end, domain) for end in End if end.plane == "ctl"),
                *(places.manager(end, domain) for end in End if end.plane == "mgt"),
                *(places.telemetry(end, domain) for end in End if end.plane == "tel"),
            )
        ),
        lab=True,
    )


def _service(description: Description) -> ServicePolicy:
    sessions = []
    for session in description.sessions:
        figures = description.session_figures(session)
        a, b = session.between
        sessions.append(
            SessionSpec(
                a=a,
                b=b,
                size_bits=figures.key_size_bits,
                depth=figures.depth_keys,
                rate_keys_per_s=figures.rate_keys_per_s,
                ttl_s=figures.ttl_s,
                request_rate_keys_per_s=figures.request_rate_keys_per_s or 0.0,
                burst_keys=figures.burst_keys,
            )
        )
    defaults = description.defaults.session
    return ServicePolicy(
        sites=tuple(node.name for node in description.nodes),
        saes=tuple(SaeSpec(sae.name, sae.node, sae.routable) for sae in description.saes),
        pairs=description.allowed_pairs,
        routes=tuple(RouteSpec(route.prefix, route.node) for route in description.name_table),
        sessions=tuple(sessions),
        defaults=SessionDefaults(
            size_bits=defaults.key_size_bits,
            depth=defaults.depth_keys,
            rate_keys_per_s=defaults.rate_keys_per_s,
            ttl_s=defaults.ttl_s,
            request_rate_keys_per_s=defaults.request_rate_keys_per_s or 0.0,
            burst_keys=defaults.burst_keys,
        ),
        admission=description.policy.admission,
    )


def twin_plan(plan: NetworkPlan, seed: int | None, newest_blocks: dict[str, int]) -> TwinPlan:
    """Describe the world; a link goes on after the newest block that a ledger knows.

    It is provisioned unless block 0 is known: the last half of provisioned key to be handed over.
    """
    domain = plan.domain
    links = [link for link in plan.description.links if _is_whole(link)]

    def end(link: Link, site: str) -> LinkEnd:
        return LinkEnd(site, device(domain, site, link.name), places.agent(domain, site, link.name))

    return TwinPlan(
        seed=seed,
        links=tuple(
            LinkPlan(
                name=link.name,
                transmitter=end(link, link.ends[0]),
                receiver=end(link, link.ends[1]),
                parameters=link.link_parameters,
                fibre=link.fibre,
                distillation=_channels(link).distillation,
                relay=_channels(link).relay,
                length_km=link.length_km,
                block_ps=link.block_s * PS_PER_S,
                initial_key_bits=0 if newest_blocks.get(link.name, -1) >= 0 else link.initial_key_bits,
                first_block=max(newest_blocks.get(link.name, 0), 0) + 1,
                engine=link.engine,
                level=link.level,
                block_key_bits=link.engine_key_bits,
                limit_s=link.engine_limit_s,
            )
            for link in links
        ),
        monitors=tuple(
            MonitorPlan(site.site, places.monitor(domain, site.site), places.termination(domain, site.site))
            for site in plan.sites
        ),
        lab=plan.lab,
        management=tuple(row.bearer for row in plan.bearers if row.kind == "management"),
        memories=pair_plan.memories(plan.description),
        pair_links=pair_plan.links(plan.description),
    )

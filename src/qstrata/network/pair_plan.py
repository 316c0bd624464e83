"""From a description to what entangles: stations, their devices, bearers and facts of scope. Pure."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from qstrata.core.address import Address, End
from qstrata.fabric.messages.connectivity_control import LinkBearers
from qstrata.fabric.messages.policy import CircuitSpec, FibreSpec, PairLinkSpec
from qstrata.network.description import Description
from qstrata.network.pair_tables import Circuit, Memories, PairLink
from qstrata.physics.pair_parameters import CommissionedCircuit
from qstrata.planes import places
from qstrata.strata.forwarding.resource.entangler import LinkSide
from qstrata.strata.forwarding.resource.pair_distiller import Pumping
from qstrata.strata.forwarding.resource.repeater import Hop
from qstrata.twin.pairs_plan import MemoryPlan, PairLinkPlan


class StationSpec(msgspec.Struct, frozen=True):
    """A station of a circuit to make: its device, its hops towards either end, None at that end."""

    address: Address
    device: Address
    circuit: str
    head: Hop | None
    tail: Hop | None
    test_share: float
    pumping: Pumping | None = None


def memory(domain: str, site: str, circuit: str) -> Address:
    """Return the address of the memory cells that a circuit has at a site."""
    return Address(End.WORLD, domain, site, f"memory.{circuit}")


def links_of(description: Description, circuit: Circuit) -> tuple[PairLink, ...]:
    """Return the links of a circuit from end to end."""
    links = {frozenset(link.ends): link for link in description.pair_links}
    return tuple(links[frozenset(ends)] for ends in pairwise(circuit.path))


def stations(description: Description, site: str) -> tuple[StationSpec, ...]:
    """Return the stations at a site."""
    return tuple(
        _station(description, circuit, circuit.path.index(site))
        for circuit in description.circuits
        if site in circuit.path
    )


def _station(description: Description, circuit: Circuit, at: int) -> StationSpec:
    domain, links = description.domain, links_of(description, circuit)
    is_end = at in (0, len(links))
    cutoff_ps = cutoff_at_end_ps(links, circuit) if is_end else circuit.cutoff_ps

    def hop(link: PairLink, peer: str, cell: int) -> Hop:
        side = LinkSide(link=link.name, cell=cell, cutoff_ps=cutoff_ps, round_ps=circuit.round_ps)
        return Hop(peer=places.station(domain, peer, circuit.name), channel=link.channel, side=side)

    head = hop(links[at - 1], circuit.path[at - 1], 0) if at else None
    tail = hop(links[at], circuit.path[at + 1], 0 if is_end else 1) if at < len(links) else None
    site = circuit.path[at]
    return StationSpec(
        address=places.station(domain, site, circuit.name),
        device=memory(domain, site, circuit.name),
        circuit=circuit.name,
        head=head,
        tail=tail,
        test_share=circuit.test_share,
        pumping=_pumping(circuit, cutoff_ps) if is_end else None,
    )


def cutoff_at_end_ps(links: Sequence[PairLink], circuit: Circuit) -> int:
    """Return how long an end keeps its half: until word of the other could have come, and gone back too."""
    travel_ps = 2 * sum(link.channel_delay_ps for link in links)
    return circuit.cutoff_ps + travel_ps if circuit.cutoff_ps else 0


def _pumping(circuit: Circuit, cutoff_ps: int) -> Pumping | None:
    distil = circuit.distil
    return None if distil is None else Pumping(distil.distillation, distil.rounds, cutoff_ps)


def bearers_of(link: PairLink) -> LinkBearers:
    """Return the bearers of a link for pairs."""
    return LinkBearers(link.name, link.fibre, "", "", link.channel)


def fibre_of(link: PairLink) -> FibreSpec:
    """Return a link's media for the inventory."""
    a, b = link.ends
    return FibreSpec(
        link=link.name, a=a, b=b, fibre=link.fibre, distillation="", relay="", pairs=link.channel
    )


def wanted(description: Description) -> tuple[tuple[PairLinkSpec, ...], tuple[CircuitSpec, ...]]:
    """Return the links for pairs and the circuits that forwarding is to have."""
    links = tuple(PairLinkSpec(link.name, *link.ends) for link in description.pair_links)
    circuits = tuple(
        CircuitSpec(
            circuit.name,
            circuit.path,
            tuple(link.name for link in links_of(description, circuit)),
            _commissioned(description, circuit),
            fidelity=circuit.fidelity or 0.0,
            pairs_per_s=circuit.wanted_per_s,
        )
        for circuit in description.circuits
    )
    return links, circuits


def _commissioned(description: Description, circuit: Circuit) -> CommissionedCircuit:
    given = {node.name: node.memories or Memories() for node in description.nodes}
    return CommissionedCircuit(
        links=tuple(link.link_parameters for link in links_of(description, circuit)),
        devices=tuple(given[site].device_parameters for site in circuit.path),
        distillation=circuit.distil.distillation if circuit.distil is not None else None,
        rounds=circuit.distil.rounds if circuit.distil is not None else 0,
    )


def owners(description: Description) -> dict[Address, Address]:
    """Return the station that owns each device with memory cells."""
    domain = description.domain
    return {
        memory(domain, site, circuit.name): places.station(domain, site, circuit.name)
        for circuit in description.circuits
        for site in circuit.path
    }


def memories(description: Description) -> tuple[MemoryPlan, ...]:
    """Return the devices: a circuit has a cell of a node for each link there, one more where it distils."""
    given = {node.name: node.memories or Memories() for node in description.nodes}
    return tuple(
        MemoryPlan(
            site=site,
            device=memory(description.domain, site, circuit.name),
            owner=places.station(description.domain, site, circuit.name),
            parameters=msgspec.structs.replace(given[site].device_parameters, cells=circuit.cells_at(site)),
        )
        for circuit in description.circuits
        for site in circuit.path
    )


def links(description: Description) -> tuple[PairLinkPlan, ...]:
    """Return the links that entangle: those of circuits, for another has no memories at its ends."""
    return tuple(
        PairLinkPlan(
            name=link.name,
            ends=(
                memory(description.domain, link.ends[0], circuit.name),
                memory(description.domain, link.ends[1], circuit.name),
            ),
            parameters=link.link_parameters,
            fibre=link.fibre,
            channel=link.channel,
        )
        for circuit in description.circuits
        for link in links_of(description, circuit)
    )

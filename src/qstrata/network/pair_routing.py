"""From a description to the paths of its circuits: its policy plans those that say only their ends."""

import math
import re
from collections.abc import Collection

import msgspec

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.network.description import Description, Node
from qstrata.network.document import Problem, View
from qstrata.network.pair_tables import CELLS_TO_DISTIL, Circuit, PairLink
from qstrata.network.routing_policies import find_policy
from qstrata.network.suggestion import did_you_mean
from qstrata.physics.bell import BellState
from qstrata.physics.density import bell_diagonal
from qstrata.physics.memories import rates_per_ps
from qstrata.physics.pair_link import cycle_ps, herald_ps, heralded_state, heralding
from qstrata.planes.pair_policies import BUILT_IN_NAMES
from qstrata.planes.pair_promises import broken_promise
from qstrata.planes.pair_routes import (
    NoRoute,
    PairLinkView,
    PairNetwork,
    PairNodeView,
    PairPath,
    PairRequest,
    PairRoute,
    Planned,
    RoutingPolicy,
    cells_of,
)


def routed(
    root: View, description: Description, without: Collection[str] = ()
) -> tuple[Description, list[Problem]]:
    """Return the description with the paths that its policy chose, and what is wrong where there is none.

    Circuits whose file says their path keep it, also over links that are left out.
    """
    check_links(description, without)
    fixed = _fixed_paths(description, ())
    planned = _planned(description, find_policy(description.policy.pair_routing), without, fixed)
    refused = {row.circuit: row.reason for row in planned if isinstance(row, NoRoute)}
    problems = []
    for view in root.get("circuits").items():
        reason = refused.get(view.get("name").text or "")
        if reason is not None:
            cells = re.search(r"`(cells: \d+)`", reason)
            message = f"there is no path for this circuit: {reason}"
            problems.append(Problem(view.get("between").place, message, cells[1] if cells else ""))
    return with_paths(description, planned), problems


def check_links(description: Description, names: Collection[str]) -> None:
    """Refuse names that no link for pairs has: InputError with the nearest one."""
    known = [link.name for link in description.pair_links]
    for name in names:
        if name not in known:
            raise InputError(f"no link for pairs is called `{name}`{did_you_mean(name, known)}")


def plan_circuits(
    description: Description, policy: RoutingPolicy, without: Collection[str] = ()
) -> tuple[Planned, ...]:
    """Plan every circuit of a description in its order, links of these names left out.

    A circuit whose file says its path has that, or none where a link of it is left out; it comes first.
    """
    return _planned(description, policy, without, _fixed_paths(description, without))


def _planned(
    description: Description, policy: RoutingPolicy, without: Collection[str], fixed: dict[str, Planned]
) -> tuple[Planned, ...]:
    network = network_of(description, without, [row for row in fixed.values() if isinstance(row, PairRoute)])
    requests = [request_of(circuit) for circuit in description.circuits if not circuit.path]
    chosen = _asked(policy, requests, network) if requests else ()
    if broken := broken_promise(requests, network, chosen):
        raise InputError(
            f"the routing policy {policy.name} breaks a promise: {broken}; take another one, and check "
            "this by `qstrata.testing.check_routing_policy`"
        )
    planned: dict[str, Planned] = {row.circuit: row for row in chosen}
    return tuple((fixed | planned)[circuit.name] for circuit in description.circuits)


def _asked(policy: RoutingPolicy, requests: list[PairRequest], network: PairNetwork) -> tuple[Planned, ...]:
    try:
        return tuple(policy.plan(requests, network))
    except Exception as fault:
        if policy.name in BUILT_IN_NAMES:
            raise
        raise InputError(
            f"the routing policy {policy.name} fails by {type(fault).__name__}: {fault}; take another one, "
            "and check this by `qstrata.testing.check_routing_policy`"
        ) from fault


def with_paths(description: Description, planned: Collection[Planned]) -> Description:
    """Return the description with the paths that were planned, and without the circuits that have none."""
    paths = {row.circuit: row.path.sites for row in planned if isinstance(row, PairRoute)}
    circuits = tuple(
        msgspec.structs.replace(circuit, path=paths[circuit.name])
        for circuit in description.circuits
        if circuit.name in paths
    )
    return msgspec.structs.replace(description, circuits=circuits)


def request_of(circuit: Circuit) -> PairRequest:
    """Return what a circuit asks of a routing policy."""
    a, b = circuit.between or (circuit.path[0], circuit.path[-1])
    return PairRequest(
        circuit=circuit.name,
        a=a,
        b=b,
        pairs_per_s=circuit.pairs_per_s,
        cutoff_s=to_seconds(circuit.cutoff_ps) if circuit.cutoff_ps else math.inf,
        # What distillation makes of a path is judged once it is chosen.
        least_fidelity=(circuit.fidelity or 0.0) if circuit.distil is None else 0.0,
        cells_at_end=_cells_at_end(circuit),
    )


def _cells_at_end(circuit: Circuit) -> int:
    return 1 + (CELLS_TO_DISTIL if circuit.distil is not None else 0)


def network_of(
    description: Description, without: Collection[str] = (), taken: Collection[PairRoute] = ()
) -> PairNetwork:
    """Return what circuits may take of a network; `taken` are the paths that circuits have already."""
    serves = {link: row.circuit for row in taken for link in row.path.links}
    at_end = {circuit.name: _cells_at_end(circuit) for circuit in description.circuits}
    used: dict[str, int] = {}
    for row in taken:
        for site, cells in cells_of(row.path.sites, at_end[row.circuit]):
            used[site] = used.get(site, 0) + cells
    return PairNetwork(
        links=tuple(
            _link(link, serves.get(link.name, ""))
            for link in description.pair_links
            if link.name not in without
        ),
        nodes=tuple(
            _node(node, used.get(node.name, 0)) for node in description.nodes if node.memories is not None
        ),
    )


def _fixed_paths(description: Description, without: Collection[str]) -> dict[str, Planned]:
    return {
        circuit.name: _fixed(description, circuit, without)
        for circuit in description.circuits
        if circuit.path
    }


def _fixed(description: Description, circuit: Circuit, without: Collection[str]) -> Planned:
    by_ends = {frozenset(link.ends): link.name for link in description.pair_links}
    links = tuple(by_ends[frozenset(ends)] for ends in zip(circuit.path, circuit.path[1:], strict=False))
    lost = [link for link in links if link in without]
    if lost:
        reason = (
            f"its path is fixed in the file and needs link {lost[0]}: give it `between` instead of `path`"
        )
        return NoRoute(circuit.name, reason)
    return PairRoute(circuit.name, PairPath(circuit.path, links))


def _link(link: PairLink, serves: str) -> PairLinkView:
    given = link.link_parameters
    state = bell_diagonal(heralded_state(given, BellState.PSI_PLUS), BellState.PSI_PLUS)
    return PairLinkView(
        link=link.name,
        a=link.ends[0],
        b=link.ends[1],
        length_km=link.length_km,
        loss_db=link.loss_db,
        probability=heralding(given).probability,
        attempt_s=to_seconds(cycle_ps(given)),
        herald_s=to_seconds(herald_ps(given)),
        travel_s=to_seconds(link.channel_delay_ps),
        xx=state.xx,
        yy=state.yy,
        zz=state.zz,
        serves=serves,
    )


def _node(node: Node, used: int) -> PairNodeView:
    assert node.memories is not None
    device = node.memories.device_parameters
    xy, z = (rate * PS_PER_S for rate in rates_per_ps(device.memory))
    return PairNodeView(
        node=node.name,
        cells=device.cells,
        used=used,
        swap_s=to_seconds(device.two_qubit_gate_ps + device.measure_ps),
        gate_reliability=device.gate_reliability,
        readout_fidelity=device.readout_fidelity,
        xy_per_s=xy,
        z_per_s=z,
    )

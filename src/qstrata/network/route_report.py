"""Routing policies side by side: what each makes of the circuits of a network, expected and as run."""

import math
from collections.abc import Callable, Collection, Sequence
from contextlib import closing

import msgspec

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.fabric.messages.reports import CircuitReport, ForwardingReport
from qstrata.network.circuit_service import expectations
from qstrata.network.description import Description
from qstrata.network.pair_routing import network_of, plan_circuits, request_of, with_paths
from qstrata.network.pair_tables import Circuit
from qstrata.network.routing_policies import find_policy
from qstrata.network.scenarios.look import look
from qstrata.network.simulation import Simulation
from qstrata.planes.pair_expectation import Expectation
from qstrata.planes.pair_routes import NoRoute, Planned, Resources

SETTLES_PS = 5 * PS_PER_S
"""Circuits are up, and telemetry has told of them, after so long; what is measured begins then."""

SLICE_PS = 60 * PS_PER_S
"""Telemetry estimates fidelity from the tests of the last minute: the run is looked at so often."""

STEP_PS = PS_PER_S
"""Whoever waits for a run is told so often how far it has come."""

Told = Callable[[int], None]
"""Told how far a run has come, in picoseconds."""


class Measured(msgspec.Struct, frozen=True):
    """What a circuit did in a run: pairs at both ends, and their fidelity as tests tell, None without any."""

    pairs: int
    pairs_per_s: float
    fidelity: float | None
    fidelity_error: float | None


class RouteRow(msgspec.Struct, frozen=True, kw_only=True):
    """One circuit under one policy; `refused` says why it has no path, and then there are no figures.

    What is expected is what both ends have in the end: after distillation, where they distil.
    """

    circuit: str
    ends: tuple[str, str]
    path: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    length_km: float = 0.0
    loss_db: float = 0.0
    pairs_per_s: float = 0.0
    fidelity: float | None = None
    least_fidelity: float = 0.0
    refused: str = ""
    measured: Measured | None = None

    @property
    def is_below(self) -> bool:
        """Tell whether its pairs are expected to be worse than is asked for."""
        return self.fidelity is not None and self.fidelity < self.least_fidelity


class PolicyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy makes of all circuits: how many have a path, and how many the fidelity asked for too.

    `fairness` is Jain's index of their expected rates, refused ones 0: 1 where all are equal, 1/n where one
    has all (Jain, Chiu, Hawe, DEC-TR-301, 1984).
    """

    policy: str
    summary: str
    in_file: bool
    circuits: tuple[RouteRow, ...]
    served: int
    as_asked: int
    pairs_per_s: float
    worst_fidelity: float | None
    fairness: float
    measured_pairs_per_s: float | None = None


class RoutesReport(msgspec.Struct, frozen=True, kw_only=True):
    """Policies side by side; `seed` and `run_s` are those of the runs, None without."""

    network: str
    without: tuple[str, ...]
    policies: tuple[PolicyReport, ...]
    seed: int | None = None
    run_s: float | None = None


def policy_report(
    description: Description,
    policy: str,
    without: Collection[str] = (),
    *,
    run_ps: int = 0,
    seed: int = 1,
    told: Told | None = None,
) -> PolicyReport:
    """Plan an unrouted description by a policy; with `run_ps`, run it so long in virtual time too.

    In the run both ends measure all pairs. Raises InputError for a policy that is not there.
    """
    known = find_policy(policy)
    planned = plan_circuits(description, known, without)
    routed = with_paths(description, planned)
    measured = _run(routed, run_ps, seed, told) if run_ps else {}
    resources, expected = Resources(network_of(description)), expectations(routed)
    circuits = {circuit.name: circuit for circuit in description.circuits}
    rows = tuple(
        _row(circuits[row.circuit], resources, row, expected.get(row.circuit), measured.get(row.circuit))
        for row in planned
    )
    served = [row for row in rows if not row.refused]
    rates = [row.pairs_per_s for row in rows]
    return PolicyReport(
        policy=policy,
        summary=known.summary,
        in_file=policy == description.policy.pair_routing,
        circuits=rows,
        served=len(served),
        as_asked=sum(not row.is_below for row in served),
        pairs_per_s=math.fsum(rates),
        worst_fidelity=min((row.fidelity for row in served if row.fidelity is not None), default=None),
        fairness=jain(rates),
        measured_pairs_per_s=math.fsum(each.pairs_per_s for each in measured.values()) if run_ps else None,
    )


def jain(rates: Sequence[float]) -> float:
    """Return Jain's fairness index of rates, (sum x)^2 / (n sum x^2); 0 where nobody has anything."""
    squares = math.fsum(rate * rate for rate in rates)
    return math.fsum(rates) ** 2 / (len(rates) * squares) if squares else 0.0


def _row(
    circuit: Circuit,
    resources: Resources,
    row: Planned,
    expected: Expectation | None,
    measured: Measured | None,
) -> RouteRow:
    request = request_of(circuit)
    least = circuit.fidelity or 0.0
    if isinstance(row, NoRoute):
        return RouteRow(
            circuit=row.circuit, ends=(request.a, request.b), least_fidelity=least, refused=row.reason
        )
    assert expected is not None
    links = [resources.links[link] for link in row.path.links]
    return RouteRow(
        circuit=row.circuit,
        ends=(request.a, request.b),
        path=row.path.sites,
        links=row.path.links,
        length_km=math.fsum(link.length_km for link in links),
        loss_db=math.fsum(link.loss_db for link in links),
        pairs_per_s=expected.rate_per_s,
        fidelity=expected.fidelity,
        least_fidelity=least,
        measured=measured,
    )


def _run(description: Description, run_ps: int, seed: int, told: Told | None) -> dict[str, Measured]:
    tested = tuple(msgspec.structs.replace(circuit, test_share=1.0) for circuit in description.circuits)
    with closing(Simulation(msgspec.structs.replace(description, circuits=tested), seed)) as made:
        made.run_until(SETTLES_PS)
        looks, ends_ps = [_look(made)], SETTLES_PS + run_ps
        # The short slice comes first, so that no test is in two looks.
        for due_ps in range(SETTLES_PS + (run_ps % SLICE_PS or SLICE_PS), ends_ps + 1, SLICE_PS):
            while made.queue.now < due_ps:
                made.run_until(min(made.queue.now + STEP_PS, due_ps))
                if told is not None:
                    told(made.queue.now - SETTLES_PS)
            looks.append(_look(made))
    return {
        circuit.name: _measured([look[circuit.name] for look in looks if circuit.name in look])
        for circuit in tested
    }


def _look(simulation: Simulation) -> dict[str, CircuitReport]:
    report = look(simulation).answers[End.FORWARDING_MGT].report
    return {row.circuit: row for row in report.circuits} if isinstance(report, ForwardingReport) else {}


def _measured(looks: Sequence[CircuitReport]) -> Measured:
    if len(looks) < 2:
        return Measured(0, 0.0, None, None)
    pairs, elapsed_ps = looks[-1].delivered - looks[0].delivered, looks[-1].at_ps - looks[0].at_ps
    known = [(row.tested, row.fidelity, row.fidelity_error) for row in looks[1:]]
    tested = [(n, mean, error) for n, mean, error in known if mean is not None and error is not None]
    count = sum(n for n, _, _ in tested)
    return Measured(
        pairs=pairs,
        pairs_per_s=pairs / to_seconds(elapsed_ps) if elapsed_ps else 0.0,
        fidelity=math.fsum(n * mean for n, mean, _ in tested) / count if count else None,
        fidelity_error=math.hypot(*(n * error for n, _, error in tested)) / count if count else None,
    )

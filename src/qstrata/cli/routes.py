"""`qstrata routes`: what each routing policy makes of the circuits of a network, side by side."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from qstrata.cli.arguments import Json, Source, duration

if TYPE_CHECKING:
    from qstrata.network.description import Description
    from qstrata.network.route_report import PolicyReport, RouteRow


def routes(
    source: Source,
    /,
    *,
    policy: Annotated[
        tuple[str, ...],
        Parameter(help="A routing policy; default: all that there are. May be given again."),
    ] = (),
    without: Annotated[
        tuple[str, ...],
        Parameter(help="Plan as if this link were not there. May be given again."),
    ] = (),
    run: Annotated[
        int | None,
        Parameter(
            converter=duration,
            help="Run the network under each policy for so long of virtual time (60s, 5m), all pairs "
            "measured, and show what came of it.",
        ),
    ] = None,
    seed: Annotated[int | None, Parameter(help="Seed of the runs; default: the file's, else 1.")] = None,
    json: Json = False,
) -> None:
    """Compare routing policies: paths, rates, fidelities and refusals of the circuits of a network file."""
    from qstrata.cli.tables import show_json
    from qstrata.core.time import to_seconds
    from qstrata.network.loader import load
    from qstrata.network.route_report import RoutesReport
    from qstrata.network.routing_policies import policy_names

    description = load(source, unrouted=True)
    _check(description, source, without)
    chosen = seed if seed is not None else description.seed if description.seed is not None else 1
    reports = tuple(
        _report(description, name, without, run or 0, chosen) for name in policy or policy_names()
    )
    if json:
        show_json(
            RoutesReport(
                network=description.name,
                without=without,
                policies=reports,
                seed=chosen if run else None,
                run_s=to_seconds(run) if run else None,
            )
        )
    else:
        _show(reports)


def _check(description: "Description", source: str, without: tuple[str, ...]) -> None:
    from qstrata.core.errors import InputError
    from qstrata.network.pair_routing import check_links

    if not description.circuits:
        raise InputError(f"{source} has no `circuits`: there is nothing to route; add one with its two ends")
    check_links(description, without)


def _report(
    description: "Description", name: str, without: tuple[str, ...], run_ps: int, seed: int
) -> "PolicyReport":
    from qstrata.cli.virtual_run import progress
    from qstrata.network.route_report import policy_report

    with progress(name, max(1, run_ps)) as told:
        return policy_report(description, name, without, run_ps=run_ps, seed=seed, told=told)


def _show(reports: tuple["PolicyReport", ...]) -> None:
    from qstrata.cli.tables import Table, show

    has_run = reports[0].measured_pairs_per_s is not None
    columns: tuple[str, ...] = ("circuit", "path", "hops>", "km>", "dB>", "pairs/s>", "fidelity>")
    totals: tuple[str, ...] = ("policy", "served>", "as asked>", "pairs/s>", "worst fidelity>", "fairness>")
    if has_run:
        columns, totals = (*columns, "run pairs/s>", "run fidelity>"), (*totals, "run pairs/s>")
    tables = []
    for report in reports:
        served = tuple(_served(row) for row in report.circuits if not row.refused)
        tables.append(Table(f"{report.policy}: {report.summary}", columns, served))
        refused = tuple((row.circuit, row.refused) for row in report.circuits if row.refused)
        if refused:
            tables.append(Table("refused", ("circuit", "why"), refused))
    show([*tables, Table("all circuits together", totals, tuple(map(_total, reports)))])


def _total(report: "PolicyReport") -> tuple[str, ...]:
    measured = report.measured_pairs_per_s
    return (
        f"{report.policy} (the file's)" if report.in_file else report.policy,
        f"{report.served} of {len(report.circuits)}",
        str(report.as_asked),
        f"{report.pairs_per_s:.4g}",
        _figure(report.worst_fidelity),
        f"{report.fairness:.2f}",
        *(() if measured is None else (f"{measured:.4g}",)),
    )


def _served(row: "RouteRow") -> tuple[str, ...]:
    below = f" < {row.least_fidelity:g}" if row.is_below else ""
    cells = (
        row.circuit,
        " - ".join(row.path),
        str(len(row.links)),
        f"{row.length_km:g}",
        f"{row.loss_db:g}",
        f"{row.pairs_per_s:.4g}",
        _figure(row.fidelity) + below,
    )
    found = row.measured
    if found is None:
        return cells
    error = "" if found.fidelity_error is None else f" +- {found.fidelity_error:.3f}"
    return (*cells, f"{found.pairs_per_s:.4g}", _figure(found.fidelity) + error)


def _figure(fidelity: float | None) -> str:
    return "-" if fidelity is None else f"{fidelity:.3f}"

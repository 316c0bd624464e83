"""`run --virtual`: a network in virtual time with the applications of its file, and what came of it."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from qstrata.cli.durations import spoken
from qstrata.cli.endings import talk
from qstrata.cli.show_inspect import exposures_tables, links_table, pair_tables
from qstrata.cli.tables import Table, out, show, show_json
from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.core.time import to_seconds
from qstrata.network.gate import drive
from qstrata.network.gate_socket import GateSocket
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation, SimulationReport
from qstrata.network.witness import Findings

_SLICES = 200

Progress = Callable[[int], None]
"""Told how far a run has come, in picoseconds of virtual time."""


class Outcome(msgspec.Struct, frozen=True):
    """A virtual run: its report, what it took of the clock in seconds, and virtual time over that."""

    report: SimulationReport
    wall_s: float
    ratio_to_real_time: float


def run_virtual(
    source: str, duration_ps: int, seed: int | None, events: Path | None, initial_key_bits: int | None
) -> Outcome:
    """Run a network; `seed` None means the file's, else 1.

    Raises InputError for the file, and for an event log that is there already.
    """
    begun = time.perf_counter()
    simulation = _started(source, seed, events, initial_key_bits)
    with contextlib.closing(simulation), progress(simulation.description.name, duration_ps) as told:
        for index in range(1, _SLICES + 1):
            simulation.run_until(duration_ps * index // _SLICES)
            told(simulation.queue.now)
    report = simulation.report()
    simulation.recorder.close()
    wall_s = time.perf_counter() - begun
    return Outcome(report, wall_s, report.virtual_s / wall_s)


def run_gated(
    source: str,
    seed: int | None,
    events: Path | None,
    initial_key_bits: int | None,
    socket: Path | None = None,
) -> None:
    """Run a network whose time lines of standard input or of a Unix socket drive; raises as `run_virtual`."""
    simulation = _started(source, seed, events, initial_key_bits)
    with contextlib.closing(simulation):
        if socket is None:
            for answer in drive(simulation, sys.stdin.buffer):
                out(msgspec.json.encode(answer).decode())
                sys.stdout.flush()
        else:
            with contextlib.closing(GateSocket(socket)) as gate:
                talk(f"listening at {socket} for lines that drive time")
                for answer in drive(simulation, gate.lines()):
                    gate.answer(msgspec.json.encode(answer))
    simulation.recorder.close()


def _started(source: str, seed: int | None, events: Path | None, initial_key_bits: int | None) -> Simulation:
    description = load(source).with_overrides(initial_key_bits=initial_key_bits)
    chosen = seed if seed is not None else description.seed if description.seed is not None else 1
    if events is not None:
        _make_new(events)
    if not description.demands:
        talk(f"network {description.name} has no `demands`: no application asks for keys in this run")
    simulation = Simulation(description, chosen, log=events)
    simulation.start_demands()
    return simulation


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print the report of a run."""
    if as_json:
        show_json(outcome)
        return
    report = outcome.report
    facts = (
        ("network", report.network),
        ("seed", str(report.seed)),
        ("virtual time", spoken(report.virtual_s)),
        ("took", f"{spoken(outcome.wall_s)}, {outcome.ratio_to_real_time:.0f} times real time"),
        ("keys delivered", str(report.keys_delivered)),
        ("keys fetched at the other end", str(report.keys_fetched)),
        ("requests not served", str(report.requests_unserved)),
        ("messages", str(report.messages)),
        ("refusals", str(report.refusals)),
        ("events logged", str(report.events_logged)),
        ("event log SHA-256", report.event_log_sha256),
    )
    width = max(len(name) for name, _ in facts) + 2
    for name, value in facts:
        out(f"{name:<{width}}{value}")
    out()
    found = report.findings
    links = [links_table(found.links), *pair_tables(found.pair_links, found.circuits)]
    show([*links, *findings_tables(found)])
    out()
    rows = tuple(
        (row.arrow, row.sender_end, row.receiver_end, row.type, str(row.messages))
        for row in report.traffic
        if row.messages
    )
    show([Table("traffic", ("arrow", "from", "to", "type", "messages>"), rows)])


def findings_tables(findings: Findings) -> list[Table]:
    """Tabulate the alarms of a run with their instants, and the keys under suspicion."""
    rows = tuple(
        (
            f"{alarm.raised_s:.1f}",
            "stands" if alarm.cleared_s is None else f"{alarm.cleared_s:.0f}",
            alarm.subject,
            alarm.channel,
            alarm.finding,
        )
        for alarm in findings.alarms
    )
    title = "alarms, in seconds of virtual time"
    if findings.alarms_raised > len(rows):
        title += f", the last {len(rows)} of {findings.alarms_raised}"
    alarms = Table(title, ("raised>", "cleared>", "subject", "channel", "finding"), rows)
    return [alarms, *exposures_tables(findings.exposures)]


def _make_new(events: Path) -> None:
    try:
        events.touch(exist_ok=False)
    except FileExistsError as fault:
        raise InputError(f"the file {events} is there already: give a new one for the event log") from fault
    except OSError as fault:
        raise EnvironmentFaultError(f"the file {events} cannot be made: {fault.strerror}") from fault


@contextlib.contextmanager
def progress(name: str, duration_ps: int) -> Iterator[Progress]:
    """Show on a terminal how far a run has come."""
    if not sys.stderr.isatty():
        yield lambda now: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=to_seconds(duration_ps))
        yield lambda now: bar.update(task, completed=to_seconds(now))

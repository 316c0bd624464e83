"""The commands and their arguments. What a command needs is imported when it runs: light ones start fast."""

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from qstrata.cli import answer_faults, attacks, endings
from qstrata.cli.arguments import (
    Ca,
    CertDir,
    Force,
    Gate,
    HostName,
    InitialBits,
    Json,
    Listen,
    LogEvents,
    Name,
    Network,
    Seed,
    Source,
    StateDir,
    Target,
    WaitForKeys,
    duration,
    usage,
)
from qstrata.cli.version import VERSION
from qstrata.core.errors import InputError, QstrataError
from qstrata.network.fault_kinds import FaultKind

app = App(
    name="qstrata",
    help="A quantum internet in software: bring networks up, look into them, hurt them, take them down.",
    help_format="plaintext",
    help_epilogue=endings.CODES,
    version=f"qstrata {VERSION}",
    default_parameter=Parameter(negative=""),
    suppress_keyboard_interrupt=False,
)
inject = App(
    name="inject",
    help="Hurt the world below a running network, of which control learns by its instruments, or the answers "
    "of its KMEs, of which nobody does but those who ask.",
)
app.command(inject)
app.command("qstrata.cli.watching:events", name="events", usage=usage("events", "NAME"))
app.command("qstrata.cli.applying:apply", name="apply")
app.command("qstrata.cli.keys:keys", name="keys")
app.command("qstrata.cli.pki:pki", name="pki")
app.command("qstrata.cli.doctor:doctor", name="doctor", usage=usage("doctor", "SOURCE"))
app.command("qstrata.cli.completion:completion", name="completion")
app.command("qstrata.cli.engine:engine", name="engine")
app.command("qstrata.cli.rate:rate", name="rate")
app.command("qstrata.cli.routes:routes", name="routes")
app.command("qstrata.cli.scenario:scenario", name="scenario")


def run(words: Sequence[str]) -> int:
    """Run a command line and return its exit code; raises nothing."""
    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_none")
        sys.stdout.flush()
    except CycloptsError as error:
        usage = endings.UsageError(f"{str(error).strip()} (`qstrata --help` lists what there is)")
        endings.complain(str(usage), endings.error_code(usage))
        return endings.USAGE
    except QstrataError as error:
        endings.complain(endings.told(error), endings.error_code(error))
        return endings.exit_code(error)
    except KeyboardInterrupt:
        return endings.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return endings.OK
    except Exception as error:
        return endings.crashed(error)
    return endings.OK


@app.command(usage=usage("demo", "SOURCE"))
def demo(
    source: Source = "madrid",
    /,
    *,
    check: Annotated[
        bool, Parameter(help="Fetch a key at both ends, compare, take all down, exit 0 or 1.")
    ] = False,
    state_dir: StateDir = None,
) -> None:
    """Bring a network up in real time and print how to fetch one key at its two ends; Ctrl-C ends it."""
    from qstrata.cli import demonstration

    if check:
        demonstration.check(source, state_dir)
    else:
        demonstration.show(source, state_dir)


@app.command
def up(
    source: Source,
    /,
    *,
    detach: Annotated[bool, Parameter(help="Return when it is up; it goes on in the background.")] = False,
    initial_key_bits: InitialBits = None,
    seed: Seed = None,
    state_dir: StateDir = None,
    listen: Listen = "127.0.0.1",
    host_name: HostName = (),
    cert_dir: CertDir = None,
    ca: Ca = None,
    log_events: LogEvents = False,
    wait_for_keys: WaitForKeys = None,
    json: Json = False,
) -> None:
    """Bring a network up in real time and print where its SAEs fetch keys."""
    from qstrata.cli import bringing_up

    wanted = bringing_up.Wanted(
        source=source,
        state_dir=state_dir,
        initial_key_bits=initial_key_bits,
        seed=seed,
        listen=listen,
        host_names=host_name,
        cert_dir=cert_dir,
        ca=ca,
        log_events=log_events,
        wait_s=60 if wait_for_keys is True else wait_for_keys,
    )
    if detach:
        bringing_up.detached(wanted, as_json=json)
    else:
        bringing_up.foreground(wanted, as_json=json)


@app.command(usage=usage("down", "NAME"))
def down(name: Name = None, /, *, state_dir: StateDir = None) -> None:
    """Take a network down: requests under way are served, then process, ports and lock are gone."""
    from qstrata.cli import taking_down
    from qstrata.cli.places import place_of

    taking_down.take_down(place_of(name, state_dir))


@app.command(name="inspect", usage=usage("inspect", "NAME"))
def inspect_(
    name: Name = None,
    /,
    *,
    watch: Annotated[
        bool, Parameter(help="Show it again every second; a JSON object a line where it is not a terminal.")
    ] = False,
    json: Json = False,
    state_dir: StateDir = None,
) -> None:
    """Show nodes, links, pools, sessions, alarms, lateness, and each SAE's URL and certificate files."""
    from qstrata.cli.places import ask, place_of

    if watch:
        from qstrata.cli import watching

        watching.watch(place_of(name, state_dir), as_json=json)
        return
    from qstrata.cli.show_inspect import show_network
    from qstrata.cli.tables import show_json
    from qstrata.network.remote import AskInspect, NetworkView

    view = ask(place_of(name, state_dir), AskInspect(), NetworkView)
    if json:
        show_json(view)
    else:
        show_network(view)


@app.command(usage="Usage: qstrata trace [OPTIONS] WANTED [NAME]\n")
def trace(
    wanted: Annotated[str, Parameter(help="A key id; or a unit: its digest, or its identifier's URNs.")],
    name: Name = None,
    /,
    *,
    json: Json = False,
    state_dir: StateDir = None,
) -> None:
    """Tell the story of a key, or of a unit's newest keys: unit, both ends, transfer, hops, link blocks."""
    from qstrata.cli.places import ask, place_of
    from qstrata.cli.show_trace import show_stories
    from qstrata.cli.tables import show_json
    from qstrata.network.remote import AskTrace, TraceView

    view = ask(place_of(name, state_dir), AskTrace(wanted=wanted), TraceView)
    if json:
        show_json(view)
    else:
        show_stories(view)


@app.command(usage=usage("describe", "NAME"))
def describe(name: Name = None, /, *, json: Json = False, state_dir: StateDir = None) -> None:
    """Show the architecture as it runs: planes and elements, arrows with message counts, refusals."""
    from qstrata.cli.places import ask, place_of
    from qstrata.cli.show_describe import show_architecture
    from qstrata.cli.tables import show_json
    from qstrata.network.remote import AskDescribe, DescribeView

    view = ask(place_of(name, state_dir), AskDescribe(), DescribeView)
    if json:
        show_json(view)
    else:
        show_architecture(view)


@inject.command
def cut(
    target: Target, /, *, network: Network = None, state_dir: StateDir = None, json: Json = False
) -> None:
    """Cut a fibre, a companion channel or a management channel."""
    _inject("cut", target, 1.0, network, state_dir, json)


@inject.command
def loss(
    target: Target,
    db: Annotated[float, Parameter(help="Extra loss in dB, 0 to 200.")],
    /,
    *,
    network: Network = None,
    state_dir: StateDir = None,
    json: Json = False,
) -> None:
    """Add loss to a fibre; injecting again replaces the amount."""
    _inject("loss", target, db, network, state_dir, json)


@inject.command(name="list")
def list_(*, network: Network = None, state_dir: StateDir = None, json: Json = False) -> None:
    """List the faults that stand."""
    from qstrata.network.remote import AskFaults

    _show_faults(AskFaults(), network, state_dir, json)


@app.command
def heal(
    kind: FaultKind,
    target: Annotated[str, Parameter(help="Where it was injected, as `inject list` shows it.")],
    /,
    *,
    network: Network = None,
    state_dir: StateDir = None,
    json: Json = False,
) -> None:
    """End an injected fault."""
    from qstrata.network.remote import AskHeal

    _show_faults(AskHeal(kind=kind, target=target), network, state_dir, json)


@app.command(name="run")
def run_(
    source: Source,
    /,
    *,
    virtual: Annotated[bool, Parameter(help="In virtual time, as fast as the machine can.")] = False,
    for_: Annotated[
        int | None, Parameter(name="--for", converter=duration, help="How long: 90s, 15m, 6h, 1d, 1h30m.")
    ] = None,
    gate: Gate = None,
    seed: Seed = None,
    json: Json = False,
    events: Annotated[Path | None, Parameter(help="File for the event log; must be new.")] = None,
    initial_key_bits: InitialBits = None,
) -> None:
    """Run a network in virtual time with its file's demands; equal seeds give equal event logs."""
    from qstrata.cli import virtual_run

    if not virtual:
        raise endings.UsageError("`run` is for virtual time: add --virtual (`qstrata up` runs in real time)")
    if bool(gate) == (for_ is not None):
        raise endings.UsageError("`run` needs either --for, how long, or --gate, where a program says it")
    if for_ is None:
        socket = None if gate is True or not gate else gate
        virtual_run.run_gated(source, seed, events, initial_key_bits, socket)
        return
    outcome = virtual_run.run_virtual(source, for_, seed, events, initial_key_bits)
    virtual_run.show_outcome(outcome, as_json=json)


@app.command
def validate(source: Source, /, *, json: Json = False) -> None:
    """Check a network file: says what it holds, or everything that is wrong with it."""
    from qstrata.cli import network_files

    network_files.validate(source, as_json=json)


@app.command(usage=usage("schema", "FILE"))
def schema(
    file: Annotated[Path | None, Parameter(help="File to write it to, instead of printing it.")] = None,
    /,
    *,
    json: Json = False,
    force: Force = False,
) -> None:
    """Print the JSON Schema of network files: with it editors complete and check them."""
    from qstrata.cli import network_files

    # It is one JSON document in any case; --json is taken here as it is everywhere.
    network_files.schema(file, force=force)


@app.command(usage=usage("init", "FILE"))
def init(
    file: Annotated[Path, Parameter(help="The network file to write.")] = Path("network.yaml"),
    /,
    *,
    name: Annotated[str | None, Parameter(help="Name of the network; default: that of the file.")] = None,
    force: Force = False,
) -> None:
    """Write a commented network file of three sites to start from, and its JSON Schema beside it."""
    from qstrata.cli import network_files

    network_files.init(file, name, force=force)


@app.command
def version() -> None:
    """Print the version."""
    from qstrata.cli.tables import out

    out(f"qstrata {VERSION}")


def _inject(
    kind: str, target: str, amount: float, network: str | None, state_dir: Path | None, as_json: bool
) -> None:
    from qstrata.network.remote import AskInject

    if not math.isfinite(amount):
        raise InputError(f"{kind} on {target}: {amount} is no amount: give a number")
    _show_faults(AskInject(kind=kind, target=target, amount=amount), network, state_dir, as_json)


answer_faults.add_to(inject, _inject)
attacks.add_to(inject, _inject)


def _show_faults(request: Any, network: str | None, state_dir: Path | None, as_json: bool) -> None:
    from qstrata.cli.places import ask, place_of
    from qstrata.cli.show_inspect import faults_table
    from qstrata.cli.tables import show, show_json
    from qstrata.network.remote import FaultsView

    view = ask(place_of(network, state_dir), request, FaultsView)
    if as_json:
        show_json(view)
    else:
        show([faults_table(view.faults)])

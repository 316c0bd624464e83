"""`engine`: list what may run links, install engines with an environment of their own, record traces."""

import shutil
import subprocess
import sys
from typing import Annotated, Literal

from cyclopts import App, Parameter

from qstrata.cli.arguments import Force, Json
from qstrata.cli.endings import talk
from qstrata.cli.tables import Table, out, show, show_json
from qstrata.core.errors import EnvironmentFaultError
from qstrata.network.engine_names import names
from qstrata.network.engines import engines_home, pinned_sequence, sequence_python
from qstrata.network.loader import load
from qstrata.network.recording import recorded_lines

engine = App(name="engine", help="List what may run links, and install what needs an environment of its own.")

_NOTES = {
    "native": "every protocol of links, in this process",
    "script": "a protocol script for each block: `script:PATH`",
    "sequence": "the simulator SeQUeNCe, in an environment of its own",
    "trace": "recorded blocks, told again: `trace:PATH`",
}


@engine.command(name="list")
def list_engines(*, json: Json = False) -> None:
    """List the engines that there are, and whether they can run here."""
    rows = tuple((name, _NOTES.get(name, "of another package"), _readiness(name)) for name in names())
    if json:
        show_json([{"name": name, "what": what, "ready": ready == "ready"} for name, what, ready in rows])
    else:
        show([Table("engines", ("engine", "what", "here"), rows)])


@engine.command
def install(
    name: Annotated[Literal["sequence"], Parameter(help="The engine.")], /, *, force: Force = False
) -> None:
    """Install an engine in an environment of its own: takes minutes, and about a gigabyte of disk."""
    folder, wanted = engines_home() / name, pinned_sequence()
    if sequence_python().exists() and not force:
        out(f"{name} is installed in {folder}; --force installs it anew")
        return
    talk(f"installing {wanted} in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)], "the environment cannot be made")
    pip = [str(sequence_python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted]
    _run(pip, f"{wanted} cannot be installed")
    _run([str(sequence_python()), "-c", "import sequence"], f"{wanted} does not start")
    out(f"{name} is installed in {folder}")


@engine.command
def record(
    file: Annotated[str, Parameter(help="A network file, or the name of a shipped network.")],
    link: Annotated[str, Parameter(help="Name of a link, as `quintin-quijote`.")],
    /,
    *,
    blocks: Annotated[int, Parameter(help="How many blocks.")] = 10,
    seed: Annotated[int, Parameter(help="Seed of what is drawn.")] = 1,
) -> None:
    """Print blocks of a link as the native engine counts them: a trace for `engine: trace:PATH`."""
    for line in recorded_lines(load(file), link, blocks, seed):
        out(line)


def _readiness(name: str) -> str:
    if name != "sequence" or sequence_python().exists():
        return "ready"
    return "not installed: qstrata engine install sequence"


def _run(command: list[str], failure: str) -> None:
    try:
        done = subprocess.run(command, stdout=sys.stderr, check=False)  # noqa: S603
    except OSError as fault:
        raise EnvironmentFaultError(f"{failure}: {fault.strerror}") from fault
    if done.returncode:
        raise EnvironmentFaultError(f"{failure}: the lines above say why")

"""`up`: bring a network up in this process or in one of its own, and say where keys are fetched."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from qstrata.cli import waiting
from qstrata.cli.endings import AnsweredError, talk
from qstrata.cli.places import Place, ask
from qstrata.cli.show_inspect import show_saes
from qstrata.cli.tables import show_json
from qstrata.core.errors import EnvironmentFaultError
from qstrata.network import in_force
from qstrata.network.applying import Overlay, as_it_is
from qstrata.network.certificates import Certificates
from qstrata.network.description import Description
from qstrata.network.key_servers import LOOPBACK
from qstrata.network.loader import load
from qstrata.network.remote import AskInspect, NetworkView, SaeView
from qstrata.network.state import StatePaths, prepare, read_run, running_pid, state_paths
from qstrata.network.supervisor import DEMO, RunningNetwork
from qstrata.network.supervisor import run as run_network

_READY_S = 60.0
_PAUSE_S = 0.02
_ERROR = re.compile(r"^qstrata: error\[([A-Z]+-[0-9]+)\]: ", re.MULTILINE)

Then = Callable[[RunningNetwork, asyncio.Event], Awaitable[None]]
"""What to do once a network serves; setting the event takes it down."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which network to bring up, and how."""

    source: str
    state_dir: Path | None = None
    initial_key_bits: int | None = None
    seed: int | None = None
    listen: str = LOOPBACK
    host_names: tuple[str, ...] = ()
    cert_dir: Path | None = None
    ca: Path | None = None
    log_events: bool = False
    wait_s: int | None = None

    def description(self) -> Description:
        """Load the network; raises InputError with everything that is wrong."""
        return self.over(load(self.source))

    def over(self, description: Description) -> Description:
        """Lay what is wanted besides the file over a description."""
        seed = msgspec.UNSET if self.seed is None else self.seed
        return description.with_overrides(initial_key_bits=self.initial_key_bits, seed=seed)

    def certificates(self) -> Certificates:
        """Return where the certificates come from."""
        return Certificates(folder=self.cert_dir, ca=self.ca, host_names=self.host_names)

    def ending(self, name: str) -> str:
        """Return the command that takes the network down, whose name does not tell a folder of one's own."""
        where = [name] if self.state_dir is None else ["--state-dir", str(self.state_dir)]
        return shlex.join(["qstrata", "down", *where])

    def arguments(self) -> list[str]:
        """Return the words of the command that wants this."""
        given = {
            "--state-dir": self.state_dir,
            "--initial-key-bits": self.initial_key_bits,
            "--seed": self.seed,
            "--listen": self.listen,
            "--cert-dir": self.cert_dir,
            "--ca": self.ca,
        }
        options = [f"{name}={value}" for name, value in given.items() if value is not None]
        options += [f"--host-name={name}" for name in self.host_names]
        return ["up", self.source, *options, *(["--log-events"] if self.log_events else [])]


def foreground(wanted: Wanted, *, as_json: bool) -> None:
    """Run a network in this process until it is told to end."""
    description = wanted.description()
    paths = state_paths(description.name, wanted.state_dir)
    tell_difference(paths, description)

    async def say(network: RunningNetwork, stop: asyncio.Event) -> None:
        if wanted.wait_s is not None:
            await waiting.inside(network, wanted.wait_s)
        _show((await network.desk.inspect()).saes, as_json=as_json)
        talk(f"network {description.name} is up; Ctrl-C or `{wanted.ending(description.name)}` ends it")

    serve(
        description,
        paths,
        say,
        host=wanted.listen,
        log_events=wanted.log_events,
        certificates=wanted.certificates(),
        overlay=wanted.over,
    )
    talk(f"network {description.name} is down")


def tell_difference(paths: StatePaths, description: Description) -> None:
    """Say so where a network comes up as another than it last ran as: the file that is given counts."""
    last = in_force.kept(paths)
    if last is not None and last != description:
        talk(f"the file differs from what network {last.name} last ran as, which is kept in {paths.in_force}")


def detached(wanted: Wanted, *, as_json: bool) -> None:
    """Run a network in a process of its own, and return when it serves, or has keys if that is wanted.

    Raises what ended it before, as it said so itself. It stays up where keys do not come in time.
    """
    description = wanted.description()
    place = Place(description.name, state_paths(description.name, wanted.state_dir))
    prepare(place.paths)
    tell_difference(place.paths, description)
    log = place.paths.root / "up.log"
    command = [sys.executable, "-P", "-m", "qstrata.cli", *wanted.arguments()]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            command, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, start_new_session=True
        )
    finally:
        os.close(descriptor)
    try:
        _await_ready(child, place.paths, log)
    except BaseException:
        child.terminate()
        raise
    # The child outlives this process on purpose: nothing is to be said of it when its handle goes.
    child.returncode = 0
    if wanted.wait_s is not None:
        waiting.outside(description, place, wanted.wait_s)
    _show(ask(place, AskInspect(), NetworkView).saes, as_json=as_json)
    ending = wanted.ending(place.name)
    talk(f"network {place.name} is up, process {child.pid}, log {log}; `{ending}` ends it")


def serve(
    description: Description,
    paths: StatePaths,
    then: Then,
    *,
    host: str = LOOPBACK,
    log_events: bool = False,
    certificates: Certificates = DEMO,
    overlay: Overlay = as_it_is,
) -> None:
    """Run a network until a signal, `qstrata down` or `then` ends it; raises what else did."""

    failures: list[Exception] = []

    async def do(network: RunningNetwork, stop: asyncio.Event) -> None:
        try:
            await then(network, stop)
        except Exception as error:
            failures.append(error)
            stop.set()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        doing: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as tasks:

            def ready(network: RunningNetwork) -> None:
                doing.append(tasks.create_task(do(network, stop)))

            try:
                await run_network(
                    description,
                    paths,
                    host=host,
                    log_events=log_events,
                    certificates=certificates,
                    overlay=overlay,
                    ready=ready,
                    stop=stop,
                )
            finally:
                for task in doing:
                    task.cancel()

    try:
        asyncio.run(main())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    if failures:
        raise failures[0]


def _await_ready(child: "subprocess.Popen[bytes]", paths: StatePaths, log: Path) -> None:
    limit = time.monotonic() + _READY_S
    while True:
        code = child.poll()
        if code is not None:
            text, error = _last_word(log)
            raise AnsweredError(text, code if code > 0 else 3, error)
        record = read_run(paths)
        if record is not None and record.pid == child.pid == running_pid(paths):
            return
        if time.monotonic() > limit:
            raise EnvironmentFaultError(f"the network does not come up within {_READY_S:g} s: see {log}")
        time.sleep(_PAUSE_S)


def _last_word(log: Path) -> tuple[str, str]:
    """Return what a process said of its end, and the code of that error."""
    said = log.read_text(encoding="utf-8", errors="replace").rstrip()
    found = list(_ERROR.finditer(said))
    if not found:
        return f"the network ended before it was up: see {log}", ""
    return said[found[-1].end() :], found[-1][1]


def _show(saes: tuple[SaeView, ...], *, as_json: bool) -> None:
    if as_json:
        show_json(saes)
    else:
        show_saes(saes)
    sys.stdout.flush()

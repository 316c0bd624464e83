"""The engines of a network's links: where they come from, what does their work, and whether they keep up."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from qstrata.core.effects import Computation, Work, WorkDone
from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.kernel.host import JobExecutor
from qstrata.kernel.jobs import JoinedJobs, Ticket
from qstrata.kernel.pacing import RealTimePacer
from qstrata.kernel.queue import EventQueue
from qstrata.network.computing import Computers
from qstrata.network.description import Description, Link
from qstrata.network.engine_jobs import PacedJobs
from qstrata.network.engine_names import GROUP, NATIVE, SCRIPT, SEQUENCE, TRACE, names, parted
from qstrata.network.engine_processes import AT_ONCE, EngineProcesses
from qstrata.network.plugins import find_plugin
from qstrata.network.traces import read_trace
from qstrata.physics.parameters import decoy
from qstrata.twin import script, sequence
from qstrata.twin.blockwise import FindingError
from qstrata.twin.contract import EngineFactory, LinkTask
from qstrata.twin.native import native_engine
from qstrata.twin.trace import trace_engine

HOME_VARIABLE = "QSTRATA_ENGINES"
"""Names the folder of the engines' own environments, in place of the default one."""

PROBE_PULSES = 2000
_PROBE_LIMIT_S = 120.0

EnginePlugin = Callable[[str], EngineFactory]
"""What an entry point names: a function from what stands behind the colon, `script:HERE`, to a factory."""


def find_engine(engine: str) -> EngineFactory:
    """Return what makes engines of a name, such as `native` or `script:/lab/bb84.py`.

    Raises InputError for a name that no package offers.
    """
    name, argument = parted(engine)
    built_in: dict[str, EnginePlugin] = {
        NATIVE: lambda _: native_engine,
        SCRIPT: script.engine,
        SEQUENCE: sequence.engine,
        TRACE: lambda path: trace_engine(read_trace(Path(path))),
    }
    if name in built_in:
        return built_in[name](argument)
    plugin: EnginePlugin | None = find_plugin(GROUP, name)
    if plugin is None:
        raise InputError(f"there is no engine {name!r}: {', '.join(names())}")
    return plugin(argument)


def engines_home() -> Path:
    """Return the folder of the engines' own environments."""
    given = os.environ.get(HOME_VARIABLE)
    if given:
        return Path(given)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "qstrata" / "engines"


def sequence_python() -> Path:
    """Return the interpreter of SeQUeNCe's environment, there or not."""
    return engines_home() / SEQUENCE / "bin" / "python"


class EngineRoom:
    """What does the work of one network off its event loop: processes of engines, threads of computations.

    `close` ends them all.
    """

    def __init__(self) -> None:
        self.processes = EngineProcesses(sequence_python())
        self._computers = Computers()

    def virtual(self, queue: EventQueue) -> JobExecutor:
        """Return the executor of a run in virtual time."""
        return JoinedJobs(queue, self._begin)

    def paced(self, queue: EventQueue, pacer: RealTimePacer) -> JobExecutor:
        """Return the executor of a network in real or scaled time."""
        return PacedJobs(queue, pacer, self._submit)

    def _begin(self, work: Work) -> Ticket:
        return self._computers.begin(work) if isinstance(work, Computation) else self.processes.begin(work)

    def _submit(self, work: Work) -> "Future[WorkDone]":
        return self._computers.submit(work) if isinstance(work, Computation) else self.processes.submit(work)

    def refuse_slow(self, description: Description) -> None:
        """Measure SeQUeNCe on this machine, and refuse links that it cannot keep up with.

        Raises InputError, which names the rate that it can, and EnvironmentFaultError where it does not run.
        """
        links = [link for link in description.links if link.engine == SEQUENCE]
        clock = description.clock
        times = clock.rate if clock.mode == "scaled" else 1.0
        paces = [self._pace(link) * times for link in links]
        share = max(1.0, sum(paces) / AT_ONCE)
        for link, pace in zip(links, paces, strict=True):
            if max(pace, share if len(links) > AT_ONCE else 0.0) > 1.0:
                most = int(link.link_parameters.pulse_rate_hz / max(pace, share) * 0.8)
                raise InputError(
                    f"link {link.name}: SeQUeNCe takes {max(pace, share):.1f} s for each second of it here: "
                    f"set its pulse-rate-hz to at most {most}, or use `qstrata run --virtual`"
                )

    def close(self) -> None:
        """End every process and every thread."""
        self._computers.close()
        self.processes.close()

    def _pace(self, link: Link) -> float:
        """Return the seconds that SeQUeNCe takes for one of a link."""
        parameters = link.link_parameters
        task = LinkTask(
            link=link.name,
            parameters=parameters,
            length_km=link.length_km,
            block_ps=PS_PER_S,
            period_ps=PS_PER_S,
            first_block=1,
            seed=0,
            key_bits=lambda block: stream(0, block),
        )
        work = sequence.SequenceWork(
            topic=f"engine {link.name}",
            limit_s=_PROBE_LIMIT_S,
            request=sequence.request(task, PROBE_PULSES, 1, decoy(parameters)),
        )
        done = self.processes.begin(work).wait()
        try:
            if done.failure:
                raise FindingError(done.failure)
            answer = sequence.read_answer(done.output)
        except FindingError as finding:
            raise EnvironmentFaultError(f"link {link.name}: SeQUeNCe does not run: {finding}") from finding
        return answer.took_s / PROBE_PULSES * parameters.pulse_rate_hz


def pinned_sequence() -> str:
    """Return the release of SeQUeNCe that runs on this interpreter."""
    return "sequence==0.8.5" if sys.version_info < (3, 12) else "sequence>=1.3,<2"

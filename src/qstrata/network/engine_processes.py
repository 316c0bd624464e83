"""Run the work of engines in processes: scripts once each, workers that stay; bounded, and ended together."""

import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from qstrata.core.effects import Work, WorkDone
from qstrata.core.errors import InternalError
from qstrata.network import sequence_worker
from qstrata.network.guarded import GuardedProgram, ProgramError
from qstrata.twin.blockwise import FindingError
from qstrata.twin.script import ScriptKey, ScriptWork, read_run
from qstrata.twin.sequence import SequenceWork

AT_ONCE = 2
"""So many programs compute at the same time; more work waits."""

WAITING_MAX = 256
"""Beyond so much work that waits or runs, more fails at once."""

RUNS_MAX = 64
"""A script that gives short keys is run at most so often for one block."""


class _Waited:
    """Work under way in a thread."""

    def __init__(self, future: "Future[WorkDone]") -> None:
        self._future = future

    def wait(self) -> WorkDone:
        return self._future.result()


class EngineProcesses:
    """Do work in processes; `sequence_python` is the interpreter of SeQUeNCe's environment.

    `begin` may be called from one thread; `close` ends every process, also in the middle of its work.
    """

    def __init__(self, sequence_python: Path) -> None:
        self._sequence_python = sequence_python
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="engine")
        self._lock = threading.Lock()
        self._running: set[GuardedProgram] = set()
        self._idle: list[GuardedProgram] = []
        self._under_way = 0
        self._closed = False

    def begin(self, work: Work) -> _Waited:
        """Begin work; what comes of it is waited for."""
        return _Waited(self.submit(work))

    def submit(self, work: Work) -> "Future[WorkDone]":
        """Begin work; the future never raises."""
        with self._lock:
            if self._under_way >= WAITING_MAX or self._closed:
                full: Future[WorkDone] = Future()
                reason = f"{WAITING_MAX} blocks wait for their engines already"
                full.set_result(WorkDone(failure="the network goes down" if self._closed else reason))
                return full
            self._under_way += 1
        return self._threads.submit(self._do, work)

    def close(self) -> None:
        """End all programs, and wait until they have ended."""
        with self._lock:
            self._closed = True
            programs = [*self._running, *self._idle]
            self._idle.clear()
        for program in programs:
            program.end()
        self._threads.shutdown(cancel_futures=True)

    def _do(self, work: Work) -> WorkDone:
        begun = time.monotonic()
        try:
            output = self._output_of(work)
        except (ProgramError, FindingError) as fault:
            return WorkDone(failure=str(fault), took_s=time.monotonic() - begun)
        except Exception as fault:
            return WorkDone(failure=f"{type(fault).__name__}: {fault}", took_s=time.monotonic() - begun)
        finally:
            with self._lock:
                self._under_way -= 1
        return WorkDone(output=output, took_s=time.monotonic() - begun)

    def _output_of(self, work: Work) -> bytes:
        match work:
            case ScriptWork():
                return msgspec.json.encode(self._run_script(work))
            case SequenceWork():
                return self._ask_sequence(work)
        raise InternalError(f"no process does {type(work).__name__}")

    def _run_script(self, work: ScriptWork) -> ScriptKey:
        deadline = time.monotonic() + work.limit_s
        bits, time_s, runs = "", 0.0, 0
        with tempfile.TemporaryDirectory(prefix="qstrata-") as folder:
            parameters = Path(folder, "PARAMS.yaml")
            parameters.write_text(work.parameters + _own_parameters(work.script))
            while len(bits) < work.key_bits:
                if runs == RUNS_MAX:
                    raise FindingError(f"it gave {len(bits)} of {work.key_bits} bits in {RUNS_MAX} runs")
                wanted = [str(work.key_bits - len(bits)), f"{work.length_km:g}", str(parameters)]
                left_s = max(0.0, deadline - time.monotonic())
                key = read_run(self._run([sys.executable, work.script, *wanted], left_s, Path(folder)))
                bits, time_s, runs = bits + key.bits, time_s + key.time_s, runs + 1
        return ScriptKey(bits, time_s)

    def _run(self, command: list[str], limit_s: float, folder: Path) -> bytes:
        program = self._started(lambda: GuardedProgram(command, folder))
        try:
            return program.all(limit_s)
        finally:
            self._over(program)

    def _ask_sequence(self, work: SequenceWork) -> bytes:
        python = self._sequence_python
        if not python.exists():
            raise ProgramError(f"{python} is not there: run `qstrata engine install sequence`")
        with self._lock:
            program = self._idle.pop() if self._idle else None
            if program is not None:
                self._running.add(program)
        if program is None:
            program = self._started(lambda: GuardedProgram([str(python), "-I", sequence_worker.__file__]))
        try:
            program.send(msgspec.json.encode(work.request))
            answer = program.line(work.limit_s)
        except ProgramError:
            self._over(program)
            raise
        with self._lock:
            self._running.discard(program)
            if not self._closed:
                self._idle.append(program)
        return answer

    def _started(self, start: Callable[[], GuardedProgram]) -> GuardedProgram:
        with self._lock:
            if self._closed:
                raise ProgramError("the network goes down")
            program = start()
            self._running.add(program)
        return program

    def _over(self, program: GuardedProgram) -> None:
        program.end()
        with self._lock:
            self._running.discard(program)


def _own_parameters(script: str) -> str:
    """Return the text of the YAML file beside a script, with its name: what its protocol wants besides."""
    with contextlib.suppress(FileNotFoundError):
        return Path(script).with_suffix(".yaml").read_text()
    return ""

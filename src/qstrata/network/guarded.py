"""A foreign program as a process group of its own: bounded output, a deadline, no life after the network."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from qstrata.network import engine_guard

OUTPUT_MAX_BYTES = 64 * 1024 * 1024
"""A program may have printed so much that was not read yet."""

ERROR_TAIL_BYTES = 2000
"""So much of what it said on standard error is kept."""

_CHUNK = 65536
_ENDING_S = engine_guard.GRACE_S + 2.0
_LAST_WORDS = 300


class ProgramError(Exception):
    """A program did not do what it was run for; the text says what came of it, with its last words."""


class GuardedProgram:
    """A program that runs; `end` must be called, and ends it with all that it started.

    It also ends when this process is gone, however that came about. Raises ProgramError.
    """

    def __init__(self, command: Sequence[str], folder: Path | None = None) -> None:
        life, self._life = os.pipe()
        self._status, status = os.pipe()
        guard = [sys.executable, "-I", "-S", engine_guard.__file__, str(life), str(status)]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [*guard, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                pass_fds=(life, status),
                start_new_session=True,
            )
        except OSError as fault:
            self._close_pipes()
            raise ProgramError(f"it cannot be started: {fault.strerror}") from fault
        finally:
            os.close(life)
            os.close(status)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._input: IO[bytes] = self._process.stdin
        self._output = bytearray()
        self._errors = bytearray()
        self._change = threading.Condition()
        self._reading = 2
        self._ending = threading.Lock()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, keep), daemon=True)
            for stream, keep in ((self._process.stdout, self._keep), (self._process.stderr, self._keep_tail))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def group(self) -> int:
        """Return the id of the process group."""
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Write a line to the program."""
        try:
            self._input.write(line + b"\n")
            self._input.flush()
        except OSError as fault:
            raise ProgramError(self._story()) from fault

    def line(self, limit_s: float) -> bytes:
        """Return the next line that it prints."""
        deadline = time.monotonic() + limit_s
        with self._change:
            while (end := self._output.find(b"\n")) < 0:
                if not self._reading:
                    raise ProgramError(self._story())
                self._wait(deadline, limit_s)
            line = bytes(self._output[:end])
            del self._output[: end + 1]
            return line

    def all(self, limit_s: float) -> bytes:
        """Return what it prints until it ends, which it must do well."""
        deadline = time.monotonic() + limit_s
        with contextlib.suppress(OSError):
            self._input.close()
        with self._change:
            while self._reading:
                self._wait(deadline, limit_s)
            output = bytes(self._output)
        status = self._exit_status()
        if status != "0":
            raise ProgramError(self._story(status))
        return output

    def end(self) -> None:
        """End the program and all that it started; harmless when that has happened."""
        with self._ending:
            if self._life >= 0:
                self._end()

    def _end(self) -> None:
        os.close(self._life)
        self._life = -1
        try:
            self._process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for reader in self._readers:
            reader.join()
        with contextlib.suppress(OSError):
            self._input.close()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for name in ("_life", "_status"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    def _wait(self, deadline: float, limit_s: float) -> None:
        if len(self._output) > OUTPUT_MAX_BYTES:
            raise ProgramError(f"it printed more than {OUTPUT_MAX_BYTES} bytes")
        if not self._change.wait(max(0.0, deadline - time.monotonic())):
            raise ProgramError(f"no answer after {limit_s:.3g} s; it was ended{self._last_words()}")

    def _read(self, stream: IO[bytes], keep: Callable[[bytes], None]) -> None:
        with stream:
            while data := os.read(stream.fileno(), _CHUNK):
                with self._change:
                    keep(data)
                    self._change.notify_all()
        with self._change:
            self._reading -= 1
            self._change.notify_all()

    def _keep(self, data: bytes) -> None:
        # Beyond the bound the reader goes on, so that the program does not hang in a full pipe.
        if len(self._output) <= OUTPUT_MAX_BYTES:
            self._output += data

    def _keep_tail(self, data: bytes) -> None:
        self._errors += data
        del self._errors[:-ERROR_TAIL_BYTES]

    def _exit_status(self) -> str:
        return os.read(self._status, 16).decode()

    def _story(self, status: str | None = None) -> str:
        status = self._exit_status() if status is None else status
        if not status:
            return f"it was killed{self._last_words()}"
        number = int(status)
        how = f"signal {-number}" if number < 0 else f"exit status {number}"
        return f"it ended with {how}{self._last_words()}"

    def _last_words(self) -> str:
        words = " ".join(self._errors.decode(errors="replace").split())
        return f": {words[-_LAST_WORDS:]}" if words else ""

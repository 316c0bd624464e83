"""The clock gate on a Unix socket: the words of `gate`, from one program after another on this machine.

A program that hangs up leaves time where it stands for the next one; `"stop"` ends the run.
"""

import contextlib
import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from qstrata.core.errors import EnvironmentFaultError, InputError

LINE_MAX_BYTES = 4096
"""No line of a program is longer; what is, is refused piece by piece."""

_MODE = 0o600


class GateSocket:
    """Listen at a path, for this user alone; a socket that a killed run left is taken away.

    Raises InputError where another file or a living gate is in the way, EnvironmentFaultError where none
    can be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _clear(path)
        self._listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o777 & ~_MODE)
        try:
            self._listener.bind(str(path))
        except OSError as fault:
            self._listener.close()
            raise EnvironmentFaultError(
                f"no socket can be made at {path}: {fault.strerror or fault}; give another path"
            ) from fault
        finally:
            os.umask(before)
        self._listener.listen(1)
        self._talk: io.BufferedRWPair | None = None

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of one program after another, without end."""
        while True:
            connection, _ = self._listener.accept()
            # Whoever hangs up amid a word has said what it had to say.
            with contextlib.suppress(OSError), connection, connection.makefile("rwb") as talk:
                self._talk = talk
                while line := talk.readline(LINE_MAX_BYTES):
                    yield line

    def answer(self, line: bytes) -> None:
        """Answer the last line; a program that has hung up hears nothing."""
        if self._talk is not None:
            with contextlib.suppress(OSError):
                self._talk.write(line + b"\n")
                self._talk.flush()

    def close(self) -> None:
        """Take the socket away."""
        if self._talk is not None:
            with contextlib.suppress(OSError):
                self._talk.close()
        self._listener.close()
        self._path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_socket():
        raise InputError(f"{path} is there already and is no socket: give another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            # Programs wait there for their turn.
            pass
        except OSError as fault:
            raise InputError(f"{path} cannot be used: {fault.strerror}; give another path") from fault
    raise InputError(f"another run listens at {path}: stop it, or give another path")

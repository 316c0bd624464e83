"""`down`: ask a running network to end, and see that it is gone."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from qstrata.cli.endings import talk
from qstrata.cli.places import Place, ask, not_up
from qstrata.core.errors import EnvironmentFaultError
from qstrata.network.remote import AskDown, Done
from qstrata.network.state import running_pid

_PATIENCE_S = 30.0
_GONE_S = 3.0
_PAUSE_S = 0.02


def take_down(place: Place) -> None:
    """Take a network down and return when it is gone, and its process with it.

    Raises EnvironmentFaultError when it is not up, or does not end.
    """
    pid = running_pid(place.paths)
    if pid is None:
        raise not_up(place)
    try:
        ask(place, AskDown(), Done)
    except EnvironmentFaultError:
        # It is still coming up, or hangs: its process understands a signal.
        if running_pid(place.paths) == pid:
            _terminate(pid)
    if not _within(_PATIENCE_S, lambda: running_pid(place.paths) != pid):
        raise EnvironmentFaultError(f"process {pid} of network {place.name} does not end: `kill -9 {pid}`")
    # A network inside somebody's own Python process ends without that process.
    _within(_GONE_S, lambda: not is_alive(pid))
    talk(f"network {place.name} is down")


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _within(patience_s: float, holds: Callable[[], bool]) -> bool:
    limit = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > limit:
            return False
        time.sleep(_PAUSE_S)
    return True


def _terminate(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as fault:
        raise EnvironmentFaultError(f"process {pid} belongs to somebody else: ask its owner") from fault

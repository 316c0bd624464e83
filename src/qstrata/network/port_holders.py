"""Who holds a TCP port of this machine, as far as the system tells."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from qstrata.core.errors import PortInUseError
from qstrata.network.state import StatePaths, read_run, running_pid, state_paths

_LISTENING = "0A"


def holders(port: int) -> list[tuple[int, str]]:
    """Return the processes that listen on a TCP port, with their names; those of others may be hidden."""
    inodes = {f"socket:[{inode}]" for inode in _listeners(port)}
    found = []
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)) if inodes else []:
        try:
            held = any(_target(link) in inodes for link in (entry / "fd").iterdir())
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip() if held else ""
        except OSError:
            continue
        if held:
            found.append((int(entry.name), name))
    return found


def _target(link: Path) -> str:
    """Return what a descriptor is; empty where it has been closed meanwhile."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _listeners(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            rows = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields: Sequence[str] = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def told(found: Sequence[tuple[int, str]]) -> str:
    """Return words for the holders of a port."""
    return " and ".join(f"process {pid} ({name})" for pid, name in found) or "another user's process"


def named(fault: PortInUseError, node: str, host: str, paths: StatePaths) -> PortInUseError:
    """Return the error of a node's port in use that says who holds it, and how to get it free.

    Networks whose state is beside `paths` are known by their name.
    """
    found = holders(fault.port)
    pids = [pid for pid, _ in found]
    who, cure = told(found), "end that"
    for folder in sorted(paths.root.parent.glob("*")):
        if _runs(folder, pids):
            is_named = folder == state_paths(folder.name).root
            who = f"network {folder.name}, {who}"
            cure = f"run `qstrata down {folder.name if is_named else f'--state-dir {folder}'}`"
            break
    return PortInUseError(
        f"port {fault.port} of {node} on {host} is held by {who}: {cure}, or give `{node}` another port in "
        "the network file, `kme: {port: ...}` (0 takes any free one)",
        fault.port,
    )


def _runs(folder: Path, pids: Sequence[int]) -> bool:
    paths = StatePaths(folder)
    record = read_run(paths)
    return record is not None and record.pid in pids and running_pid(paths) == record.pid

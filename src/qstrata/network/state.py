"""Where a network keeps what it keeps: one private folder per network, held by one process at a time."""

import fcntl
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from qstrata.core.errors import EnvironmentFaultError, InputError

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_OTHERS_MAY_WRITE = 0o022
_LOCK_TRIES = 10
_LOCK_PAUSE_S = 0.02
_SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107
"""Longest path of a Unix socket without its closing zero byte: unix(7) has 108 bytes, macOS 104."""


class NotUpError(EnvironmentFaultError):
    """The network that is meant does not run."""


class AlreadyUpError(EnvironmentFaultError):
    """Another process runs the network of a state folder."""


class StatePaths(msgspec.Struct, frozen=True):
    """Name everything in the state folder `root`; nothing is made or read here."""

    root: Path

    @property
    def data(self) -> Path:
        """Return the folder of what is written all the time."""
        return self.root / "data"

    @property
    def ledger(self) -> Path:
        """Return the file of the sealed ledger."""
        return self.data / "ledger.db"

    @property
    def events(self) -> Path:
        """Return the file of the event log."""
        return self.data / "events.log"

    @property
    def sealing_key(self) -> Path:
        """Return the file of the key that seals the ledger, outside the data folder."""
        return self.root / "secrets" / "seal.key"

    @property
    def pki(self) -> Path:
        """Return the folder of certificates and their keys."""
        return self.root / "pki"

    @property
    def own_certificates(self) -> Path:
        """Return the file that says where certificates of one's own are; there is none with the demo CA's."""
        return self.root / "certificates.json"

    @property
    def control_socket(self) -> Path:
        """Return the socket of the command line."""
        return self.root / "control.sock"

    @property
    def run_file(self) -> Path:
        """Return the file that says which process runs, and at which ports."""
        return self.root / "run.json"

    @property
    def in_force(self) -> Path:
        """Return the network file that says as what the network runs, or last ran."""
        return self.root / "network.yaml"

    @property
    def lock_file(self) -> Path:
        """Return the file that the running process holds locked."""
        return self.root / "lock"


class NodePort(msgspec.Struct, frozen=True):
    """The TCP port at which a node's KME answers."""

    node: str
    port: int


class RunRecord(msgspec.Struct, frozen=True):
    """What a running network says of itself; it may outlive its process, so ask `running_pid` too."""

    pid: int
    ports: tuple[NodePort, ...]


class RunLock:
    """The right to run the network of a state folder; ends with `release` or with the process."""

    def __init__(self, paths: StatePaths, descriptor: int) -> None:
        self.paths = paths
        self._descriptor = descriptor

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *reason: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the right back; harmless when already given back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def state_paths(
    network: str, state_dir: Path | None = None, environ: Mapping[str, str] = os.environ
) -> StatePaths:
    """Return the paths of a network's state: in `state_dir`, which is then its own, or by its name.

    By name means `$XDG_STATE_HOME/qstrata/<network>`, else `~/.local/state/qstrata/<network>`; a relative
    XDG_STATE_HOME is ignored (XDG Base Directory Specification). Raises InputError where the path of the
    control socket would be longer than the system allows.
    """
    if state_dir is None:
        given = Path(environ.get("XDG_STATE_HOME", ""))
        home = given if given.is_absolute() else Path.home() / ".local" / "state"
        state_dir = home / "qstrata" / network
    paths = StatePaths(Path(os.path.abspath(state_dir)))
    length = len(os.fsencode(paths.control_socket))
    if length > _SOCKET_PATH_BYTES:
        raise InputError(
            f"the path {paths.control_socket} has {length} bytes, a socket's at most {_SOCKET_PATH_BYTES}: "
            f"give a shorter folder, such as --state-dir /tmp/{network}"
        )
    return paths


def prepare(paths: StatePaths) -> None:
    """Make the folders of a network's state, for this user alone; keeps what is there.

    Raises EnvironmentFaultError for a folder that cannot be made, or in which others may write.
    """
    for folder in (paths.root, paths.data, paths.sealing_key.parent, paths.pki):
        try:
            folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            found = folder.stat()
        except OSError as fault:
            raise EnvironmentFaultError(
                f"the state folder {folder} cannot be used: {fault.strerror}; give another with --state-dir"
            ) from fault
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_MAY_WRITE:
            raise EnvironmentFaultError(
                f"others may write in the state folder {folder}: give one of your own with --state-dir"
            )


def hold(paths: StatePaths) -> RunLock:
    """Take the right to run the network of a prepared state folder, and note this process in the lock.

    Raises AlreadyUpError, with the process that has it, when it is taken.
    """
    descriptor = os.open(paths.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    if not _lock(descriptor):
        pid = _read_pid(descriptor)
        os.close(descriptor)
        who = f"process {pid}" if pid is not None else "another process"
        raise AlreadyUpError(
            f"{who} already runs the network in {paths.root}: end it with `qstrata down`, "
            "or give another folder with --state-dir"
        )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return RunLock(paths, descriptor)


def running_pid(paths: StatePaths) -> int | None:
    """Return the process that runs the network, None when none does."""
    try:
        descriptor = os.open(paths.lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(descriptor)
    finally:
        os.close(descriptor)
    return None


def write_run(paths: StatePaths, record: RunRecord) -> None:
    """Say which process runs the network, and at which ports; readers see all of it or the former."""
    write_private(paths.run_file, msgspec.json.encode(record) + b"\n")


def read_run(paths: StatePaths) -> RunRecord | None:
    """Return what the last process to run the network said; None when none did, or it is unreadable."""
    try:
        return msgspec.json.decode(paths.run_file.read_bytes(), type=RunRecord)
    except (OSError, msgspec.DecodeError):
        return None


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only this user can read, all or nothing: a new file takes the old one's place.

    Raises EnvironmentFaultError when the disk refuses.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as fault:
        raise EnvironmentFaultError(f"the file {path} cannot be written: {fault.strerror}") from fault


def _lock(descriptor: int) -> bool:
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Whoever asks `running_pid` holds a shared lock for an instant, which must not end an `up`.
            time.sleep(_LOCK_PAUSE_S)
        else:
            return True
    return False


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None

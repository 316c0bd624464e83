"""The doctor: named checks of the machine and of one network's state folder, each with advice."""

import errno
import os
import shutil
import socket
import ssl
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.backends.openssl import backend

from qstrata.core.errors import QstrataError
from qstrata.core.time import wall_clock_ns
from qstrata.network.certificates import folder_of, held_certificates
from qstrata.network.port_holders import holders, told
from qstrata.network.remote import AskFaults
from qstrata.network.state import NodePort, StatePaths, read_run, running_pid
from qstrata.store.sealed_file import SealedFile
from qstrata.store.sealing import KEY_BYTES, FileKeyProvider, Sealer

OLDEST_PYTHON = (3, 11)
SYNCS_PER_S_MIN = 100.0
"""Below, group commits wait for the disk so long that keys come late."""
_MEASURE_S = 0.3
_ANSWER_S = 3.0
_NS_PER_S = 1_000_000_000
_OTHERS = 0o077
_OTHERS_MAY_WRITE = 0o022

Verdict = Literal["ok", "warn", "fail", "skip"]


class Check(msgspec.Struct, frozen=True):
    """What a check found; `advice` is empty where nothing is to be done."""

    name: str
    verdict: Verdict
    finding: str
    advice: str = ""


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at: a state folder, and the ports of the network's file, None where no file is known."""

    name: str
    paths: StatePaths
    ports: tuple[NodePort, ...] | None
    host: str


def examine(patient: Patient) -> tuple[Check, ...]:
    """Run every check; one that fails in a way of its own is a finding, never an error."""
    checks: dict[str, Callable[[Patient], Check]] = {
        "python": lambda _: check_python(sys.version_info[:3]),
        "tls": lambda _: check_tls(ssl.OPENSSL_VERSION, backend.openssl_version_text(), ssl.HAS_TLSv1_3),
        "ports": check_ports,
        "folder": check_folder,
        "certificates": lambda patient: check_certificates(patient, wall_clock_ns() // _NS_PER_S),
        "disk": lambda patient: check_disk(patient, syncs_per_s),
        "leftovers": check_leftovers,
        "process": check_process,
        "sealing-key": check_sealing_key,
        "store": check_store,
    }
    return tuple(_examined(name, check, patient) for name, check in checks.items())


def _examined(name: str, check: Callable[[Patient], Check], patient: Patient) -> Check:
    try:
        return check(patient)
    except (OSError, QstrataError) as fault:
        return Check(name, "fail", str(fault), "see to what is named, then run `qstrata doctor` again")


def check_python(version: tuple[int, ...]) -> Check:
    """Check the version of Python."""
    text = f"Python {'.'.join(map(str, version))}"
    if version >= OLDEST_PYTHON:
        return Check("python", "ok", text)
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return Check("python", "fail", f"{text} is too old", f"install Python {wanted} or newer")


def check_tls(of_python: str, of_cryptography: str, has_tls13: bool) -> Check:
    """Check the TLS libraries: Python's own, which serves, and the one that makes certificates."""
    text = f"{of_python}; certificates by {of_cryptography}"
    if has_tls13:
        return Check("tls", "ok", f"TLS 1.3 by {text}")
    return Check(
        "tls", "warn", f"no TLS 1.3 by {text}", "use a Python that is built with OpenSSL 1.1.1 or newer"
    )


def check_ports(patient: Patient) -> Check:
    """Check that the ports of the network's file are free, or held by the network itself."""
    running = running_pid(patient.paths)
    if running is not None:
        record = read_run(patient.paths)
        held = () if record is None else record.ports
        return Check("ports", "ok", f"{len(held)} ports are served by the network, process {running}")
    if patient.ports is None:
        return Check("ports", "skip", "no network file is known", "name the file: `qstrata doctor FILE`")
    wanted = [row for row in patient.ports if row.port]
    taken = [(row, fault) for row in wanted if (fault := _cannot_listen(patient.host, row.port))]
    if not taken:
        return Check("ports", "ok", f"{len(wanted)} ports are free on {patient.host}")
    finding = "; ".join(f"port {row.port} of {row.node} {fault}" for row, fault in taken)
    return Check("ports", "fail", finding, "end what listens there, or choose other ports in the file")


def check_folder(patient: Patient) -> Check:
    """Check that the state folder belongs to this user alone."""
    root = patient.paths.root
    if not root.exists():
        return Check("folder", "skip", f"{root} is not there yet: `qstrata up` makes it")
    found = root.stat()
    if found.st_uid != os.geteuid():
        return Check("folder", "fail", f"{root} belongs to user {found.st_uid}", "give another --state-dir")
    if found.st_mode & _OTHERS_MAY_WRITE:
        return Check("folder", "fail", f"others may write in {root}", f"run `chmod 700 {root}`")
    return Check("folder", "ok", str(root))


def check_certificates(patient: Patient, now_epoch_s: int) -> Check:
    """Check that certificates hold now; one that does not may be old, or this machine's clock wrong."""
    folder = folder_of(patient.paths)
    if not folder.is_dir() or not any(folder.iterdir()):
        return Check("certificates", "skip", "there are none yet: `qstrata up` makes them")
    held = held_certificates(folder, now_epoch_s)
    early = [row for row in held if row.state == "not yet valid"]
    if early:
        finding = f"the clock is before {early[0].not_before}, when {early[0].file} was made"
        return Check("certificates", "fail", finding, "set this machine's clock")
    broken = [row for row in held if row.state not in ("valid", "ends soon", "expired")]
    if broken:
        return Check("certificates", "fail", broken[0].state, "the next `qstrata up` makes it anew")
    ending = [row for row in held if row.state != "valid"]
    if not ending:
        first = min(row.not_after for row in held)
        return Check("certificates", "ok", f"{len(held)} hold until {first[:10]} or longer")
    expired = any(row.state == "expired" for row in ending)
    names = ", ".join(row.uri or row.subject for row in ending)
    advice = "run `qstrata pki renew` (or replace your own, then `qstrata pki reload`), or set the clock"
    finding = f"{'expired' if expired else 'ends within a week'}: {names}"
    return Check("certificates", "fail" if expired else "warn", finding, advice)


def check_disk(patient: Patient, measure: Callable[[Path], float]) -> Check:
    """Check how often per second the disk of the state folder makes a small write durable."""
    rate = measure(_nearest(patient.paths.root))
    finding = f"{rate:.0f} synced writes/s"
    if rate >= SYNCS_PER_S_MIN:
        return Check("disk", "ok", finding)
    advice = (
        f"keys wait for the disk: put the state on one with {SYNCS_PER_S_MIN:.0f}/s or more (--state-dir)"
    )
    return Check("disk", "warn", finding, advice)


def check_leftovers(patient: Patient) -> Check:
    """Check that a network that is down has left nothing that says otherwise."""
    paths = patient.paths
    if running_pid(paths) is not None:
        return Check("leftovers", "skip", "the network is up")
    left = [path for path in (paths.run_file, paths.control_socket) if path.exists()]
    left += sorted(paths.root.glob(".*.new")) + sorted(paths.root.glob("*/.*.new"))
    if not left:
        return Check("leftovers", "ok", "none")
    names = ", ".join(str(path) for path in left)
    return Check(
        "leftovers", "warn", f"of a process that was killed: {names}", f"run `rm {' '.join(map(str, left))}`"
    )


def check_process(patient: Patient) -> Check:
    """Check that a network that holds its state folder also answers."""
    from qstrata.network.asking import ask

    pid = running_pid(patient.paths)
    if pid is None:
        return Check("process", "skip", f"network {patient.name} is not up")
    try:
        ask(patient.paths, AskFaults(), _ANSWER_S)
    except QstrataError as fault:
        advice = f"wait if it is just coming up; else run `qstrata down {patient.name}`, or `kill -9 {pid}`"
        return Check(
            "process", "fail", f"process {pid} holds the network and does not answer: {fault}", advice
        )
    return Check("process", "ok", f"process {pid} answers")


def check_sealing_key(patient: Patient) -> Check:
    """Check that the key that seals the ledger is there, whole, and private."""
    key, ledger = patient.paths.sealing_key, patient.paths.ledger
    name = "sealing-key"
    if not key.exists():
        if ledger.exists():
            advice = "bring it back from a backup: without it no key of the ledger can be read"
            return Check(name, "fail", f"{key} is gone, and {ledger} is sealed with it", advice)
        return Check(name, "skip", "there is none yet: `qstrata up` makes it")
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & _OTHERS:
        advice = f"run `chmod 600 {key}`, and remove key and ledger if others did read it"
        return Check(name, "fail", f"{key} has mode {mode:04o} and may be read by others", advice)
    if key.stat().st_size != KEY_BYTES:
        return Check(name, "fail", f"{key} is not {KEY_BYTES} bytes long", "bring it back from a backup")
    return Check(name, "ok", f"{key}, for its owner alone")


def check_store(patient: Patient) -> Check:
    """Check that every row of the ledger opens and none is missing, on a copy: the ledger stays as it is."""
    paths = patient.paths
    if running_pid(paths) is not None:
        return Check("store", "skip", "the network is up and checked it when it started")
    if not paths.ledger.exists() or not paths.sealing_key.exists():
        return Check("store", "skip", "there is no ledger and key to open it")
    with tempfile.TemporaryDirectory(dir=paths.root, prefix=".doctor-") as folder:
        for file in sorted(paths.data.glob(f"{paths.ledger.name}*")):
            if not file.name.endswith((".lock", "-shm")):
                shutil.copyfile(file, Path(folder, file.name))
        try:
            SealedFile(
                Path(folder, paths.ledger.name), Sealer(FileKeyProvider(paths.sealing_key).key()), None
            ).close()
        except QstrataError as fault:
            if running_pid(paths) is not None:
                return Check("store", "skip", "the network came up meanwhile")
            said = str(fault).replace(folder, str(paths.data))
            return Check("store", "fail", said, "or remove ledger and key, if the keys in it may be lost")
    return Check("store", "ok", f"every row of {paths.ledger} opens")


def syncs_per_s(folder: Path) -> float:
    """Measure how many small writes per second a folder's disk makes durable, for about 0.3 s."""
    count = 0
    with tempfile.TemporaryFile(dir=folder) as file:
        begun_s = time.monotonic()
        while (elapsed_s := time.monotonic() - begun_s) < _MEASURE_S:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            count += 1
    return count / elapsed_s


def _cannot_listen(host: str, port: int) -> str:
    """Return why nothing can listen at an address; empty where it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that is just ending holds nobody up.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as fault:
            if fault.errno != errno.EADDRINUSE:
                return f"cannot be opened: {fault.strerror}"
            return f"is held by {told(holders(port))}"
    return ""


def _nearest(folder: Path) -> Path:
    while not folder.is_dir():
        folder = folder.parent
    return folder

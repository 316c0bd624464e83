"""Environments of other simulators, and their drivers as processes that are ended as a group."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "peers"
DRIVERS = Path(__file__).resolve().parent / "peers"
INSTALL_S = 900.0
REPORT_S = 10.0
"""How often the progress of an installation is told."""
GRACE_S = 30.0
"""What a driver may take beyond the limit it was given: its imports, and an unwatched last pair."""


class Peer(msgspec.Struct, frozen=True):
    """Name a simulator: what is installed, and its licence."""

    name: str
    package: str
    licence: str

    @property
    def python(self) -> Path:
        """Return the interpreter of the peer's environment; PEER_<NAME>_PYTHON names another."""
        return Path(self.given) if self.given else self.folder / "bin" / "python"

    @property
    def given(self) -> str:
        """Return the interpreter that the caller brought along, empty if none."""
        return os.environ.get(f"PEER_{self.name.upper()}_PYTHON", "")

    @property
    def folder(self) -> Path:
        """Return where its environment is made."""
        return HOME / f"{self.name.lower()}-venv"


PEERS = (
    Peer("SeQUeNCe", "sequence==0.8.5", "BSD-3-Clause"),
    Peer("QuNetSim", "qunetsim==0.1.3.post1", "MIT"),
    Peer("SimQN", "qns==0.2.3", "GPL-3.0"),
)


class Failure(Exception):  # noqa: N818
    """Say why a peer gave no figure."""


@cache
def trouble(peer: Peer) -> str:
    """Make the peer's environment where there is none; return why that does not go, empty if it does.

    This alone uses the network, and tries only once.
    """
    ready = peer.folder / ".ready"
    if peer.given or ready.exists():
        return ""
    shutil.rmtree(peer.folder, ignore_errors=True)
    peer.folder.parent.mkdir(parents=True, exist_ok=True)
    log = peer.folder.with_suffix(".log")
    pip = [str(peer.python), "-m", "pip", "install", "--progress-bar", "off", "--disable-pip-version-check"]
    try:
        _run([sys.executable, "-m", "venv", str(peer.folder)], peer, log)
        _run([*pip, peer.package], peer, log)
    except (Failure, OSError) as fault:
        tell(f"{peer.package}: {fault}")
        return f"{fault} ({log.relative_to(ROOT)})"
    # The last file: a set-up cut short is done again.
    ready.touch()
    tell(f"{peer.package}: installed")
    return ""


def _run(command: list[str], peer: Peer, log: Path) -> None:
    """Run one step of an installation and tell how it goes; Failure where it fails or takes too long."""
    began_s = told_s = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        while process.poll() is None:
            time.sleep(0.1)
            now_s = time.monotonic()
            if now_s - began_s > INSTALL_S:
                raise Failure(f"cannot be installed within {INSTALL_S:.0f} s")
            if now_s - told_s > REPORT_S:
                told_s = now_s
                tell(f"installing {peer.package}, {now_s - began_s:.0f} s: {last_line(log)[:80]}")
    finally:
        _end(process)
    if process.returncode:
        raise Failure(f"cannot be installed here: {last_line(log)[:160]}")


def last_line(log: Path) -> str:
    """Return the last line of a log that says anything."""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def tell(progress: str) -> None:
    """Tell those who wait what is done."""
    sys.stderr.write(progress + "\n")
    sys.stderr.flush()


def ask(peer: Peer, driver: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Let a driver answer one request in the peer's environment; its whole process group ends with it.

    `asked["limit_s"]` is what it may take. Raises Failure where it cannot be installed, hangs, fails or
    answers nothing.
    """
    if why := trouble(peer):
        raise Failure(why)
    tell(f"{peer.name}: {driver.stem}, up to {asked['limit_s'] + GRACE_S:.0f} s")
    # A file, not a pipe: what a driver leaves running would hold a pipe open.
    with tempfile.TemporaryFile() as question, tempfile.TemporaryFile() as output:
        question.write(json.dumps(asked).encode() + b"\n")
        question.seek(0)
        try:
            process = subprocess.Popen(
                [str(peer.python), str(driver)],
                stdin=question,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as fault:
            raise Failure(f"cannot be started: {fault}") from None
        try:
            code = process.wait(asked["limit_s"] + GRACE_S)
        except subprocess.TimeoutExpired:
            raise Failure(f"hangs: no answer within {asked['limit_s'] + GRACE_S:.0f} s") from None
        finally:
            _end(process)
        output.seek(0)
        try:
            answer: dict[str, Any] = json.loads(output.readline())
        except ValueError:
            raise Failure(f"ends with code {code} and no answer") from None
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a driver with all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(GRACE_S)

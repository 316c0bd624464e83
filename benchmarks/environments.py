"""Environments of other simulators, and their drivers as processes that are ended as a group."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "peers"
DRIVERS = Path(__file__).resolve().parent / "peers"
INSTALL_S = 900.0
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


def installed(peer: Peer) -> None:
    """Make the peer's environment where there is none. Raises Failure where that does not go."""
    folder, ready = peer.folder, peer.folder / ".ready"
    if peer.given or ready.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    sys.stderr.write(f"installing {peer.package} in {folder}\n")
    pip = [str(peer.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer.package]
    for command in ([sys.executable, "-m", "venv", str(folder)], pip):
        try:
            done = subprocess.run(command, stdout=sys.stderr, timeout=INSTALL_S, check=False)
        except subprocess.TimeoutExpired:
            raise Failure(f"cannot be installed within {INSTALL_S:.0f} s") from None
        if done.returncode:
            raise Failure("cannot be installed here")
    # The last file: a set-up cut short is done again.
    ready.touch()


def ask(peer: Peer, driver: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Let a driver answer one request in the peer's environment; its whole process group ends with it.

    `asked["limit_s"]` is what it may take. Raises Failure where it hangs, fails or answers nothing.
    """
    installed(peer)
    # A file, not a pipe: what a driver leaves running would hold a pipe open.
    with tempfile.TemporaryFile() as question, tempfile.TemporaryFile() as output:
        question.write(json.dumps(asked).encode() + b"\n")
        question.seek(0)
        process = subprocess.Popen(
            [str(peer.python), str(driver)],
            stdin=question,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
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

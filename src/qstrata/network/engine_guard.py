"""Run a command in this process's group and end the whole group with it: run as a script, imports nothing.

`engine_guard.py LIFE STATUS COMMAND...`: two file descriptors and what to run. The group ends when the
command does, or when LIFE is closed: by whoever started it, on purpose or by dying. The command's exit
status is written to STATUS.
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 2.0
"""What is told to end may take so long until it is killed."""


def _end_with(life: int, child: "subprocess.Popen[bytes]") -> None:
    os.read(life, 1)
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(0, signal.SIGKILL)


def guard(life: int, status: int, command: list[str]) -> None:
    """Run a command, and kill the process group that this process leads."""
    # A handler, not SIG_IGN: the command would inherit that.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        child = subprocess.Popen(command)  # noqa: S603
    except OSError as fault:
        sys.stderr.write(f"{command[0]} cannot be run: {fault.strerror}\n")
        os.write(status, b"127")
        return
    threading.Thread(target=_end_with, args=(life, child), daemon=True).start()
    os.write(status, str(child.wait()).encode())
    os.close(status)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    guard(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

"""The side of the control socket that asks; commands use it, so it waits for no event loop to be imported."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from qstrata.core.errors import EnvironmentFaultError, InputError, QstrataError
from qstrata.network.remote import Answer, AskApply, AskDown, Asked, AskEvents, Failed
from qstrata.network.state import NotUpError, StatePaths

MAX_ANSWER_BYTES = 64 * 1024 * 1024
ANSWER_S = 15.0
DOWN_S = 45.0
APPLY_S = 90.0

_FAILED = b'{"is":"failed"'
_OVER = (b'{"is":"ended"', b'{"is":"cut"')

_encode = msgspec.json.Encoder().encode
_answers = msgspec.json.Decoder(Answer)


def ask(paths: StatePaths, request: Asked, patience_s: float | None = None) -> Answer:
    """Ask the running network of a state folder, and return its answer.

    Raises NotUpError when it is not up, EnvironmentFaultError when it does not answer in `patience_s` (None:
    as long as its answer may take) or is of another version.
    """
    if patience_s is None:
        patience_s = {AskDown: DOWN_S, AskApply: APPLY_S}.get(type(request), ANSWER_S)
    with _asked(paths, request, patience_s) as (_, file):
        line = _line(paths, file)
    if not line:
        raise EnvironmentFaultError(f"network {paths.root.name} ended before it answered: see its crash.log")
    try:
        answer: Answer = _answers.decode(line)
        return answer
    except msgspec.DecodeError as fault:
        raise EnvironmentFaultError(
            f"network {paths.root.name} answers in another form: was it started by another version?"
        ) from fault


def follow(paths: StatePaths) -> Iterator[bytes]:
    """Yield the events of a running network as JSON lines with their ends, until it says that it is over.

    Raises NotUpError when it is not up, what it says where it refuses, and EnvironmentFaultError when it
    ends without a word.
    """
    last = b""
    with _asked(paths, AskEvents(), ANSWER_S) as (connection, file):
        while line := _line(paths, file):
            if not last:
                connection.settimeout(None)
                if line.startswith(_FAILED):
                    raise error_of(msgspec.json.decode(line, type=Failed))
            last = line
            yield line
    if not last.startswith(_OVER):
        raise EnvironmentFaultError(f"network {paths.root.name} ended without a word: see its crash.log")


@contextmanager
def _asked(paths: StatePaths, request: Asked, patience_s: float) -> Iterator[tuple[socket.socket, BinaryIO]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience_s)
        try:
            connection.connect(str(paths.control_socket))
        except (FileNotFoundError, ConnectionRefusedError) as fault:
            name = paths.root.name
            raise NotUpError(
                f"network {name} is not up: run `qstrata up {name}`, or name its folder with --state-dir"
            ) from fault
        except OSError as fault:
            raise EnvironmentFaultError(
                f"the control socket {paths.control_socket} cannot be used: {fault.strerror or fault}"
            ) from fault
        try:
            connection.sendall(_encode(request) + b"\n")
        except OSError as fault:
            raise _silent(paths, fault) from fault
        with connection.makefile("rb") as file:
            yield connection, file


def _line(paths: StatePaths, file: BinaryIO) -> bytes:
    try:
        return file.readline(MAX_ANSWER_BYTES)
    except OSError as fault:
        raise _silent(paths, fault) from fault


def _silent(paths: StatePaths, fault: OSError) -> EnvironmentFaultError:
    return EnvironmentFaultError(f"network {paths.root.name} does not answer: {fault}")


def error_of(answer: Failed) -> QstrataError:
    """Return the error that a failed answer stands for."""
    return InputError(answer.text) if answer.code == 1 else EnvironmentFaultError(answer.text)

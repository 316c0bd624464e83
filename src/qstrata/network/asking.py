"""The side of the control socket that asks; commands use it, so it waits for no event loop to be imported."""

import socket

import msgspec

from qstrata.core.errors import EnvironmentFaultError, InputError, QstrataError
from qstrata.network.remote import Answer, AskDown, Asked, Failed
from qstrata.network.state import NotUpError, StatePaths

MAX_ANSWER_BYTES = 64 * 1024 * 1024
ANSWER_S = 15.0
DOWN_S = 45.0

_encode = msgspec.json.Encoder().encode
_answers = msgspec.json.Decoder(Answer)


def ask(paths: StatePaths, request: Asked) -> Answer:
    """Ask the running network of a state folder, and return its answer.

    Raises EnvironmentFaultError when it is not up, does not answer, or is of another version.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(DOWN_S if isinstance(request, AskDown) else ANSWER_S)
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
            with connection.makefile("rb") as file:
                line = file.readline(MAX_ANSWER_BYTES)
        except OSError as fault:
            raise EnvironmentFaultError(f"network {paths.root.name} does not answer: {fault}") from fault
    if not line:
        raise EnvironmentFaultError(f"network {paths.root.name} ended before it answered: see its crash.log")
    try:
        answer: Answer = _answers.decode(line)
        return answer
    except msgspec.DecodeError as fault:
        raise EnvironmentFaultError(
            f"network {paths.root.name} answers in another form: was it started by another version?"
        ) from fault


def error_of(answer: Failed) -> QstrataError:
    """Return the error that a failed answer stands for."""
    return InputError(answer.text) if answer.code == 1 else EnvironmentFaultError(answer.text)

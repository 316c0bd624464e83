"""The control socket: one JSON object in, one out, whatever comes in."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qstrata.core.errors import (
    EnvironmentFaultError,
    InputError,
    InternalError,
    RefusedError,
    StoreFaultError,
)
from qstrata.network.asking import ask
from qstrata.network.remote import Answer, Asked, AskFaults, AskInspect, AskTrace, Failed, FaultsView
from qstrata.network.socket_server import MAX_REQUEST_BYTES, ControlSocket, exit_code
from qstrata.network.state import StatePaths


async def respond(request: Asked) -> Answer:
    if isinstance(request, AskTrace):
        raise InputError(f"nobody knows {request.wanted}")
    if isinstance(request, AskInspect):
        raise StoreFaultError("the disk refuses")
    return FaultsView(faults=())


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[StatePaths]:
    paths = StatePaths(tmp_path)
    ready, stop, loops = threading.Event(), asyncio.Event(), []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        control = ControlSocket(respond)
        await control.open(paths)
        ready.set()
        await stop.wait()
        await control.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait(10)
    yield paths
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(10)


def test_question_is_answered(paths: StatePaths) -> None:
    assert ask(paths, AskFaults()) == FaultsView(faults=())


def test_fault_of_the_caller_comes_back_with_its_exit_code(paths: StatePaths) -> None:
    assert ask(paths, AskTrace(wanted="x")) == Failed(text="nobody knows x", code=1, error="QS-101")


def test_fault_of_the_machine_comes_back_with_its_exit_code(paths: StatePaths) -> None:
    assert ask(paths, AskInspect()) == Failed(text="the disk refuses", code=3, error="QS-305")


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b'{"do":"dance"}\n', b"\xff\n", b"x" * (2 * MAX_REQUEST_BYTES)]
)
def test_what_is_no_request_is_told_so(paths: StatePaths, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(paths.control_socket))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as file:
            answer = json.loads(file.readline())
    assert (answer["is"], answer["code"]) == ("failed", 1)


def test_network_that_is_not_up_is_told_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFaultError, match="not up: run `qstrata up"):
        ask(StatePaths(tmp_path), AskFaults())


def test_exit_code_says_whose_fault_it_is() -> None:
    faults = (InputError, RefusedError, EnvironmentFaultError, StoreFaultError, InternalError)
    assert [exit_code(fault("x")) for fault in faults] == [1, 1, 3, 3, 70]

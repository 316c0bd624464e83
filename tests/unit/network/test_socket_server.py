"""The control socket: one JSON object in, one out, whatever comes in."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from qstrata.core.errors import (
    EnvironmentFaultError,
    InputError,
    InternalError,
    RefusedError,
    StoreFaultError,
)
from qstrata.network import asking
from qstrata.network.asking import ask, follow
from qstrata.network.remote import Answer, Asked, AskFaults, AskInspect, AskTrace, Failed, FaultsView
from qstrata.network.socket_server import MAX_REQUEST_BYTES, ControlSocket, exit_code
from qstrata.network.state import NotUpError, StatePaths


async def respond(request: Asked) -> Answer:
    if isinstance(request, AskTrace):
        raise InputError(f"nobody knows {request.wanted}")
    if isinstance(request, AskInspect):
        raise StoreFaultError("the disk refuses")
    return FaultsView(faults=())


async def events() -> AsyncGenerator[bytes, None]:
    yield b'{"is":"snapshot"}'
    yield b'{"is":"ended"}'


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[StatePaths]:
    paths = StatePaths(tmp_path)
    ready, stop, loops = threading.Event(), asyncio.Event(), []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        control = ControlSocket(respond, events)
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


def test_events_come_line_by_line_until_they_are_over(paths: StatePaths) -> None:
    assert list(follow(paths)) == [b'{"is":"snapshot"}\n', b'{"is":"ended"}\n']


def test_events_that_stop_without_a_word_are_a_fault(paths: StatePaths, monkeypatch) -> None:
    monkeypatch.setattr(asking, "_OVER", (b"never",))
    with pytest.raises(EnvironmentFaultError, match="ended without a word"):
        list(follow(paths))


def test_events_of_a_network_that_is_not_up_are_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(NotUpError, match="not up: run `qstrata up"):
        list(follow(StatePaths(tmp_path)))

"""A port in use is told with who holds it."""

import os
import socket
from pathlib import Path

import pytest

from qstrata.core.errors import PortInUseError
from qstrata.network.port_holders import holders, named, told
from qstrata.network.state import NodePort, RunRecord, StatePaths, hold, prepare, write_run

HOST = "127.0.0.1"

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system does not tell")


def test_the_process_that_listens_is_named_and_the_cure(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        said = str(named(PortInUseError("in use", port), "alder", HOST, StatePaths(tmp_path / "lab")))
    assert f"port {port} of alder on {HOST} is held by process {os.getpid()} (" in said
    assert "end that, or give `alder` another port" in said


def test_a_process_is_named_though_descriptors_of_it_close_meanwhile(tmp_path: Path) -> None:
    # This process lists its own descriptors, and so one that is gone when it is read.
    low = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    with socket.create_server((HOST, 0)) as taken:
        for descriptor in low:
            os.close(descriptor)
        assert [pid for pid, _ in holders(taken.getsockname()[1])] == [os.getpid()]


def test_a_network_that_listens_is_named_with_the_command_that_ends_it(tmp_path: Path) -> None:
    other = StatePaths(tmp_path / "other")
    prepare(other)
    with socket.create_server((HOST, 0)) as taken, hold(other):
        port = taken.getsockname()[1]
        write_run(other, RunRecord(os.getpid(), (NodePort("a", port),)))
        said = str(named(PortInUseError("in use", port), "alder", HOST, StatePaths(tmp_path / "lab")))
    assert "is held by network other, process" in said
    assert f"run `qstrata down --state-dir {other.root}`" in said


def test_a_network_that_was_killed_is_not_blamed(tmp_path: Path) -> None:
    other = StatePaths(tmp_path / "other")
    prepare(other)
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        write_run(other, RunRecord(os.getpid(), (NodePort("a", port),)))
        said = str(named(PortInUseError("in use", port), "alder", HOST, StatePaths(tmp_path / "lab")))
    assert "other" not in said.replace("another", "")


def test_a_port_that_nobody_holds_has_no_holder() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    assert holders(port) == []
    assert told([]) == "another user's process"

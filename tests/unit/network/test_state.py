import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.network.state import (
    NodePort,
    RunRecord,
    hold,
    prepare,
    read_run,
    running_pid,
    state_paths,
    write_private,
    write_run,
)

HOLDER = """
import sys
from pathlib import Path
from qstrata.network.state import hold, state_paths
lock = hold(state_paths("lab", Path(sys.argv[1])))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder():
    # The folder that pytest offers may be too deep for a socket.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def paths(folder):
    made = state_paths("lab", folder / "lab")
    prepare(made)
    return made


def test_the_state_of_a_network_lies_under_its_name():
    given = state_paths("lab", environ={"XDG_STATE_HOME": "/var/x"})
    assert given.root == Path("/var/x/qstrata/lab")
    assert state_paths("lab", environ={}).root == Path.home() / ".local/state/qstrata/lab"


def test_a_relative_state_home_is_ignored():
    given = state_paths("lab", environ={"XDG_STATE_HOME": "here"})
    assert given.root == Path.home() / ".local/state/qstrata/lab"


def test_a_folder_that_is_given_is_the_networks_own():
    given = state_paths("lab", Path("/srv/q"), {"XDG_STATE_HOME": "/var/x"})
    assert given.root == Path("/srv/q")


def test_every_file_has_its_place(paths):
    places = (
        paths.ledger,
        paths.events,
        paths.sealing_key,
        paths.pki,
        paths.control_socket,
        paths.run_file,
    )
    assert [place.relative_to(paths.root).as_posix() for place in places] == [
        "data/ledger.db",
        "data/events.log",
        "secrets/seal.key",
        "pki",
        "control.sock",
        "run.json",
    ]


def test_a_folder_too_deep_for_a_socket_is_refused_with_a_cure():
    with pytest.raises(InputError, match=r"--state-dir /tmp/lab"):
        state_paths("lab", Path("/" + "d" * 120))


def test_the_longest_path_that_is_accepted_holds_a_socket(folder):
    limit = 103 if sys.platform == "darwin" else 107
    deep = folder / ("d" * (limit - len(str(folder)) - len("//control.sock")))
    made = state_paths("lab", deep)
    assert len(os.fsencode(made.control_socket)) == limit
    prepare(made)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(made.control_socket))
    with pytest.raises(InputError):
        state_paths("lab", Path(f"{deep}d"))


def test_folders_are_made_for_the_owner_alone_and_kept(paths):
    paths.sealing_key.write_bytes(b"kept")
    prepare(paths)
    for folder in (paths.root, paths.data, paths.sealing_key.parent, paths.pki):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert paths.sealing_key.read_bytes() == b"kept"


def test_a_folder_in_which_others_may_write_is_refused(folder):
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    with pytest.raises(EnvironmentFaultError, match=r"others may write .*--state-dir"):
        prepare(state_paths("lab", folder / "open"))
    assert stat.S_IMODE((folder / "open").stat().st_mode) == 0o777


def test_a_file_in_place_of_the_folder_is_refused(folder):
    (folder / "lab").write_bytes(b"")
    with pytest.raises(EnvironmentFaultError, match="cannot be used"):
        prepare(state_paths("lab", folder / "lab"))


def test_a_network_runs_once_and_the_second_is_told_by_whom(paths):
    with hold(paths):
        assert running_pid(paths) == os.getpid()
        with pytest.raises(EnvironmentFaultError, match=rf"process {os.getpid()} already runs"):
            hold(paths)
    assert running_pid(paths) is None
    hold(paths).release()


def test_releasing_twice_does_no_harm(paths):
    lock = hold(paths)
    lock.release()
    lock.release()


def test_a_network_that_never_ran_has_no_process(folder):
    assert running_pid(state_paths("lab", folder / "never")) is None


def test_a_process_that_is_killed_leaves_the_network_free(paths):
    command = [sys.executable, "-c", HOLDER, str(paths.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert running_pid(paths) == holder.pid
        with pytest.raises(EnvironmentFaultError, match=rf"process {holder.pid} already runs"):
            hold(paths)
        holder.kill()
        holder.wait()
    assert running_pid(paths) is None
    hold(paths).release()


def test_a_run_record_is_read_as_it_was_written(paths):
    assert read_run(paths) is None
    record = RunRecord(pid=12, ports=(NodePort("a", 9001), NodePort("b", 9002)))
    write_run(paths, record)
    assert read_run(paths) == record
    paths.run_file.write_bytes(b"{")
    assert read_run(paths) is None


def test_a_private_file_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "sub" / "secret"
    write_private(path, b"one")
    path.chmod(0o644)
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_a_disk_that_refuses_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentFaultError, match="cannot be written"):
        write_private(tmp_path / "file" / "secret", b"x")

"""How a network in real time starts, stops, starts again, and refuses."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

import qstrata
from qstrata.core.errors import EnvironmentFaultError, InputError, InternalError, StoreFaultError
from qstrata.core.time import PS_PER_S
from qstrata.interfaces.etsi014.client import BadRequestError, Etsi014Error
from qstrata.network.asking import ask
from qstrata.network.assembly import Assembly
from qstrata.network.face import Network
from qstrata.network.loader import load_text
from qstrata.network.remote import AskDown, AskInspect, Done, NetworkView
from qstrata.network.shipped import shipped_text
from qstrata.network.state import StatePaths, read_run, running_pid, state_paths
from qstrata.store.records import BlockState, KeyRecord, KeyState
from qstrata.store.sealed_file import SealedFile

OWN_HALF = 32
"""Keys that one KME keeps ready in a session of the default depth."""

PROCESS = """
import sys
from pathlib import Path
from qstrata.network.loader import load
from qstrata.network.state import state_paths
from qstrata.network.supervisor import serve

def ready(network):
    print("up", flush=True)

description = load("madrid").with_overrides(ports="ephemeral")
serve(description, state_paths("madrid", Path(sys.argv[1])), log_events=True, ready=ready)
print("down", flush=True)
"""


def madrid(folder: Path, seed: int | None = None) -> Network:
    return qstrata.network("madrid", state_dir=folder, seed=seed)


def pooled(net: Network, node: str) -> set[str]:
    rows = net.ledger(node)
    return {row.key_id for row in rows if isinstance(row, KeyRecord) and row.state is KeyState.POOLED}


def blocks(net: Network, node: str) -> dict[str, BlockState]:
    return {row.key: row for row in net.ledger(node) if isinstance(row, BlockState)}


def test_pooled_keys_survive_a_restart_and_delivered_ones_are_gone(tmp_path: Path) -> None:
    with madrid(tmp_path / "net") as net:
        net.wait_for_keys("quintin", "aquiles", 8)
        both = net.sae("quintin").get_keys("aquiles", 2)
        once = net.sae("quintin").get_keys("aquiles", 1)
        ids = [key.key_id for key in both]
        net.sae("aquiles").get_keys_by_id("quintin", ids)
        waiting = pooled(net, "quintin") & pooled(net, "aquiles")
    assert waiting
    with madrid(tmp_path / "net") as net:
        assert waiting <= pooled(net, "quintin")
        net.wait_for_keys("quintin", "aquiles", 1)
        assert not pooled(net, "quintin") & {key.key_id for key in (*both, *once)}
        with pytest.raises(BadRequestError):
            net.sae("aquiles").get_keys_by_id("quintin", ids)
        (late,) = net.sae("aquiles").get_keys_by_id("quintin", [once[0].key_id])
        assert late.bits == once[0].bits
        (here,) = net.sae("quintin").get_keys("aquiles")
        (there,) = net.sae("aquiles").get_keys_by_id("quintin", [here.key_id])
        assert here.bits == there.bits


def test_time_goes_on_and_links_are_not_provisioned_again_after_a_restart(tmp_path: Path) -> None:
    with madrid(tmp_path / "net") as net:
        net.wait_for_keys("quintin", "aquiles")
        before = blocks(net, "quijote")
        first_s = net.inspect().up_s
    with madrid(tmp_path / "net") as net:
        net.wait_for_keys("quintin", "aquiles")
        after = blocks(net, "quijote")
        (key,) = net.sae("quintin").get_keys("aquiles")
        hops = net.trace(key.key_id).stories[0].hops
    assert all(row.provisioned for row in before.values())
    assert set(after) <= set(before)
    newest_s = max(row.made_ps for row in before.values()) / PS_PER_S
    assert all(hop.at_s > newest_s for hop in hops)
    assert first_s > 0


def test_seeded_starts_of_one_state_never_draw_a_key_twice(tmp_path: Path) -> None:
    fetched: list[bytes] = []
    for _ in range(2):
        with madrid(tmp_path / "net", seed=7) as net:
            # More than what is pooled, so that each start must draw some of its own.
            for number in (OWN_HALF, 4):
                net.wait_for_keys("quintin", "aquiles", number)
                keys = net.sae("quintin").get_keys("aquiles", number)
                fetched += [key.bits.reveal() for key in keys]
    assert len(set(fetched)) == 2 * (OWN_HALF + 4)


def test_state_is_private_and_says_who_runs(tmp_path: Path) -> None:
    with madrid(tmp_path / "net") as net:
        paths = net.paths
        private = (
            paths.control_socket,
            paths.sealing_key,
            paths.sealing_key.with_name("salt"),
            paths.run_file,
        )
        assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o600] * 4
        assert stat.S_IMODE(paths.root.stat().st_mode) == 0o700
        record = read_run(paths)
        assert record is not None
        assert record.pid == os.getpid() == running_pid(paths)
        assert all(f"https://127.0.0.1:{row.port}" == net.url(row.node) for row in record.ports)
    assert not paths.control_socket.exists()
    assert running_pid(paths) is None


def test_second_network_in_one_folder_is_refused(tmp_path: Path) -> None:
    second = madrid(tmp_path / "net")
    with madrid(tmp_path / "net"), pytest.raises(EnvironmentFaultError, match="already runs the network"):
        second.__enter__()


def test_port_in_use_is_named_with_its_cure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = shipped_text("madrid").replace("port: 10141", f"port: {port}")
        description = load_text(re.sub(r"port: 1014\d", "port: 0", text), "madrid.yaml")
        with pytest.raises(EnvironmentFaultError, match=f"port {port} of quintin .*another port"):
            Network(description, tmp_path / "net").__enter__()
    assert running_pid(state_paths("madrid", tmp_path / "net")) is None


def test_network_that_is_not_up_is_told_with_its_cure(tmp_path: Path) -> None:
    paths = state_paths("madrid", tmp_path / "net")
    with pytest.raises(EnvironmentFaultError, match="not up: run `qstrata up"):
        ask(paths, AskInspect())
    with pytest.raises(InputError, match="'with'"):
        qstrata.network("madrid").inspect()


def test_nothing_is_answered_once_a_write_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = madrid(tmp_path / "net")
    net.__enter__()
    net.wait_for_keys("quintin", "aquiles")

    def refuse(self: SealedFile, rows: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(SealedFile, "apply", refuse)
    with pytest.raises(Etsi014Error):
        net.sae("quintin").get_keys("aquiles")
    with pytest.raises(StoreFaultError, match="nothing is acknowledged any more"):
        net.__exit__(None, None, None)
    assert running_pid(net.paths) is None


class Process:
    """A network in a process of its own."""

    def __init__(self, paths: StatePaths) -> None:
        self.paths = paths
        command = [sys.executable, "-c", PROCESS, str(paths.root)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._stdout.readline() == "up\n"

    @property
    def _stdout(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_takes_the_network_down_in_order(tmp_path: Path, number: signal.Signals) -> None:
    process = Process(state_paths("madrid", tmp_path / "net"))
    view = ask(process.paths, AskInspect())
    assert isinstance(view, NetworkView)
    process.process.send_signal(number)
    assert process.end() == (0, "down\n", "")
    assert not process.paths.control_socket.exists()
    assert process.paths.events.stat().st_size > 0


def test_down_is_answered_and_ends_the_process(tmp_path: Path) -> None:
    process = Process(state_paths("madrid", tmp_path / "net"))
    assert ask(process.paths, AskDown()) == Done(text="network madrid is down")
    assert process.end() == (0, "down\n", "")


def test_killed_process_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    paths = state_paths("madrid", tmp_path / "net")
    process = Process(paths)
    process.process.kill()
    process.end()
    assert paths.control_socket.exists()
    with madrid(paths.root) as net:
        net.wait_for_keys("quintin", "aquiles")


def test_unknown_fault_is_one_line_outside_and_a_traceback_in_the_crash_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Assembly) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr(Assembly, "start", fail)
    net = madrid(tmp_path / "net")
    with pytest.raises(InternalError, match=r"crash\.log") as raised:
        net.__enter__()
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is None
    log = (net.paths.data / "crash.log").read_text()
    assert "ZeroDivisionError: nobody thought of this" in log
    assert running_pid(net.paths) is None

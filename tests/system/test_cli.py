"""The commands as people use them: real processes, real sockets, a network in real time."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from qstrata.network.remote import DescribeView, FaultsView, NetworkView, SaeView, TraceView
from qstrata.network.shipped import shipped_text
from qstrata.network.state import running_pid, state_paths

QSTRATA = [sys.executable, "-m", "qstrata.cli"]
PATIENCE_S = 60

pytestmark = pytest.mark.slow


class Lab:
    """A place to run commands in: a state home of its own, and Madrid at any free ports."""

    def __init__(self, root: Path) -> None:
        self.file = root / "madrid.yaml"
        self.file.write_text(re.sub(r"port: \d+", "port: 0", shipped_text("madrid")), encoding="utf-8")
        self.environ = {**os.environ, "XDG_STATE_HOME": str(root / "state")}
        self.paths = state_paths("madrid", environ=self.environ)

    def run(self, *words: str, code: int = 0) -> str:
        run = subprocess.run(
            [*QSTRATA, *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert run.returncode == code, run.stderr
        return run.stdout

    def paste(self, line: str) -> str:
        run = subprocess.run(
            ["bash", "-c", line],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        assert run.stderr == ""
        return run.stdout

    def nothing_is_left(self, ports: tuple[int, ...] = ()) -> bool:
        for port in ports:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return False
        standing = (self.paths.control_socket, self.paths.run_file)
        return running_pid(self.paths) is None and not any(path.exists() for path in standing)


@pytest.fixture
def lab() -> Iterator[Lab]:
    root = Path(tempfile.mkdtemp(prefix="q-"))
    lab = Lab(root)
    yield lab
    pid = running_pid(lab.paths)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(root)


def ports_of(saes: tuple[SaeView, ...]) -> tuple[int, ...]:
    return tuple(int(sae.url.rpartition(":")[2]) for sae in saes)


def test_demo_check_fetches_a_key_at_both_ends_and_leaves_nothing_running(lab: Lab) -> None:
    said = lab.run("demo", str(lab.file), "--check")
    assert re.fullmatch(r"OK  key [0-9a-f-]{36}: the same 256 bits for .*quintin.* and .*aquiles.*\n", said)
    assert lab.nothing_is_left()


def test_the_lines_that_demo_prints_give_one_key_at_both_ends_and_its_story(lab: Lab) -> None:
    process = subprocess.Popen(
        [*QSTRATA, "demo", str(lab.file)],
        env=lab.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Ctrl-C"):
            break
    assert any("relayed along quintin - quijote - aquiles" in line for line in lines)
    first, second = (json.loads(lab.paste(line)) for line in lines if line.startswith("curl "))
    assert first == second
    assert len(first["keys"]) == 1
    (trace,) = (line for line in lines if " trace " in line)
    story = lab.paste(trace)
    assert first["keys"][0]["key_ID"] in story
    assert first["keys"][0]["key"] not in story
    assert "fibre/quijote-aquiles" in story
    again = lab.run("demo", str(lab.file), code=3)
    assert again == ""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert said.endswith("network madrid is down\n")
    assert lab.nothing_is_left()


def test_a_detached_network_is_inspected_traced_hurt_healed_and_taken_down(lab: Lab) -> None:
    printed = lab.run("up", str(lab.file), "--detach", "--json")
    saes = {sae.node: sae for sae in msgspec.json.decode(printed, type=tuple[SaeView, ...])}
    assert tuple(saes) == ("quintin", "quijote", "quevedo", "aquiles")
    assert running_pid(lab.paths) is not None
    lab.run("up", str(lab.file), "--detach", code=3)

    view = msgspec.json.decode(lab.run("inspect", "--json"), type=NetworkView)
    assert {sae.node: sae for sae in view.saes} == saes
    assert [link.name for link in view.links] == ["quintin-quijote", "quijote-quevedo", "quijote-aquiles"]

    lab.run("trace", "00000000-0000-4000-8000-000000000000", code=1)
    unit = msgspec.json.decode(lab.run("inspect", "madrid", "--json"), type=NetworkView).sessions[0].unit
    stories = msgspec.json.decode(lab.run("trace", unit.session, "--json"), type=TraceView).stories
    assert {story.session for story in stories} == {unit.session}

    told = msgspec.json.decode(lab.run("inject", "loss", "quintin-quijote", "3", "--json"), type=FaultsView)
    assert [(fault.kind, fault.amount) for fault in told.faults] == [("loss", 3.0)]
    lab.run("inject", "loss", "nowhere", "3", code=1)
    assert "none" in lab.run("heal", "loss", "quintin-quijote")

    shown = msgspec.json.decode(lab.run("describe", "--json"), type=DescribeView)
    assert len(shown.planes) == 15
    assert shown.refusals == ()

    lab.run("down")
    assert lab.nothing_is_left(ports_of(tuple(saes.values())))
    lab.run("down", code=3)


def test_a_network_that_cannot_come_up_detached_says_why(lab: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        lab.file.write_text(lab.file.read_text().replace("port: 0", f"port: {port}", 1), encoding="utf-8")
        run = subprocess.run(
            [*QSTRATA, "up", str(lab.file), "--detach"],
            env=lab.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert run.returncode == 3
    assert run.stdout == ""
    assert run.stderr.startswith("qstrata: error[QS-3")
    assert str(port) in run.stderr
    assert run.stderr.count("\n") == 1
    assert lab.nothing_is_left()


def test_equal_seeds_give_equal_event_logs_on_disk_and_in_the_report(lab: Lab, tmp_path: Path) -> None:
    def run(seed: int, name: str) -> tuple[str, bytes]:
        words = ["--virtual", "--for", "3m", f"--seed={seed}", "--json", "--events", str(tmp_path / name)]
        report = json.loads(lab.run("run", str(lab.file), *words))["report"]
        assert report["virtual_s"] == 180.0
        return report["event_log_sha256"], (tmp_path / name).read_bytes()

    first, again, other = run(1, "first"), run(1, "again"), run(2, "other")
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]
    lab.run("run", "madrid", "--virtual", "--for", "1s", "--events", str(tmp_path / "first"), code=1)

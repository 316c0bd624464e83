"""A network that is up on a script: keys flow, inspect shows the engine, and no process stays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.engine_networks import NETWORK, stub

UP_S = 120


@pytest.fixture
def qstrata(tmp_path):
    # Paths of Unix sockets are short.
    state = Path(f"/tmp/q-engines-{os.getpid()}")

    def command(*words):
        return [sys.executable, "-m", "qstrata.cli", *words, "--state-dir", str(state)]

    def run(*words):
        done = subprocess.run(command(*words), capture_output=True, text=True, timeout=UP_S, check=True)
        return done.stdout

    def start(*words):
        return subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    run.start = start

    yield run
    subprocess.run(["rm", "-rf", str(state)], check=True)


def processes_of(path):
    listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(path) in line and "engine_guard" in line]


def test_keys_flow_in_real_time_and_inspect_shows_the_engine_and_its_lateness(qstrata, tmp_path):
    path = stub(tmp_path)
    file = tmp_path / "three.yaml"
    text = NETWORK.replace("ENGINE", f"script:{path}").replace("block-s: 10", "block-s: 1")
    file.write_text(text.replace("8192", "800"))
    up = qstrata.start("up", str(file), "--wait-for-keys", "60")
    try:
        assert up.stdout.readline()
        seen = json.loads(qstrata("inspect", "--json"))
        assert [link["engine"] for link in seen["links"]] == [f"script:{path}"] * 2
        for link in seen["links"]:
            assert link["lateness"]["count"] > 0
            assert link["lateness"]["early"] == 0
            assert link["lateness"]["p50_ps"] <= link["lateness"]["p99_ps"] <= link["lateness"]["max_ps"]
        assert f"script:{path}" in qstrata("inspect")
    finally:
        qstrata("down")
        up.communicate(timeout=UP_S)
    assert processes_of(path) == []

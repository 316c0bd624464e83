"""The clock gate: time goes as far as a program says, and no step of it changes the run."""

import json
import subprocess
import sys

import msgspec
import pytest

from qstrata.core.time import PS_PER_S
from qstrata.network.gate import drive
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation


def answers(*lines):
    simulation = Simulation(load("madrid"), 5)
    simulation.start_demands()
    return [json.loads(msgspec.json.encode(answer)) for answer in drive(simulation, lines)]


def test_time_goes_as_far_as_the_gate_and_the_run_is_the_same():
    lines = [f'{{"advance_to_s": {to_s}}}' for to_s in (1.5, 1.5, 12)]
    *reached, stopped = answers(*lines, '"stop"')
    assert reached == [{"reached_s": 1.5}, {"reached_s": 1.5}, {"reached_s": 12.0}]
    whole = Simulation(load("madrid"), 5)
    whole.start_demands()
    whole.run_until(12 * PS_PER_S)
    assert stopped["stopped_s"] == 12.0
    assert stopped["report"]["event_log_sha256"] == whole.recorder.sha256()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"advance_to_s": 2}', "never goes back"),
        ('{"advance_to_s": 1e30}', "is no instant"),
        ('{"advance_to_s": 1e9}', "too far"),
        ('{"advance_to_s": "soon"}', "advance_to_s"),
        ('{"advance": 4}', "send"),
        ("4", "send"),
        ('"halt"', "send"),
        ("advance", "send"),
    ],
)
def test_what_cannot_be_done_is_told_and_time_stays(line, told):
    first, refused, after, stopped = answers('{"advance_to_s": 3}', line, "", '{"advance_to_s": 3}')
    assert first == after == {"reached_s": 3.0}
    assert told in refused["error"]
    assert stopped["stopped_s"] == 3.0


def test_a_program_drives_a_run_over_its_pipes():
    command = [sys.executable, "-m", "qstrata.cli", "run", "ring", "--virtual", "--gate"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as run:
        for to_s in (0.25, 7.0):
            run.stdin.write(json.dumps({"advance_to_s": to_s}).encode() + b"\n")
            run.stdin.flush()
            assert json.loads(run.stdout.readline()) == {"reached_s": to_s}
        run.stdin.close()
        assert json.loads(run.stdout.readline())["stopped_s"] == 7.0
    assert run.returncode == 0

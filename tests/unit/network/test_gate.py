"""The clock gate: time goes as far as a program says, and no step of it changes the run."""

import contextlib
import json
import socket
import stat
import subprocess
import sys
import threading

import msgspec
import pytest

from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.core.time import PS_PER_S
from qstrata.network.gate import drive
from qstrata.network.gate_socket import GateSocket
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
        (b'"\xff"', "send"),
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


def said(path, *lines):
    """Return what a program hears that connects, says these lines, and hangs up."""
    with socket.socket(socket.AF_UNIX) as gate:
        gate.settimeout(60)
        gate.connect(str(path))
        with gate.makefile("rwb") as talk:
            heard = []
            for line in lines:
                talk.write(line.encode() + b"\n")
                talk.flush()
                heard.append(json.loads(talk.readline()))
            return heard


@pytest.fixture
def gate(tmp_path):
    """A ring that listens at a socket until it is stopped."""
    path = tmp_path / "clock.sock"
    listening, simulation = GateSocket(path), Simulation(load("ring"), 5)

    def serve():
        for answer in drive(simulation, listening.lines()):
            listening.answer(msgspec.json.encode(answer))
        listening.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path
    thread.join(60)
    assert not thread.is_alive()
    assert not path.exists()


def test_programs_drive_time_over_a_socket_one_after_another(gate):
    assert stat.S_IMODE(gate.stat().st_mode) == 0o600
    assert said(gate, '{"advance_to_s": 1.5}') == [{"reached_s": 1.5}]
    assert said(gate) == []
    reached, refused, stopped = said(gate, '{"advance_to_s": 4}', '{"advance_to_s": 2}', '"stop"')
    assert reached == {"reached_s": 4.0}
    assert "never goes back" in refused["error"]
    assert stopped["stopped_s"] == 4.0


def test_a_program_that_hangs_up_before_its_answer_stops_nobody(gate):
    with socket.socket(socket.AF_UNIX) as hasty:
        hasty.connect(str(gate))
        hasty.sendall(b'{"advance_to_s": 3}\n')
    assert said(gate, '{"advance_to_s": 3}', '"stop"')[0] == {"reached_s": 3.0}


def test_a_line_without_end_is_refused_in_pieces(gate):
    with socket.socket(socket.AF_UNIX) as long:
        long.connect(str(gate))
        long.sendall(b"9" * 5000)
        with long.makefile("rb") as talk:
            assert "send" in json.loads(talk.readline())["error"]
    assert said(gate, '"stop"')[0]["stopped_s"] == 0.0


def test_a_socket_of_a_killed_run_is_taken_over_and_that_of_a_living_one_is_not(tmp_path):
    path = tmp_path / "clock.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    first = GateSocket(path)
    with pytest.raises(InputError, match="another run listens"):
        GateSocket(path)
    first.close()
    path.write_text("precious")
    with pytest.raises(InputError, match="is no socket"):
        GateSocket(path)
    assert path.read_text() == "precious"
    with pytest.raises(EnvironmentFaultError, match="give another path"):
        GateSocket(tmp_path / "no" / "clock.sock")


def test_a_gate_at_which_programs_wait_for_their_turn_is_found_living(tmp_path):
    path = tmp_path / "clock.sock"
    with contextlib.closing(GateSocket(path)), contextlib.ExitStack() as waiting:
        with contextlib.suppress(BlockingIOError):
            while True:
                program = waiting.enter_context(socket.socket(socket.AF_UNIX))
                program.setblocking(False)
                program.connect(str(path))
        with pytest.raises(InputError, match="another run listens"):
            GateSocket(path)


def test_the_command_listens_where_it_is_told(tmp_path):
    path = tmp_path / "clock.sock"
    command = [sys.executable, "-m", "qstrata.cli", "run", "ring", "--virtual", "--gate", str(path)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        while f"listening at {path}" not in run.stderr.readline():
            assert run.poll() is None
        assert [*said(path, '{"advance_to_s": 2}', '"stop"')[0]] == ["reached_s"]
    assert run.returncode == 0

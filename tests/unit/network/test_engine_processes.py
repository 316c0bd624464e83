"""Work of engines in processes: scripts are run until there is key, and what goes wrong is told."""

from pathlib import Path

import msgspec
import pytest

from qstrata.core.effects import Work
from qstrata.network import engine_processes
from qstrata.network.engine_processes import WAITING_MAX, EngineProcesses
from qstrata.twin.script import ScriptKey, ScriptWork
from qstrata.twin.sequence import SequenceRequest, SequenceWork


@pytest.fixture
def processes():
    made = EngineProcesses(Path("/nowhere/python"))
    yield made
    made.close()


def write(folder, body):
    path = folder / "protocol.py"
    path.write_text(f"import json, sys\nbits, length, parameters = sys.argv[1:]\n{body}\n")
    return path


def work(path, key_bits=64, limit_s=30.0):
    return ScriptWork(
        topic="engine a-b",
        limit_s=limit_s,
        script=str(path),
        key_bits=key_bits,
        length_km=24.2,
        parameters="loss_db: 6.0\n",
    )


def done(processes, *args, **kwargs):
    return processes.begin(work(*args, **kwargs)).wait()


def key(result):
    assert result.failure == ""
    return msgspec.json.decode(result.output, type=ScriptKey)


def test_a_script_is_given_key_bits_length_and_parameters(processes, tmp_path):
    path = write(
        tmp_path,
        "print(json.dumps({'alice_key': '1' * int(bits), 'bob_key': '1' * int(bits), 'time': 2.5}))\n"
        "sys.stderr.write(open(parameters).read())\n"
        "assert (length, open(parameters).read()) == ('24.2', 'loss_db: 6.0\\n')",
    )
    assert key(done(processes, path)) == ScriptKey("1" * 64, 2.5)


def test_the_yaml_file_beside_a_script_is_read_after_our_parameters(processes, tmp_path):
    path = write(
        tmp_path,
        "assert open(parameters).read() == 'loss_db: 6.0\\nnodes: 2\\n'\n"
        "print(json.dumps({'alice_key': '1' * 64, 'bob_key': '1' * 64, 'time': 1}))",
    )
    path.with_suffix(".yaml").write_text("nodes: 2\n")
    assert key(done(processes, path)).bits == "1" * 64


def test_short_keys_are_made_again_and_joined(processes, tmp_path):
    path = write(tmp_path, "k = [1] * 20\nprint(json.dumps({'alice_key': k, 'bob_key': k, 'time': 1.5}))")
    assert key(done(processes, path)) == ScriptKey("1" * 80, 6.0)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("print('ready')", "it printed no JSON object"),
        ("sys.exit('no licence')", "it ended with exit status 1: no licence"),
        ("import os; os.kill(os.getpid(), 11)", "it ended with signal 11"),
        ("print(json.dumps({'alice_key': '0', 'bob_key': '1', 'time': 1}))", "it gave unequal keys"),
        ("print(json.dumps({'alice_key': '0', 'bob_key': '0', 'time': -1}))", "a time in the past: -1 s"),
    ],
)
def test_what_goes_wrong_is_told(processes, tmp_path, body, told):
    assert told in done(processes, write(tmp_path, body)).failure


def test_a_script_that_hangs_is_ended_at_its_limit(processes, tmp_path):
    path = write(tmp_path, "import time; time.sleep(600)")
    assert "no answer after" in done(processes, path, limit_s=0.2).failure


def test_a_script_that_gives_no_key_is_not_run_for_ever(processes, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_processes, "RUNS_MAX", 3)
    folder = tmp_path / "runs"
    folder.mkdir()
    body = (
        f"import os; open(f'{folder}/{{os.getpid()}}', 'w')\n"
        "print(json.dumps({'alice_key': '', 'bob_key': '', 'time': 1}))"
    )
    assert "0 of 64 bits in 3 runs" in done(processes, write(tmp_path, body)).failure
    assert len(list(folder.iterdir())) == 3


def test_other_work_and_work_beyond_the_bound_fail(processes, tmp_path):
    assert "no process does Work" in processes.begin(Work(topic="t", limit_s=1.0)).wait().failure
    slow = write(tmp_path, "import time; time.sleep(600)")
    futures = [processes.submit(work(slow)) for _ in range(WAITING_MAX)]
    assert "256 blocks wait" in done(processes, slow).failure
    processes.close()
    assert all(future.done() for future in futures)
    assert "goes down" in done(processes, slow).failure


def test_a_missing_environment_names_the_command_that_makes_it(processes):
    request = SequenceRequest(
        pulses=(1, 1, 1),
        intensities=(0.5, 0.1, 0.0),
        rate_hz=1e4,
        length_km=1.0,
        loss_db=1.0,
        eta_bob=0.5,
        y0=0.0,
        e_d=0.0,
        seed=1,
    )
    result = processes.begin(SequenceWork(topic="t", limit_s=1.0, request=request)).wait()
    assert "qstrata engine install sequence" in result.failure

"""The same network on every engine: keys flow, faults of an engine are alarms, and nothing else stops."""

import contextlib

import msgspec
import pytest

from qstrata.network.engines import sequence_python
from qstrata.network.simulation import Simulation
from qstrata.testing.checker import check
from qstrata.testing.history import calls_of
from tests.simulation.engine_networks import OTHERS, network, of_technology, stub
from tests.simulation.looking import Forwarding, run

NEEDS_SEQUENCE = pytest.mark.skipif(
    not sequence_python().exists(), reason="SeQUeNCe is not installed: `qstrata engine install sequence`"
)


@contextlib.contextmanager
def running(description, seconds, seed=1, log=None):
    with contextlib.closing(Simulation(description, seed, log=log)) as simulation:
        simulation.start_demands()
        run(simulation, seconds)
        yield simulation


def engine_of(name, folder):
    return f"script:{stub(folder)}" if name == "script" else name


ON_SEQUENCE = pytest.param("sequence", marks=[NEEDS_SEQUENCE, pytest.mark.slow])


@pytest.mark.parametrize("name", ["native", *OTHERS, "trace", "script", ON_SEQUENCE])
def test_keys_flow_end_to_end_on_every_engine(tmp_path, name):
    lines = []
    with running(of_technology(tmp_path, name), 20, log=lines) as simulation:
        report = simulation.report()
        alarms = Forwarding(simulation).alarms
        simulation.recorder.close()
    assert report.keys_delivered > 0
    assert report.keys_fetched == report.keys_delivered
    assert alarms == ()
    assert check(lines, calls_of(simulation.history)).violations == ()


def test_a_virtual_run_of_a_script_gives_the_same_event_log_again(tmp_path):
    description = network(tmp_path, engine_of("script", tmp_path))
    logs = []
    for seed in (1, 1, 2):
        with running(description, 25, seed) as simulation:
            logs.append(simulation.report().event_log_sha256)
    assert logs[0] == logs[1] != logs[2]


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("trace", "loss", "a link of engine trace does not follow loss: inject cut"),
        ("trace", "tap", "a link of engine trace does not follow tap: inject cut"),
        pytest.param(
            "sequence",
            "tap",
            "a link of engine sequence does not follow tap: inject cut, loss",
            marks=[NEEDS_SEQUENCE],
        ),
    ],
)
def test_a_fault_that_an_engine_does_not_follow_is_refused(tmp_path, name, kind, told):
    answers = []
    with running(of_technology(tmp_path, name), 0.5) as simulation:
        simulation.assembly.inject(kind, "a-b", 0.5, answers.append)
        run(simulation, 0.1)
    assert [answer.error for answer in answers] == [told]


FAULTS = {
    "unequal keys": ("answer['bob_key'] = key[::-1]", "it gave unequal keys"),
    "time in the past": ("answer['time'] = -1", "it gave a time in the past: -1 s"),
    "nonsense": ("print('hello'); sys.exit()", "it printed no JSON object"),
    "crash": ("sys.exit('out of licences')", "exit status 1: out of licences"),
    "hang": ("import time; time.sleep(600)", "no answer after 0."),
}


@pytest.mark.parametrize(("body", "finding"), FAULTS.values(), ids=FAULTS)
def test_an_engine_that_fails_is_an_alarm_that_degrades_its_link_alone(tmp_path, body, finding):
    bad = stub(tmp_path, body, "bad.py")
    description = network(tmp_path, engine_of("script", tmp_path))
    broken = msgspec.structs.replace(description.links[0], engine=f"script:{bad}", engine_limit_s=0.5)
    description = msgspec.structs.replace(description, links=(broken, *description.links[1:]))
    with running(description, 25) as simulation:
        seen = Forwarding(simulation)
        (alarm,) = seen.alarms
        assert (alarm.subject, alarm.channel) == ("a-b", "device/failed")
        assert str(bad) in alarm.finding
        assert finding in alarm.finding
        assert seen.links["a-b"].state == "passive"
        assert "lose their blocks" in seen.links["a-b"].reason
        assert seen.pool("a-b", "a").generated == 0
        assert seen.links["b-c"].state == "active"
        assert seen.pool("b-c", "b").generated == 2 * 8192


def test_a_virtual_half_hour_with_a_script_that_hangs_waits_for_it_a_few_times(tmp_path):
    tries = tmp_path / "tries"
    bad = stub(tmp_path, f"open({str(tries)!r}, 'a').write('.')\nimport time; time.sleep(600)", "bad.py")
    description = network(tmp_path, "native")
    broken = msgspec.structs.replace(description.links[0], engine=f"script:{bad}", engine_limit_s=0.5)
    description = msgspec.structs.replace(description, links=(broken, *description.links[1:]))
    with contextlib.closing(Simulation(description, 1)) as sim:
        run(sim, 1800)
        (alarm,) = Forwarding(sim).alarms
        assert "tried again in 2560 s" in alarm.finding
        assert Forwarding(sim).pool("b-c", "b").generated > 0
    # A block of 10 s and a rest of 40, 160, 640, 2560 s: half an hour of 180 blocks is tried for four times.
    assert len(tries.read_text()) == 4


def test_a_link_comes_back_with_the_first_good_block(tmp_path):
    flag = tmp_path / "broken"
    flag.touch()
    path = stub(tmp_path, f"import os\nif os.path.exists({str(flag)!r}): answer['bob_key'] = '0'")
    with running(network(tmp_path, f"script:{path}"), 15) as simulation:
        assert {alarm.channel for alarm in Forwarding(simulation).alarms} == {"device/failed"}
        flag.unlink()
        run(simulation, 20)
        seen = Forwarding(simulation)
        assert seen.alarms == ()
        assert {link.state for link in seen.links.values()} == {"active"}


def test_a_link_that_runs_goes_on_another_engine(tmp_path):
    with running(network(tmp_path, "native"), 15) as simulation:
        before = Forwarding(simulation).pool("a-b", "a").generated
        simulation.apply(network(tmp_path, engine_of("script", tmp_path)))
        run(simulation, 25)
        seen = Forwarding(simulation)
        assert seen.pool("a-b", "a").generated == before + 2 * 8192
        assert seen.alarms == ()

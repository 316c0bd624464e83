"""What a virtual run found out is told with its instants, and looking changes nothing of the run."""

from qstrata.core.time import PS_PER_S
from qstrata.network import witness
from qstrata.network.loader import load_text
from qstrata.network.scenarios.play import play
from qstrata.network.scenarios.script import load_scenario
from qstrata.network.simulation import Simulation
from tests.simulation.suspect_world import LINK, TEXT, SuspectWorld


def refused(answer):
    assert not answer.error


def simulation(lines):
    return Simulation(load_text(TEXT, "pair.yaml"), seed=3, log=lines)


def test_an_alarm_is_told_with_when_it_was_raised_and_cleared_in_virtual_time():
    run = simulation([])
    run.run_until(10 * PS_PER_S)
    run.assembly.inject("cut", LINK, 1.0, refused)
    run.run_until(20 * PS_PER_S)
    run.assembly.heal("cut", LINK, refused)
    run.run_until(30 * PS_PER_S)
    findings = run.report().findings
    lost = [alarm for alarm in findings.alarms if "lost the signal of fibre" in alarm.finding]
    assert len(lost) == 1
    assert 10 <= lost[0].raised_s <= 11.1
    assert 20 <= lost[0].cleared_s <= 22.1
    assert findings.alarms_raised == len(findings.alarms)


def test_suspect_links_and_their_keys_are_told_with_the_evidence():
    world = SuspectWorld().play()
    findings = world.sim.report().findings
    (attack,) = (alarm for alarm in findings.alarms if "possible attack" in alarm.finding)
    assert (attack.subject, attack.channel) == (LINK, "quantum channel")
    assert "error rate in Z" in attack.finding
    assert "by chance with probability" in attack.finding
    assert 24 <= attack.raised_s <= 30
    assert attack.cleared_s > 38
    (exposed,) = findings.exposures
    assert exposed.link == LINK
    assert exposed.set_aside > 50
    assert [link.state for link in findings.links] == ["active"]


def test_looking_changes_nothing_of_a_run(monkeypatch):
    logs = []
    for look_ps in (PS_PER_S, 7 * PS_PER_S):
        monkeypatch.setattr(witness, "LOOK_PS", look_ps)
        run = simulation(lines := [])
        run.start_demands()
        run.run_until(15 * PS_PER_S)
        run.report()
        run.run_until(20 * PS_PER_S)
        run.recorder.flush()
        logs.append(lines)
    assert logs[0] == logs[1]


def test_many_alarms_are_counted_and_the_newest_are_told(monkeypatch):
    monkeypatch.setattr(witness, "ALARMS_KEPT", 3)
    run = simulation([])
    for number in range(5):
        run.assembly.inject("cut", f"{LINK}/relay", 1.0, refused)
        run.run_until((10 * number + 5) * PS_PER_S)
        run.assembly.heal("cut", f"{LINK}/relay", refused)
        run.run_until((10 * number + 10) * PS_PER_S)
    findings = run.report().findings
    assert findings.alarms_raised == 5
    assert [alarm.raised_s // 10 for alarm in findings.alarms] == [2, 3, 4]


def test_the_report_of_a_scenario_has_what_was_found_out(tmp_path):
    file = tmp_path / "cut.yaml"
    file.write_text(
        "name: cut\nabout: a cut\nnetwork: ring\nlasts: 10s\nsteps:\n  - {at: 5s, inject: cut, on: r1-r2}\n"
    )
    played = play(load_scenario(str(file)))
    findings = played.report.findings
    assert [outcome.text for outcome in played.outcomes] == ["inject cut on r1-r2"]
    assert {alarm.subject for alarm in findings.alarms if "lost the signal" in alarm.finding} == {"r1-r2"}

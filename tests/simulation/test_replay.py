"""Somebody records what passes on the classical channels of a link and sends it again: nothing is harmed."""

import pytest

from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.testing.checker import check
from qstrata.testing.evidence import Message, read
from qstrata.testing.history import calls_of
from tests.simulation.looking import Forwarding, get_keys, heal, inject, run
from tests.simulation.suspect_world import LINK, TEXT, A, B

CHANNELS = (f"{LINK}/relay", f"{LINK}/distillation")
SECONDS = 30


class Run:
    """A minute of a network whose SAEs ask every second, with messages replayed at this share."""

    def __init__(self, share: float) -> None:
        self.log: list[bytes] = []
        self.sim = Simulation(load_text(TEXT, "pair.yaml"), seed=1, log=self.log, checked=True)
        run(self.sim, 10)
        for channel in CHANNELS if share else ():
            inject(self.sim, "replay", channel, share)
        self.answers = []
        for second in range(SECONDS):
            self.sim.run_until((11 + second) * 10**12)
            self.answers.append(get_keys(self.sim, A, B, 3))
        self.sim.recorder.flush()

    def replayed(self) -> set[str]:
        rows = (event for _, _, event in read(self.log) if isinstance(event, Message))
        return {row.type for row in rows if row.outcome == "replayed"}


@pytest.fixture(scope="module")
def honest() -> Run:
    return Run(0.0)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_replayed_messages_are_taken_once_and_as_much_key_is_made_and_given(share, honest):
    attacked = Run(share)
    assert {"Distil", "Relay"} <= attacked.replayed()
    verdict = check(attacked.log, calls_of(attacked.sim.history))
    assert verdict.ok, verdict.text()
    assert all(answer.outcome == 200 for answer in attacked.answers)
    pools = [Forwarding(each.sim).pool(LINK, "east") for each in (attacked, honest)]
    assert pools[0].generated == pools[1].generated > 0
    assert pools[0].destroyed == pools[1].destroyed == 0


def test_relays_count_what_they_refuse_and_telemetry_raises_an_alarm_that_ends_when_he_is_gone(honest):
    assert Forwarding(honest.sim).alarms == ()
    sim = Run(1.0).sim
    run(sim, 30)
    alarms = {alarm.subject: alarm for alarm in Forwarding(sim).alarms}
    assert set(alarms) <= {"east", "west"}
    assert all("refused that came again" in alarm.finding for alarm in alarms.values())
    assert alarms
    for channel in CHANNELS:
        heal(sim, "replay", channel)
    run(sim, 70)
    assert Forwarding(sim).alarms == ()


def test_equal_runs_replay_the_same():
    assert Run(1.0).sim.recorder.sha256() == Run(1.0).sim.recorder.sha256()


def test_nothing_is_replayed_once_he_is_gone():
    attacked = Run(1.0)
    before = len(attacked.log)
    for channel in CHANNELS:
        heal(attacked.sim, "replay", channel)
    run(attacked.sim, 20)
    attacked.sim.recorder.flush()
    assert b'"replayed"' not in b"".join(attacked.log[before:])

"""Overload is judged from looks in a row; detail comes back where there was room for long, never flapping."""

import asyncio
from itertools import chain, pairwise, repeat

import pytest

from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.network import overload as module
from qstrata.network.loader import load_text
from qstrata.network.overload import CALM_LOOKS, CALM_LOOKS_MAX, PAUSE_LOOKS, PROVEN_LOOKS, Overload, watch
from qstrata.network.simulation import Simulation
from tests.simulation.suspect_world import LINK, TEXT


def looks(*behind_s):
    overload = Overload()
    return [overload.step(round(behind * PS_PER_S), 0.9, is_eased=False) == "down" for behind in behind_s]


def test_three_looks_behind_in_a_row_are_overload():
    assert looks(1.0, 2.0, 3.0) == [False, False, True]


def test_a_moment_behind_is_none():
    assert not any(looks(*(5.0, 5.0, 0.0) * 20))
    assert not any(looks(*(0.999,) * 100))


def test_the_next_step_waits_for_the_relief_of_the_last():
    steps = [index for index, is_over in enumerate(looks(*(9.0,) * 40)) if is_over]
    assert {later - earlier for earlier, later in pairwise(steps)} == {PAUSE_LOOKS}
    assert len(steps) == 4


def rising(overload, share, behind_ps=0, most=2 * CALM_LOOKS_MAX):
    """Return after how many looks an eased network goes a step up, 0 for never."""
    for number in range(1, most):
        if overload.step(behind_ps, share, is_eased=True) == "up":
            return number
    return 0


def test_detail_comes_back_only_where_there_was_room_all_along():
    assert rising(Overload(), 0.2) == CALM_LOOKS
    assert rising(Overload(), 0.6) == 0
    assert rising(Overload(), 0.2, 200 * PS_PER_MS) == 0
    overload = Overload()
    for _ in range(CALM_LOOKS - 1):
        assert overload.step(0, 0.2, is_eased=True) == ""
    assert overload.step(0, 0.7, is_eased=True) == ""
    assert rising(overload, 0.2) == CALM_LOOKS
    assert not any(Overload().step(0, 0.1, is_eased=False) for _ in range(1000))


def test_a_step_up_that_was_too_much_is_tried_after_twice_as_long_and_hourly_at_last():
    overload, waited = Overload(), []
    for _ in range(9):
        waited.append(rising(overload, 0.2))
        for _ in range(20):
            if overload.step(5 * PS_PER_S, 1.0, is_eased=False) == "down":
                break
    assert waited[:4] == [CALM_LOOKS * 2**number for number in range(4)]
    assert waited[-1] == CALM_LOOKS_MAX
    rising(overload, 0.2)
    assert not any(overload.step(0, 0.6, is_eased=False) for _ in range(PROVEN_LOOKS))
    for _ in range(3):
        overload.step(5 * PS_PER_S, 1.0, is_eased=False)
    assert rising(overload, 0.2) == CALM_LOOKS


class OverError(Exception):
    pass


class Machine:
    """A machine whose figures are scripted; a second of virtual time passes between two looks."""

    def __init__(self, text, script):
        self.simulation = Simulation(load_text(text, "pair.yaml"), 3)
        self.script = iter(script)
        self.said = []

    def behind_ps(self):
        self.simulation.run_until(self.simulation.queue.now + PS_PER_S)
        standing = self.simulation.report().findings.alarms
        said = [
            alarm.finding
            for alarm in standing
            if alarm.channel == "device/coarse" and alarm.cleared_s is None
        ]
        if said != (self.said or [[]])[-1]:
            self.said.append(said)
        try:
            self.behind_s, self.busy = next(self.script)
        except StopIteration:
            raise OverError from None
        return self.behind_s * PS_PER_S

    def share(self):
        return self.busy

    def post(self, act, *arguments):
        act(*arguments)

    def run(self):
        with pytest.raises(OverError):
            asyncio.run(watch(self.simulation.assembly, self, self))
        return self.said


@pytest.mark.parametrize("level", ["counts", "clicks"])
def test_a_network_that_has_room_again_says_so_by_an_alarm_that_ends_and_goes_on(monkeypatch, level):
    monkeypatch.setattr(module, "LOOK_S", 0)
    text = TEXT.replace("block-s: 4", f"block-s: 4, level: {level}").replace("2.0e+8", "1.0e+6")
    text = text.replace("initial-key-bits: 8000", "initial-key-bits: 40000")
    busy = chain(repeat((0, 0.4), 6), repeat((3, 1.0), 3), repeat((0, 0.2), CALM_LOOKS + 12))
    machine = Machine(text, busy)
    (eased,), after = machine.run()
    said = "reports every 2 s" if level == "counts" else "emulated at level `counts`"
    assert eased == f"{said}: the network was 3.0 s behind the clock"
    assert after == []
    link = machine.simulation.report().findings.links[0]
    assert (link.name, link.state) == (LINK, "active")
    assert link.blocks >= 12
    assert (link.distilled is not None) == (level == "clicks")

"""How long after a failure an operator is told of it: the distribution over injected faults.

`pytest -s` prints the table.
"""

import statistics

import msgspec

from qstrata.core.address import End
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.operator import Inspect, Inspected
from qstrata.fabric.messages.reports import Alarm
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation
from tests.simulation.looking import heal, inject, run

LOOK_S = 0.05
"""How often the operator looks: an alert is told at most so much later."""
SIGNAL_S = 0.25
"""Light or a companion channel lost: its termination tells at once, over the management channel."""
SILENCE_S = 4.25
"""Instruments that can tell nothing: silent for three seconds, sampled once a second, and told."""
CLEAR_S = 30.0
TIMES = 8
"""Faults of each kind at each place, at drawn instants."""


class Told(msgspec.Struct, frozen=True):
    """How long it took to tell of each fault of one kind, in seconds."""

    kind: str
    delays_s: list[float]
    bound_s: float

    def row(self) -> str:
        """Return a line of the table."""
        d = sorted(self.delays_s)
        figures = (d[0], statistics.median(d), d[int(0.95 * (len(d) - 1))], d[-1], self.bound_s)
        return f"{self.kind:32}{len(d):>8}" + "".join(f"{figure:>9.2f}" for figure in figures)


def standing(sim: Simulation) -> list[Alarm]:
    """Return the alarms that an operator sees now, of all strata."""
    answers: list[Inspected | None] = []
    for end in (End.CONNECTIVITY_MGT, End.FORWARDING_MGT, End.SERVICE_MGT):
        sim.assembly.operate(
            lambda now, end=end: sim.assembly.operator.manager(end, Inspect, answers.append, now)
        )
    run(sim, LOOK_S)
    return [
        alarm for answer in answers if answer is not None for alarm in getattr(answer.report, "alarms", ())
    ]


def time_to_alert_s(sim: Simulation, target: str, bound_s: float) -> float:
    """Cut something, and return after how long an alarm names it; then heal it and wait until none stands."""
    since_ps = sim.queue.now
    inject(sim, "cut", target)
    while not (found := [alarm for alarm in standing(sim) if alarm.channel == target]):
        assert sim.queue.now - since_ps <= 2 * bound_s * PS_PER_S, f"nobody tells of {target}"
    delay_s = (sim.queue.now - since_ps) / PS_PER_S
    assert all(alarm.raised_ps >= since_ps for alarm in found)
    heal(sim, "cut", target)
    healed_ps = sim.queue.now
    while standing(sim):
        assert sim.queue.now - healed_ps <= CLEAR_S * PS_PER_S, f"the alarm of {target} stays"
    return delay_s


def test_every_failure_is_told_within_its_bound() -> None:
    description = load("madrid")
    sim = Simulation(description, seed=1)
    run(sim, 10)
    assert standing(sim) == []
    links = [link.name for link in description.links]
    kinds = (
        ("fibre cut", [f"fibre/{link}" for link in links], SIGNAL_S),
        ("distillation channel cut", [f"{link}/distillation" for link in links], SIGNAL_S),
        ("relay channel cut", [f"{link}/relay" for link in links], SIGNAL_S),
        ("management channel of a site cut", [f"management/{n.name}" for n in description.nodes], SILENCE_S),
    )
    instants = stream(1, "instants of faults")
    told = []
    for kind, targets, bound_s in kinds:
        delays_s = []
        for target in targets * TIMES:
            run(sim, 1.0 + float(instants.random()))
            delays_s.append(time_to_alert_s(sim, target, bound_s))
        told.append(Told(kind, delays_s, bound_s))
    print(f"\n{'time to alert, s':32}{'faults':>8}{'least':>9}{'median':>9}{'p95':>9}{'most':>9}{'bound':>9}")
    for kind_told in told:
        print(kind_told.row())
    assert sum(len(kind_told.delays_s) for kind_told in told) >= 100
    for kind_told in told:
        assert max(kind_told.delays_s) <= kind_told.bound_s

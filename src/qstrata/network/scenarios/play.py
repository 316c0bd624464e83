"""Play a scenario in virtual time: do what it says when it says it, look whether what is expected comes."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgspec

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.interfaces.etsi014.faults import KINDS as ANSWER_FAULTS
from qstrata.network.amounts import amount_in_words
from qstrata.network.demand import Demand, DemandSpec
from qstrata.network.scenarios.look import UP, Look, Value, look
from qstrata.network.scenarios.script import Loaded, Scenario, Step, Watched, time_ps
from qstrata.network.simulation import Simulation, SimulationReport

PATIENCE_PS = PS_PER_S
"""How long what is expected `within` a time is waited for before it is looked at again."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a step: when it was over, whether it holds, and what was found."""

    step: int
    at_s: float
    text: str
    holds: bool
    found: str = ""


class Series(msgspec.Struct, frozen=True):
    """A watched figure over time, None while nobody has measured it; a state is 1 while active or open."""

    figure: str
    subject: str
    times_s: tuple[float, ...]
    values: tuple[float | None, ...]


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario did: every step, every watched figure, and the run's report."""

    scenario: str
    about: str
    seed: int
    outcomes: tuple[Outcome, ...]
    series: tuple[Series, ...]
    report: SimulationReport

    @property
    def holds(self) -> bool:
        """Tell whether everything came as expected."""
        return all(outcome.holds for outcome in self.outcomes)


def play(
    loaded: Loaded,
    seed: int | None = None,
    told: Callable[[int], None] | None = None,
    **simulation: Any,
) -> Played:
    """Play a scenario to its end; a step that fails stops nothing.

    `told` hears how far it has come, in picoseconds. Further arguments are the simulation's. Raises
    InputError for what cannot be injected.
    """
    scenario = loaded.scenario
    chosen = scenario.seed if seed is None else seed
    with closing(Simulation(loaded.description, chosen, **simulation)) as made:
        return _Player(scenario, made, told).play(chosen)


class _Player:
    def __init__(
        self, scenario: Scenario, simulation: Simulation, told: Callable[[int], None] | None
    ) -> None:
        self._scenario = scenario
        self._simulation = simulation
        self._told = told
        self._every_ps = time_ps(scenario.every)
        self._sampled_ps: list[int] = []
        self._samples: list[list[float | None]] = [[] for _ in scenario.watch]
        self._asking: list[Demand] = []

    def play(self, seed: int) -> Played:
        self._simulation.start_demands()
        outcomes = [self._step(number, step) for number, step in enumerate(self._scenario.steps, 1)]
        self._go_to(time_ps(self._scenario.lasts))
        series = [
            Series(watched.figure, _subject(watched), tuple(map(to_seconds, self._sampled_ps)), tuple(values))
            for watched, values in zip(self._scenario.watch, self._samples, strict=True)
        ]
        return Played(
            scenario=self._scenario.name,
            about=self._scenario.about,
            seed=seed,
            outcomes=tuple(outcomes),
            series=tuple(series),
            report=self._simulation.report(),
        )

    def _go_to(self, at_ps: int) -> None:
        """Run to an instant, and write watched figures down on the way."""
        now = self._simulation.queue.now
        while self._samples and (due := self._next_sample()) <= at_ps:
            self._simulation.run_until(max(now, due))
            self._sample(due)
        if at_ps > self._simulation.queue.now:
            self._simulation.run_until(at_ps)
        if self._told is not None:
            self._told(self._simulation.queue.now)

    def _next_sample(self) -> int:
        return self._sampled_ps[-1] + self._every_ps if self._sampled_ps else 0

    def _sample(self, due: int) -> None:
        seen = self._look()
        self._sampled_ps.append(due)
        for watched, values in zip(self._scenario.watch, self._samples, strict=True):
            value = seen.figure(watched.figure, watched.of, watched.between)
            number = float(value) if not isinstance(value, str) else float(value in UP)
            values.append(number if seen.is_told(watched.figure, watched.of) else None)

    def _look(self) -> Look:
        seen = look(self._simulation)
        return msgspec.structs.replace(seen, demands=(*seen.demands, *self._asking))

    def _step(self, number: int, step: Step) -> Outcome:
        self._go_to(step.at_ps)
        if step.expect is not None:
            holds, found = self._expect(step)
            return self._outcome(number, _expected(step), holds, found)
        return self._outcome(number, self._do(step), True)

    def _outcome(self, number: int, text: str, holds: bool, found: str = "") -> Outcome:
        at_s = to_seconds(self._simulation.queue.now)
        return Outcome(step=number, at_s=at_s, text=text, holds=holds, found=found)

    def _do(self, step: Step) -> str:
        simulation = self._simulation
        if step.inject is not None:
            self._hurt(step.inject, step)
            amount = amount_in_words(step.inject, step.amount)
            return f"inject {step.inject} on {step.on}{amount and f' ({amount})'}"
        if step.heal is not None:
            if step.heal in ANSWER_FAULTS:
                simulation.assembly.answer_faults.heal(step.heal, step.on)
            else:
                simulation.assembly.heal(step.heal, step.on, _refused)
            return f"heal {step.heal} on {step.on}"
        if step.crash is not None:
            simulation.crash(step.crash)
            return f"crash {step.crash}"
        if step.restart is not None:
            simulation.restart(step.restart)
            return f"restart {step.restart}"
        assert step.ask is not None
        ask = step.ask
        asking, fetching = (simulation.saes[name] for name in ask.between)
        spec = DemandSpec(*ask.between, ask.keys_per_s, ask.number)
        demand = Demand(simulation.queue, spec, asking, fetching, 0)
        simulation.queue.push(simulation.queue.now + time_ps(ask.during), demand.end)
        self._asking.append(demand)
        return f"{ask.between[0]} asks for {ask.keys_per_s:g} keys/s for {ask.during}"

    def _hurt(self, kind: str, step: Step) -> None:
        assembly = self._simulation.assembly
        if kind in ANSWER_FAULTS:
            assembly.answer_faults.inject(kind, step.on, step.amount, self._simulation.queue.now)
        else:
            assembly.inject(kind, step.on, step.amount, _refused)

    def _expect(self, step: Step) -> tuple[bool, str]:
        assert step.expect is not None
        limit_ps = self._simulation.queue.now + time_ps(step.within)
        while True:
            seen = self._look()
            value = seen.figure(step.expect, step.of, step.between, step.saying)
            if not seen.is_told(step.expect, step.of):
                value = "not measured yet"
            elif _is_so(step, value):
                return True, _told(value)
            if self._simulation.queue.now >= limit_ps:
                alarms = "; ".join(f"{alarm.subject}: {alarm.finding}" for alarm in seen.alarms())
                return False, _told(value) + (f" (alarms: {alarms})" if alarms else "")
            self._go_to(min(limit_ps, self._simulation.queue.now + PATIENCE_PS))


def _refused(answer: Any) -> None:
    if answer is not None and answer.error:
        raise InputError(answer.error)


def _is_so(step: Step, value: Value) -> bool:
    if isinstance(value, str):
        return value == step.equals
    low, high = step.at_least, step.at_most
    return (low is None or value >= low) and (high is None or value <= high)


def _told(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _subject(of: Watched | Step) -> str:
    return of.of or (" and ".join(of.between) if of.between else "")


def _expected(step: Step) -> str:
    bounds = [
        f"at least {step.at_least:g}" if step.at_least is not None else "",
        f"at most {step.at_most:g}" if step.at_most is not None else "",
        step.equals or "",
        f"saying {step.saying!r}" if step.saying else "",
        f"within {step.within}" if step.within != "0s" else "",
    ]
    subject = _subject(step)
    of = f" of {subject}" if subject else ""
    return f"expect {step.expect}{of} {', '.join(bound for bound in bounds if bound)}"

"""The engine `trace:FILE`: blocks that were recorded, told again as they were; key bits are drawn.

Within a block the figures are told evenly over its time: a trace does not say more. Of faults a trace follows
the cut of its fibre alone; a block that it ends begins anew when light is back.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from qstrata.core.effects import WorkDone
from qstrata.core.randomness import RandomSource
from qstrata.physics.parameters import KeyLinkParameters
from qstrata.physics.tallies import Tally
from qstrata.planes.beats import next_beat_ps
from qstrata.twin.contract import Capabilities, EngineFactory, LinkTask, Window

TRACE = "trace"


class RecordedBlock(msgspec.Struct, frozen=True, kw_only=True):
    """One block: how long it took, its tally, and how much key it had where the devices distilled it."""

    duration_ps: int
    tally: Tally
    distilled_bits: int = 0


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Blocks of one link of a protocol; `name` is that of the file.

    `at_end` says what comes after the last one: the first again, or nothing more.
    """

    name: str
    protocol: str
    pulse_rate_hz: float
    at_end: Literal["repeat", "stop"]
    blocks: tuple[RecordedBlock, ...]

    def block(self, number: int) -> RecordedBlock | None:
        """Return the block of a number, counted from 1; None where the trace has ended."""
        if self.at_end == "stop" and number > len(self.blocks):
            return None
        return self.blocks[(number - 1) % len(self.blocks)]


def trace_engine(trace: Trace) -> EngineFactory:
    """Return what makes engines that replay a trace."""
    return lambda task: TraceEngine(task, trace)


class TraceEngine:
    """Replay the blocks of a trace, chosen by their numbers: a network that comes up again goes on in it."""

    def __init__(self, task: LinkTask, trace: Trace) -> None:
        self.running = False
        self.next_ps = 0
        self.block = task.first_block
        self._task = task
        self._trace = trace
        self._nothing = task.parameters.protocol.nothing
        self._dark = math.isinf(task.parameters.loss_db)
        self._began_ps = 0
        self._told = self._nothing

    def capabilities(self) -> Capabilities:
        """Return what the engine can do."""
        return Capabilities(name=f"{TRACE}:{self._trace.name}", protocols=(self._trace.protocol,))

    def estimate(self) -> float:
        """Return 0: nothing is computed."""
        return 0.0

    def begin(self, not_before_ps: int) -> None:
        """Begin the open block at this instant."""
        self.running = True
        self._open(not_before_ps)

    def work(self) -> None:
        """Return None: there is nothing to do."""

    def advance(self, now: int, done: WorkDone | None = None) -> Window:
        """Close the window that ends at `next_ps`: the share of the block's figures that its time is."""
        number, recorded, ended = self.block, self._recorded, self.next_ps
        if recorded is None:
            self.next_ps = next_beat_ps(self._task.link, self._task.period_ps, ended)
            if self._dark:
                return Window(number, self._nothing, None)
            told = f"the trace {self._trace.name} has ended after {len(self._trace.blocks)} blocks"
            return Window(number, self._nothing, None, finding=told)
        gone_ps = ended - self._began_ps
        so_far = part(recorded.tally, gone_ps, recorded.duration_ps)
        window = Window(number, less(so_far, self._told), None)
        self._told = so_far
        if gone_ps == recorded.duration_ps:
            window = msgspec.structs.replace(
                window, total=recorded.tally, distilled_bits=recorded.distilled_bits
            )
            self.block += 1
            self._open(ended)
        else:
            self._next(recorded, ended)
        return window

    def change(self, parameters: KeyLinkParameters, now: int) -> None:
        """Follow a cut of the fibre, and light that is back: the open block begins anew."""
        dark = math.isinf(parameters.loss_db)
        if dark != self._dark:
            self._dark = dark
            if self.running:
                self._open(now)

    def halt(self, now: int) -> None:
        """Stop; the open block begins anew."""
        self.running = False
        self._open(now)

    def bits(self, block: int) -> RandomSource:
        """Return the source of a block's key bits: no trace has any."""
        return self._task.key_bits(block)

    @property
    def _recorded(self) -> RecordedBlock | None:
        return None if self._dark else self._trace.block(self.block)

    def _open(self, now: int) -> None:
        self._began_ps = now
        self._told = self._nothing
        recorded = self._recorded
        if recorded is None:
            self.next_ps = next_beat_ps(self._task.link, self._task.period_ps, now)
        else:
            self._next(recorded, now)

    def _next(self, recorded: RecordedBlock, now: int) -> None:
        beat_ps = next_beat_ps(self._task.link, self._task.period_ps, now)
        self.next_ps = min(beat_ps, self._began_ps + recorded.duration_ps)


def part(tally: Tally, time_ps: int, duration_ps: int) -> Tally:
    """Return what is tallied of a block after some of its time: every figure in proportion, rounded down."""
    return _built(tally, [figure * time_ps // duration_ps for figure in _figures(tally)])


def less(tally: Tally, told: Tally) -> Tally:
    """Return what a tally has beyond what was told of it before."""
    pairs = zip(_figures(tally), _figures(told), strict=True)
    return _built(tally, [figure - before for figure, before in pairs])


def _figures(tally: Tally) -> list[int]:
    """Return all figures of a tally, nested ones one after the other."""
    found: list[int] = []

    def find(value: Any) -> None:
        if isinstance(value, tuple):
            for each in value:
                find(each)
        else:
            found.append(value)

    find(msgspec.structs.astuple(tally))
    return found


def _built(like: Tally, figures: Sequence[int]) -> Tally:
    """Return a tally of the kind of another, of its figures as `_figures` orders them."""
    rest = iter(figures)

    def build(value: Any) -> Any:
        return tuple(map(build, value)) if isinstance(value, tuple) else next(rest)

    return type(like)(*map(build, msgspec.structs.astuple(like)))

"""The native engine at level `clicks`: every click of a block, recorded at both ends."""

from collections.abc import Sequence

import msgspec
import numpy as np

from qstrata.core.effects import WorkDone
from qstrata.core.time import PS_PER_S
from qstrata.physics.click_records import Clicks, counts_of, joined
from qstrata.physics.clicks import ClickSampler
from qstrata.physics.counts import Counts, expected_counts, zero
from qstrata.physics.parameters import KeyLinkParameters, decoy
from qstrata.twin.contract import Capabilities, LinkTask, Window
from qstrata.twin.native import CLICKS, NATIVE, NativeEngine
from qstrata.twin.sampling import Odds, odds, watched

_SECONDS_PER_CLICK = 60e-9
_SECONDS_PER_WINDOW = 100e-6


class ClickEngine(NativeEngine):
    """Run one link click by click: windows tell what devices see by themselves, blocks have records.

    Nothing is drawn ahead. Clicks of a stretch that a change cut short stay; none is drawn twice.
    """

    ahead = 1

    def __init__(self, task: LinkTask) -> None:
        super().__init__(task)
        self._sampler = ClickSampler(decoy(task.parameters))
        self._seen: Odds = odds(task.parameters)
        self._clicks: list[Clicks] = []
        self._pulses = 0

    def capabilities(self) -> Capabilities:
        """Return what the engine can do."""
        return Capabilities(name=NATIVE, levels=(CLICKS,))

    def estimate(self) -> float:
        """Return the seconds of the clock for one of the link: its clicks, and a report for each window."""
        parameters = decoy(self._task.parameters)
        clicks_per_s = expected_counts(parameters, parameters.pulse_rate_hz).detections
        windows_per_s = PS_PER_S / self._task.period_ps
        return clicks_per_s * _SECONDS_PER_CLICK + windows_per_s * _SECONDS_PER_WINDOW

    def change(self, parameters: KeyLinkParameters, now: int) -> None:
        """Let the link behave differently from this instant on."""
        super().change(parameters, now)
        self._sampler.change(decoy(parameters))
        self._seen = odds(parameters)

    def draw(self, generator: np.random.Generator, pulses: Sequence[int]) -> list[Counts]:
        """Draw the clicks of the next stretch, and return what the devices count without comparing."""
        (stretch,) = pulses
        clicks = self._sampler.sample(generator, stretch)
        sent = self._sampler.sent(generator, clicks, stretch)
        self._clicks.append(Clicks(clicks.positions + self._pulses, clicks.records))
        self._pulses += stretch
        counts = watched(generator, self._seen, counts_of(clicks, sent))
        nothing = zero()
        return [msgspec.structs.replace(counts, n=nothing.n, m=nothing.m)]

    def advance(self, now: int = 0, done: WorkDone | None = None) -> Window:
        """Close the window that ends at `next_ps`, with the records of the block if it ends there."""
        window = super().advance(now, done)
        if window.total is None:
            return window
        clicks, self._clicks, self._pulses = joined(self._clicks), [], 0
        return msgspec.structs.replace(window, clicks=clicks)

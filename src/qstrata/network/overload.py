"""Overload: a machine that does not keep up with its network is given less detail to emulate, and says so.

Detail comes back, step by step, when there has been room for long enough; the longer, the sooner the machine
was behind again the last time.
"""

import asyncio
import time
from typing import Literal

from qstrata.core.time import PS_PER_MS, PS_PER_S, to_seconds
from qstrata.kernel.pacing import RealTimePacer
from qstrata.network.assembly import Assembly
from qstrata.network.plan import WORLD_NODE
from qstrata.twin.engine import Twin

BEHIND_PS = PS_PER_S
"""An event that is due and has waited so long, at several looks in a row, is overload; chosen by qstrata."""

LOOKS = 3
LOOK_S = 1.0
PAUSE_LOOKS = 10
"""After a step down the next one waits for so many looks: its relief must show first."""

CALM_PS = 100 * PS_PER_MS
ROOM_SHARE = 0.5
"""There is room at a look if nothing has waited longer, and the process has used less of one core."""

CALM_LOOKS = 60
CALM_LOOKS_MAX = 3600
"""A step up needs room at so many looks in a row; twice as many, up to the most, after one too much."""

PROVEN_LOOKS = 300
"""A step up was too much if a step down follows within so many looks."""

Step = Literal["down", "up", ""]


class Meter:
    """Measure how much of one core this process uses."""

    def __init__(self) -> None:
        self._last = time.process_time(), time.monotonic()

    def share(self) -> float:
        """Return the share since it was last asked: above 1 where threads work beside each other."""
        before, self._last = self._last, (time.process_time(), time.monotonic())
        elapsed_s = self._last[1] - before[1]
        return (self._last[0] - before[0]) / elapsed_s if elapsed_s > 0.0 else 1.0


class Overload:
    """Judge from looks, one a second, when to go a step down or up."""

    def __init__(self) -> None:
        self._late = 0
        self._pause = 0
        self._calm = 0
        self._needed = CALM_LOOKS
        self._since_up = PROVEN_LOOKS

    def step(self, behind_ps: int, share: float, *, is_eased: bool) -> Step:
        """Tell what to do now that the network is so far behind the clock and the process so busy."""
        self._since_up = min(self._since_up + 1, PROVEN_LOOKS)
        if self._since_up == PROVEN_LOOKS and self._needed > CALM_LOOKS and not is_eased:
            self._needed = CALM_LOOKS
        self._calm = self._calm + 1 if behind_ps < CALM_PS and share < ROOM_SHARE else 0
        if self._is_over(behind_ps):
            if self._since_up < PROVEN_LOOKS:
                self._needed = min(2 * self._needed, CALM_LOOKS_MAX)
            self._calm, self._since_up = 0, PROVEN_LOOKS
            return "down"
        if is_eased and self._calm >= self._needed:
            self._calm = self._since_up = 0
            return "up"
        return ""

    def _is_over(self, behind_ps: int) -> bool:
        self._pause = max(0, self._pause - 1)
        self._late = self._late + 1 if behind_ps >= BEHIND_PS else 0
        if self._late < LOOKS or self._pause:
            return False
        self._late, self._pause = 0, PAUSE_LOOKS
        return True


async def watch(assembly: Assembly, pacer: RealTimePacer, meter: Meter | None = None) -> None:
    """Look once a second, ease the twin when it lags, refine it where there is room; never returns."""
    overload, meter = Overload(), meter or Meter()
    while True:
        await asyncio.sleep(LOOK_S)
        behind_ps = pacer.behind_ps()
        match overload.step(behind_ps, meter.share(), is_eased=_is_eased(assembly)):
            case "down":
                pacer.post(ease, assembly, behind_ps)
            case "up":
                pacer.post(refine, assembly)


def ease(assembly: Assembly, behind_ps: int) -> None:
    """Let the twin go one step down in detail."""
    why = f"the network was {to_seconds(behind_ps):.1f} s behind the clock"
    now = assembly.queue.now
    for twin in _twins(assembly):
        assembly.host.perform(WORLD_NODE, twin.ease(why, now), now)


def refine(assembly: Assembly) -> None:
    """Let the twin go one step up in detail."""
    now = assembly.queue.now
    for twin in _twins(assembly):
        assembly.host.perform(WORLD_NODE, twin.refine(now), now)


def _is_eased(assembly: Assembly) -> bool:
    return any(twin.is_eased for twin in _twins(assembly))


def _twins(assembly: Assembly) -> list[Twin]:
    return [element for element in assembly.host.elements(WORLD_NODE) if isinstance(element, Twin)]

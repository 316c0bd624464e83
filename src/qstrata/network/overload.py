"""Overload: a machine that does not keep up with its network is given less detail to emulate, and says so."""

import asyncio

from qstrata.core.time import PS_PER_S, to_seconds
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


class Overload:
    """Judge from looks, one a second, when to go a step down."""

    def __init__(self) -> None:
        self._late = 0
        self._pause = 0

    def is_over(self, behind_ps: int) -> bool:
        """Tell whether to go a step down now that the network is so far behind the clock."""
        self._pause = max(0, self._pause - 1)
        self._late = self._late + 1 if behind_ps >= BEHIND_PS else 0
        if self._late < LOOKS or self._pause:
            return False
        self._late, self._pause = 0, PAUSE_LOOKS
        return True


async def watch(assembly: Assembly, pacer: RealTimePacer) -> None:
    """Look once a second, and ease the twin when it does not keep up; never returns."""
    overload = Overload()
    while True:
        await asyncio.sleep(LOOK_S)
        behind_ps = pacer.behind_ps()
        if overload.is_over(behind_ps):
            pacer.post(ease, assembly, behind_ps)


def ease(assembly: Assembly, behind_ps: int) -> None:
    """Let the twin go one step down in detail."""
    why = f"the network was {to_seconds(behind_ps):.1f} s behind the clock"
    now = assembly.queue.now
    for element in assembly.host.elements(WORLD_NODE):
        if isinstance(element, Twin):
            assembly.host.perform(WORLD_NODE, element.ease(why, now), now)

"""The run of one link: which pulses fall into which report and block, and what they gave.

It knows no messages. Its time is the receiver's: a change acts on the pulses that arrive from then on.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from qstrata.core.errors import InternalError
from qstrata.core.randomness import stream
from qstrata.physics.parameters import KeyLinkParameters
from qstrata.physics.tallies import Tally, add
from qstrata.planes.beats import phase_ps
from qstrata.twin.contract import Window
from qstrata.twin.sampling import pulses_before
from qstrata.twin.tallying import sampler

WINDOWS_AHEAD = 64
"""At most so many reports are drawn ahead, in one draw."""


class LinkRun:
    """Count a link's pulses by report period and block, drawn ahead and redrawn after a change.

    Reports end at instants that lie `phase_ps(name)` into the period, and where a block ends. Every draw
    comes from the stream (seed, "twin", name, block, revision); the revision counts the redraws of a block.
    """

    ahead = WINDOWS_AHEAD

    def __init__(
        self,
        name: str,
        parameters: KeyLinkParameters,
        *,
        seed: int,
        block_ps: int,
        period_ps: int,
        first_block: int = 1,
    ) -> None:
        self.name = name
        self.block = first_block
        self.running = False
        self.next_ps = 0
        self._rate_hz = parameters.pulse_rate_hz
        self._nothing = parameters.protocol.nothing
        self._sample = sampler(parameters)
        self._seed = seed
        self._block_ps = block_ps
        self._period_ps = period_ps
        self._phase_ps = phase_ps(name, period_ps)
        self._mark_ps = 0
        self._offset_ps = 0
        self._carry = self._nothing
        self._total = self._nothing
        self._revision = 0
        self._generator: np.random.Generator | None = None
        self._windows: deque[tuple[int, Tally]] = deque()

    def begin(self, not_before_ps: int) -> None:
        """Run from the first report instant that is not earlier than `not_before_ps`."""
        since = (not_before_ps - self._phase_ps) % self._period_ps
        self._mark_ps = not_before_ps + (-since) % self._period_ps
        self.next_ps = self._window_end(self._mark_ps, self._offset_ps)
        self.running = True

    def report_every(self, period_ps: int, now: int) -> None:
        """Report at another period from this instant on; what was counted goes into the next report."""
        if self.running:
            self._settle(now)
        self._period_ps = period_ps
        self._phase_ps = phase_ps(self.name, period_ps)
        self.next_ps = self._window_end(self._mark_ps, self._offset_ps)

    def halt(self, now: int) -> None:
        """Stop at this instant; what was counted since the last report goes into the next one."""
        self._settle(now)
        self.running = False

    def change(self, parameters: KeyLinkParameters, now: int) -> None:
        """Let the link behave differently from this instant on."""
        if self.running:
            self._settle(now)
        self._sample = sampler(parameters)

    def advance(self) -> Window:
        """Close the window that ends at `next_ps` and open the next one."""
        if not self._windows:
            self._draw_ahead()
        step_ps, counts = self._windows.popleft()
        if self._carry is not self._nothing:
            counts = add(self._carry, counts)
            self._carry = self._nothing
        self._total = add(self._total, counts)
        self._offset_ps += step_ps
        self._mark_ps = self.next_ps
        closed = Window(self.block, counts, None)
        if self._offset_ps == self._block_ps:
            closed = Window(self.block, counts, self._total)
            self.block += 1
            self._offset_ps = self._revision = 0
            self._total = self._nothing
            self._generator = None
        self.next_ps = self._window_end(self._mark_ps, self._offset_ps)
        return closed

    def draw(self, generator: np.random.Generator, pulses: Sequence[int]) -> Sequence[Tally]:
        """Draw the counts of the next stretches of pulses, at most `ahead` of them."""
        return self._sample(generator, pulses)

    def _window_end(self, start_ps: int, offset_ps: int) -> int:
        to_grid = self._period_ps - (start_ps - self._phase_ps) % self._period_ps
        return start_ps + min(to_grid, self._block_ps - offset_ps)

    def _draw_ahead(self) -> None:
        if self._generator is None:
            self._generator = stream(self._seed, "twin", self.name, self.block, self._revision)
        steps: list[int] = []
        pulses: list[int] = []
        at, end, offset = self._mark_ps, self.next_ps, self._offset_ps
        sent = pulses_before(self._rate_hz, offset)
        while True:
            offset += end - at
            steps.append(end - at)
            before, sent = sent, pulses_before(self._rate_hz, offset)
            pulses.append(sent - before)
            if offset == self._block_ps or len(steps) == self.ahead:
                break
            at, end = end, self._window_end(end, offset)
        self._windows.extend(zip(steps, self.draw(self._generator, pulses), strict=True))

    def _settle(self, now: int) -> None:
        """Fix what was counted up to now, and forget what was drawn for later: nobody has seen it."""
        if now > self.next_ps:
            raise InternalError(f"link {self.name} is changed at {now} before its report at {self.next_ps}")
        self._windows.clear()
        self._revision += 1
        self._generator = stream(self._seed, "twin", self.name, self.block, self._revision)
        elapsed_ps = now - self._mark_ps
        if elapsed_ps <= 0:
            return
        before = pulses_before(self._rate_hz, self._offset_ps)
        self._offset_ps += elapsed_ps
        pulses = pulses_before(self._rate_hz, self._offset_ps) - before
        self._carry = add(self._carry, self.draw(self._generator, (pulses,))[0])
        self._mark_ps = now

"""Engines that run a link block by block off the loop: what they share, and the bits that they gave."""

import math
from collections.abc import Callable

import msgspec

from qstrata.core.effects import Work, WorkDone
from qstrata.core.errors import InternalError
from qstrata.core.randomness import RandomSource
from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.physics.counts import Counts, zero
from qstrata.physics.parameters import KeyLinkParameters, LinkParameters, decoy
from qstrata.twin.contract import Capabilities, LinkTask, Window

BLOCKS_KEPT = 8
"""Bits of at most so many closed blocks wait to be asked for."""

REST_BLOCKS = 4
REST_LIMITS = 2
"""An engine that hung rests for so many blocks, at least for so many times what it may take, in link time."""

REST_GROWTH = 4
"""Each rest is so many times as long as the one before, while no block comes."""

REST_MAX_PS = 3600 * PS_PER_S
"""No rest is longer, so that a script that was mended comes back."""


class FindingError(Exception):
    """What work gave cannot be a block; the text says why, and goes into the alarm."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a block's work gave: counts, key bits, how many of them are distilled, and the time it takes.

    `distilled_bits` 0: the bits are what both ends distil from the counts. `made_ps`: how long after the
    beginning of the block the devices have made it.
    """

    counts: Counts
    bits: RandomSource
    distilled_bits: int = 0
    made_ps: int = 0


class FixedBits:
    """Give bits that are there already, zero beyond their end."""

    def __init__(self, given: bytes) -> None:
        self._given = given
        self._at = 0

    def bytes(self, length: int, /) -> bytes:
        """Return the next bytes."""
        start, self._at = self._at, self._at + length
        return self._given[start : self._at].ljust(length, b"\0")


class BlockwiseEngine:
    """Run one link by one piece of work for each block, begun when the block begins and due when it ends.

    `make_work(block, revision, parameters)` says what is to be done, `take(done)` what it gave; it raises
    FindingError; `forget` is called where what was given before is no more of this link. A change or a stop
    discards the block under way; dark fibre gives no block. An engine that is late begins its next block when
    the last one came, so that lateness does not grow. Work that takes all the time it may has hung: the
    engine rests, longer each time, for a run in virtual time waits for each try.
    """

    def __init__(
        self,
        task: LinkTask,
        capabilities: Capabilities,
        make_work: Callable[[int, int, LinkParameters], Work],
        take: Callable[[WorkDone], Given],
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self.task = task
        self.running = False
        self.next_ps = 0
        self.block = task.first_block
        self._capabilities = capabilities
        self._make_work = make_work
        self._take = take
        self._forget = forget
        self._parameters = decoy(task.parameters)
        self._revision = 0
        self._began_ps = 0
        self._hangs = 0
        self._rests_until_ps = 0
        self._given: Given | None = None
        self._made: dict[int, RandomSource] = {}
        self._wall_s_per_s: float | None = None

    def capabilities(self) -> Capabilities:
        """Return what the engine can do."""
        return self._capabilities

    def estimate(self) -> float | None:
        """Return the seconds of the clock for one of the link, as measured; None before the first block."""
        return self._wall_s_per_s

    def begin(self, not_before_ps: int) -> None:
        """Begin a block at `not_before_ps`."""
        self.running = True
        self._open(not_before_ps)

    def work(self) -> Work | None:
        """Return what is to be done for the open block; None where it is done or the fibre is dark."""
        if self._given is not None or self._is_dark or self._rests:
            return None
        return self._make_work(self.block, self._revision, self._parameters)

    def advance(self, now: int, done: WorkDone | None = None) -> Window:
        """Close the block with what its work gave, or keep it open until the devices have made it."""
        number = self.block
        if self._is_dark or self._rests:
            self._open(now)
            return Window(number, zero(), None)
        given = self._given
        if given is None:
            if done is None:
                raise InternalError(f"link {self.task.link}: block {number} ends without its work")
            self._wall_s_per_s = done.took_s * PS_PER_S / self.task.block_ps
            try:
                given = self._take(done)
            except FindingError as finding:
                self.block += 1
                told = f"block {number} is lost: {finding}{self._rest(done, now)}"
                self._open(now)
                return Window(number, zero(), None, finding=told)
            self._hangs = 0
            if self._began_ps + given.made_ps > now:
                self._given = given
                self.next_ps = self._began_ps + given.made_ps
                return Window(number, zero(), None)
        self._keep(number, given)
        self.block += 1
        self._open(now)
        return Window(number, given.counts, given.counts, distilled_bits=given.distilled_bits)

    def change(self, parameters: KeyLinkParameters, now: int) -> None:
        """Let the link behave differently from now on: the block under way begins anew."""
        self._parameters = decoy(parameters)
        self._forget()
        if self.running:
            self._open(now)

    def halt(self, now: int) -> None:
        """Stop; the block under way is discarded."""
        self.running = False
        self._forget()
        self._open(now)

    def bits(self, block: int) -> RandomSource:
        """Return the bits of a closed block, once; provisioned bits are drawn."""
        return self._made.pop(block) if block in self._made else self.task.key_bits(block)

    @property
    def _is_dark(self) -> bool:
        return math.isinf(self._parameters.loss_db)

    @property
    def _rests(self) -> bool:
        return self._began_ps < self._rests_until_ps

    def _rest(self, done: WorkDone, now: int) -> str:
        """Rest after work that hung, and return how long, in words."""
        if not done.failure or done.took_s < self.task.limit_s:
            return ""
        least_ps = max(REST_BLOCKS * self.task.block_ps, round(REST_LIMITS * self.task.limit_s * PS_PER_S))
        rest_ps = min(least_ps * REST_GROWTH**self._hangs, max(least_ps, REST_MAX_PS))
        self._hangs += 1
        self._rests_until_ps = now + rest_ps
        return f"; tried again in {to_seconds(rest_ps):.0f} s"

    def _open(self, now: int) -> None:
        self._revision += 1
        self._given = None
        self._began_ps = now
        self.next_ps = max(now + self.task.block_ps, self._rests_until_ps)

    def _keep(self, number: int, given: Given) -> None:
        self._made[number] = given.bits
        if len(self._made) > BLOCKS_KEPT:
            del self._made[min(self._made)]

"""What runs a link, behind one small protocol; and what the twin asks of each part of the world.

An engine is made for one link and knows no messages: it says when a window of pulses ends and what it
gave. The twin does the rest: instructions, delays, held blocks, reports.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effects, Work, WorkDone
from qstrata.core.randomness import RandomSource, stream
from qstrata.fabric.messages.base import Message
from qstrata.physics.click_records import Clicks
from qstrata.physics.parameters import KeyLinkParameters
from qstrata.physics.tallies import Tally
from qstrata.twin.faults import FaultBook


class LinkTask(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is made for: one healthy link.

    A block ends after `block_ps` of running time and windows after at most `period_ps`; blocks count from
    `first_block` (>= 1). All draws come from streams of `seed`, except key bits: `key_bits(block)` is where
    an engine that draws them takes them from. Engines that make keys of a given length make
    `block_key_bits` a block; a block's work off the loop may take `limit_s` of the clock.
    """

    link: str
    parameters: KeyLinkParameters
    length_km: float
    block_ps: int
    period_ps: int
    first_block: int
    seed: int
    key_bits: Callable[[int], RandomSource]
    block_key_bits: int = 256
    limit_s: float = 300.0
    level: str = "counts"

    def draws(self, block: int, revision: int) -> int:
        """Return a seed below 2**31 for work on a block; another revision of the block has another."""
        return int(stream(self.seed, "twin", self.link, block, revision, "work").integers(2**31))


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine can do: its name, its protocols, and the levels of detail at which it runs its task.

    `off_loop`: its blocks are work done off the loop, which needs an executor of jobs.
    """

    name: str
    protocols: tuple[str, ...] = ("decoy-bb84",)
    levels: tuple[str, ...] = ("counts",)
    off_loop: bool = False


class Window(msgspec.Struct, frozen=True):
    """Hold what one report tells; `total` is that of the whole block where this window ends it.

    `distilled_bits` > 0: the devices distil by themselves, and the block has so many bits of key. `finding`
    says why a block is lost; such a window has no total. `clicks` are the records of both devices where the
    block is raw: its counts then hold only what each device knows by itself.
    """

    block: int
    counts: Tally
    total: Tally | None
    distilled_bits: int = 0
    finding: str = ""
    clicks: Clicks | None = None


class LinkEngine(Protocol):
    """Run one link. Instants are those of the receiver, in picoseconds; nothing is told before it is due.

    While `running`, the open window ends at `next_ps`: the twin calls `advance` at that instant, with what
    came of the window's `work` if it has any, which may be later. Equal tasks, calls and results of work give
    equal windows and bits.
    """

    running: bool
    next_ps: int

    def capabilities(self) -> Capabilities:
        """Return what the engine can do."""
        ...

    def estimate(self) -> float | None:
        """Return the seconds of the clock that one second of this link takes; None if not known yet."""
        ...

    def begin(self, not_before_ps: int) -> None:
        """Run from an instant that is not earlier than `not_before_ps`; goes on with an open block."""
        ...

    def work(self) -> Work | None:
        """Return what must be done off the loop for the open window, None if nothing."""
        ...

    def advance(self, now: int, done: WorkDone | None = None) -> Window:
        """Close the window that ends at `next_ps`, at that instant or later, and open the next one."""
        ...

    def change(self, parameters: KeyLinkParameters, now: int) -> None:
        """Let the link behave differently from this instant on; what was computed for later is discarded."""
        ...

    def halt(self, now: int) -> None:
        """Stop at this instant; what was counted since the last window goes into the next one."""
        ...

    def bits(self, block: int) -> RandomSource:
        """Return the source of the distilled bits of a closed block, the same at both ends."""
        ...


EngineFactory = Callable[[LinkTask], LinkEngine]


class Part(Protocol):
    """A part of the world whose devices follow instructions (T6) and whose bearers meet faults (T8)."""

    @property
    def owners(self) -> Sequence[Address]:
        """Return the elements that own its devices: whose instructions it follows."""
        ...

    @property
    def bearers(self) -> Sequence[str]:
        """Return the bearers that it lies on."""
        ...

    @property
    def kinds(self) -> Sequence[type[Message]]:
        """Return the instructions that its devices follow."""
        ...

    def instruct(self, message: Message, sender: Address, now: int) -> Effects:
        """Follow an instruction of an owner; InternalError for one that its device cannot follow."""
        ...

    def follow(self, bearer: str, faults: FaultBook, now: int) -> Effects:
        """Let the light follow the faults that now stand at a bearer."""
        ...

    def loss_db(self, bearer: str) -> float:
        """Return the loss of a healthy bearer."""
        ...

    @property
    def next_block(self) -> int:
        """Return the first block number that it has not begun."""
        ...

    def succeed(self, before: Any, faults: FaultBook, now: int) -> Effects:
        """Take the place of a part that differs from it in its figures: devices stay as they were told.

        Blocks under way are lost.
        """
        ...

    def end(self) -> None:
        """Tell nobody anything any more."""
        ...

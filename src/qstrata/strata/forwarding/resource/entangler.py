"""Keep pairs coming over one link, one at a time in one cell, each with its cut-off."""

from collections.abc import Callable
from functools import partial

import msgspec

from qstrata.core.effects import Effect, Effects, Handle, Send, Timer
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.qubits import CreatePair, FreeCell, Heralded, Refused, StoreQubit
from qstrata.physics.bell import BellState

AGAIN_PS = PS_PER_S // 10
"""A pair that a device would not attempt is asked for again after so long."""


class LinkSide(msgspec.Struct, frozen=True, kw_only=True):
    """Say which link an entangler keeps, in which cell; `cutoff_ps` after its creation a pair is given up.

    A cut-off of 0 means none. Pairs are asked for at multiples of `round_ps` alone, the same instants at
    every station, so that no pair waits for a link that has not been asked; 0 asks at once.
    """

    link: str
    cell: int
    cutoff_ps: int = 0
    round_ps: int = 0


class HeldPair(msgspec.Struct, frozen=True):
    """One half of a link pair, held in a cell since the herald."""

    pair: str
    cell: int
    frame: BellState
    created_ps: int


class EndPair(msgspec.Struct, frozen=True):
    """A pair of both ends of a circuit, as one end holds it; `name` is the head's name of it at both."""

    name: str
    cell: int
    frame: BellState
    created_ps: int


class Entangler:
    """Run one side of one link on the device behind `device`; its user is told what becomes of pairs.

    Instructions are named after `name` and the instant of the start, so that a later life asks anew.

    `got(pair, now)` when a pair is heralded, `lost(pair, now)` when its cut-off has passed while it was still
    held. The next pair is asked for once the cell is free again: `release` it, or say that it is `spent`.
    """

    def __init__(
        self,
        name: str,
        side: LinkSide,
        device: Handle,
        got: Callable[[HeldPair, int], Effects],
        lost: Callable[[HeldPair, int], Effects],
    ) -> None:
        self.side = side
        self.held: HeldPair | None = None
        self._name = name
        self._device = device
        self._got = got
        self._lost = lost
        self._life = self._asked = 0
        self._running = False
        self.heralds = self.attempts = self.expired = 0

    def start(self, now: int) -> Effects:
        """Free the cell from what an earlier life left in it, and ask for a pair."""
        self._life = now
        self._running = True
        return self.release(now)

    def stop(self) -> Effects:
        """Forget the pair that is held, and ask for no other until the next start."""
        if not self._running:
            return ()
        self._running = False
        free = Send(self._device, FreeCell(self._id("free"), self.side.cell))
        self._next()
        return (free,)

    def heralded(self, message: Heralded, now: int) -> Effects:
        """Take a herald, if it is the one that is waited for."""
        if message.instruction != self._id("create") or self.held is not None:
            return ()
        pair = self.held = HeldPair(message.pair, message.cell, message.frame, message.created_ps)
        self.heralds += 1
        self.attempts += message.attempts
        effects: list[Effect] = []
        if self.side.cutoff_ps:
            until_ps = pair.created_ps + self.side.cutoff_ps
            effects.append(Send(self._device, StoreQubit(self._id("store"), pair.cell, until_ps)))
            effects.append(Timer(until_ps, partial(self._expire, pair)))
        return [*effects, *self._got(pair, now)]

    def refused(self, message: Refused, now: int) -> Effects:
        """Ask again later for a pair that is refused: an operation in the cell may not have ended."""
        if message.instruction != self._id("create") or self.held is not None:
            return ()
        return (Timer(now + AGAIN_PS, partial(self._start_over, self._asked)),)

    def spent(self, now: int) -> Effects:
        """Ask for the next pair: the cell is free, for an operation has used its qubit up."""
        self._next()
        round_ps = self.side.round_ps
        due_ps = -(-now // round_ps) * round_ps if round_ps else now
        if due_ps == now:
            return self._ask(self._asked, now)
        return (Timer(due_ps, partial(self._ask, self._asked)),)

    def release(self, now: int) -> Effects:
        """Forget the pair that is held, and ask for the next one."""
        free = Send(self._device, FreeCell(self._id("free"), self.side.cell))
        return (free, *self.spent(now))

    def _next(self) -> None:
        self.held = None
        self._asked += 1

    def _ask(self, number: int, now: int) -> Effects:
        if number != self._asked or not self._running:
            return ()
        return (Send(self._device, CreatePair(self._id("create"), self.side.link, self.side.cell)),)

    def _start_over(self, number: int, now: int) -> Effects:
        return self.release(now) if number == self._asked and self._running else ()

    def _expire(self, pair: HeldPair, now: int) -> Effects:
        if self.held is not pair:
            return ()
        self.expired += 1
        return self._lost(pair, now)

    def _id(self, what: str) -> str:
        return f"{self._name}/{self._life}/{self.side.link}/{what}/{self._asked}"

"""One end of the distillation of a circuit's pairs by pumping: a kept pair is bettered by fresh ones.

Theory of operation. The first pair is moved aside. Each pair after it is spent on the one aside: both ends do
their half of the protocol on their own device, tell each other the bit, and know from both whether the pair
aside is better now, or lost. A step is named after the two pairs, and so is what it leaves: ends that hold
different pairs find out by the name, and both start anew. Once an end has told its bit it waits for the
other's and asks for it; so both come to the same verdict, whatever is lost on the way. Source of pumping:
Duer, Briegel, Cirac, Zoller, Phys. Rev. A 59, 169 (1999).
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from hashlib import blake2b

import msgspec

from qstrata.core.effects import Effects, Handle, Send, Timer
from qstrata.fabric.messages.entanglement import PairWord, Purpose
from qstrata.fabric.messages.qubits import (
    ApplyGate,
    DistilOutcome,
    DistilPairs,
    Done,
    FreeCell,
    MoveQubit,
    Refused,
)
from qstrata.physics.bell import BellState
from qstrata.physics.entanglement_distillation import (
    ROTATIONS,
    Distillation,
    frame_after,
    frame_after_rotation,
    rotation,
)
from qstrata.strata.forwarding.resource.entangler import EndPair

ASIDE = 1
"""The cell of the pair that is bettered; fresh ones come in cell 0."""


class Pumping(msgspec.Struct, frozen=True):
    """Say by which protocol, and how often, a pair is bettered before it is delivered; `rounds` >= 1.

    `cutoff_ps` after its creation the oldest half is given up, 0 for never.
    """

    protocol: Distillation
    rounds: int
    cutoff_ps: int = 0


class _Step:
    """One round: the pair aside, the fresh one, and what both ends have found."""

    __slots__ = ("far", "fresh", "is_asked", "is_lost", "name", "own")

    def __init__(self, name: str, fresh: EndPair) -> None:
        self.name = name
        self.fresh = fresh
        self.own: int | None = None
        self.far: int | None = None
        self.is_asked = False
        self.is_lost = False


class PairDistiller:
    """Better the pairs of one end of a circuit on the device behind `device`.

    `tell(name, purpose, *bits)` makes the word to the other end. `kept(pair, now)` is called with a pair that
    has had its rounds: it lies in the cell ASIDE, and `free` it when it has been used unless it was measured.
    `go_on(now, used)` asks for the next fresh pair; `used` tells that cell 0 is free already.
    """

    def __init__(
        self,
        name: str,
        pumping: Pumping,
        device: Handle,
        *,
        is_head: bool,
        tell: Callable[..., Send],
        kept: Callable[[EndPair, int], Effects],
        go_on: Callable[[int, bool], Effects],
    ) -> None:
        self._name = name
        self._pumping = pumping
        self._device = device
        self._is_head = is_head
        self._tell = tell
        self._kept = kept
        self._go_on = go_on
        self._life = self._count = self._round = 0
        self._aside: EndPair | None = None
        self._step: _Step | None = None
        self._ended: tuple[str, int] | None = None
        self._doing = ""
        self._todo: deque[Callable[[str], ApplyGate | MoveQubit | DistilPairs]] = deque()
        self._moving: EndPair | None = None
        self._is_moved_in_vain = False
        self.tries = self.successes = 0

    @property
    def holds(self) -> bool:
        """Tell whether half of a pair is kept aside to be bettered."""
        return self._aside is not None

    def start(self, now: int) -> Effects:
        """Forget all, and free the cell aside from what an earlier life left in it."""
        self._life, self._doing = now, ""
        self._aside = self._step = self._ended = self._moving = None
        self._todo.clear()
        return (self.free(),)

    def free(self) -> Send:
        """Free the cell aside."""
        return Send(self._device, FreeCell(self._id(), ASIDE))

    def take(self, pair: EndPair, now: int) -> Effects:
        """Take a fresh pair: put it aside, or spend it on the one that is there."""
        if self._aside is None:
            self._moving, self._is_moved_in_vain = pair, False
            self._todo.append(lambda name: MoveQubit(name, pair.cell, ASIDE))
            return (self._next(),)
        step = self._step = _Step(f"{self._aside.name}+{pair.name}", pair)
        if self._pumping.protocol is Distillation.BBPSSW:
            for cell, number in zip((ASIDE, pair.cell), _rotations(step.name), strict=True):
                for gate, angle in rotation(number, is_head=self._is_head):
                    self._todo.append(partial(_gate, gate=gate, cell=cell, angle=angle))
        protocol = self._pumping.protocol
        self._todo.append(lambda name: DistilPairs(name, ASIDE, pair.cell, protocol))
        return (self._next(),)

    # --- the device ---

    def answered(self, message: Done | DistilOutcome, now: int) -> Effects:
        """Go on when an instruction has ended."""
        if message.instruction != self._doing:
            return ()
        self._doing = ""
        if self._step is not None and self._step.is_lost:
            self._todo.clear()
            return self._drop(now, used=isinstance(message, DistilOutcome))
        if self._todo:
            return (self._next(),)
        if isinstance(message, DistilOutcome):
            return self._found(message.bit, now)
        moved, self._moving = self._moving, None
        assert moved is not None
        if self._is_moved_in_vain:
            return self._drop(now, used=True)
        return self._put_aside(msgspec.structs.replace(moved, cell=ASIDE), 0, now)

    def refused(self, message: Refused) -> bool:
        """Tell whether a refused instruction was of a distillation; `give_up` then."""
        return message.instruction == self._doing

    def give_up(self, now: int) -> Effects:
        """Start anew, and let the other end know: its half of the step is in vain."""
        self._doing = ""
        self._todo.clear()
        self._moving = None
        step = self._step
        told = () if step is None else (self._tell(step.name, Purpose.DROPPED),)
        return [*told, *self._drop(now, used=False)]

    def _found(self, bit: int, now: int) -> Effects:
        step = self._step
        assert step is not None
        step.own = bit
        told = self._tell(step.name, Purpose.DISTILLED, bit)
        return [told, *(self._conclude(step, bit, step.far, now) if step.far is not None else ())]

    # --- the other end ---

    def hear(self, word: PairWord, now: int) -> Effects:
        """Hear the other end's bit, or that it has given a pair up."""
        if word.purpose is Purpose.DROPPED:
            return self._dropped(word.pair, now)
        bit, is_question = word.bits[0], len(word.bits) > 1
        step = self._step
        if step is not None and step.name == word.pair:
            step.far = bit
            if step.own is None:
                return ()
            again = (self._tell(step.name, Purpose.DISTILLED, step.own),) if is_question else ()
            return [*again, *self._conclude(step, step.own, bit, now)]
        if self._ended is not None and self._ended[0] == word.pair:
            return (self._tell(word.pair, Purpose.DISTILLED, self._ended[1]),) if is_question else ()
        return [self._tell(word.pair, Purpose.DROPPED), *self.part(word.pair)]

    def _dropped(self, name: str, now: int) -> Effects:
        step = self._step
        if step is None or step.name != name:
            return self.part(name)
        if self._doing:
            step.is_lost = True
            return ()
        return self._drop(now, used=step.own is not None)

    def part(self, name: str) -> Effects:
        """Lose a pair that has no other half any more: the other end has spent it, or given it up."""
        if self._moving is not None:
            self._is_moved_in_vain = self._is_moved_in_vain or _is_of(self._moving.name, name)
            return ()
        if self._step is None and self._aside is not None and _is_of(self._aside.name, name):
            return self._lose()
        return ()

    def retry(self, now: int) -> Effects:
        """Ask for the other end's bit, if it has been missing since the last retry."""
        step = self._step
        if step is None or step.own is None:
            return ()
        if not step.is_asked:
            step.is_asked = True
            return ()
        return (self._tell(step.name, Purpose.DISTILLED, step.own, 1),)

    # --- pairs aside ---

    def _conclude(self, step: _Step, own: int, far: int, now: int) -> Effects:
        kept = self._aside
        assert kept is not None
        self._ended, self.tries = (step.name, own), self.tries + 1
        frame, parity = self._verdict(step, kept.frame)
        if own ^ far != parity:
            return self._drop(now, used=True)
        self.successes += 1
        self._step = None
        better = EndPair(step.name, ASIDE, frame, kept.created_ps)
        if self._round + 1 < self._pumping.rounds:
            return self._put_aside(better, self._round + 1, now)
        self._aside = None
        if self._is_over(better, now):
            return [self._tell(better.name, Purpose.DROPPED), self.free(), *self._go_on(now, True)]
        return self._kept(better, now)

    def _verdict(self, step: _Step, aside: BellState) -> tuple[BellState, int]:
        fresh = step.fresh.frame
        if self._pumping.protocol is Distillation.BBPSSW:
            of_aside, of_fresh = _rotations(step.name)
            aside, fresh = frame_after_rotation(of_aside, aside), frame_after_rotation(of_fresh, fresh)
        return frame_after(self._pumping.protocol, aside, fresh)

    def _put_aside(self, pair: EndPair, rounds: int, now: int) -> Effects:
        self._aside, self._round = pair, rounds
        due_ps = pair.created_ps + self._pumping.cutoff_ps
        over = (Timer(due_ps, partial(self._expire, pair)),) if self._pumping.cutoff_ps else ()
        return [*over, *self._go_on(now, True)]

    def _expire(self, pair: EndPair, now: int) -> Effects:
        """Give a pair up in time, so that no fresh one is spent on it at the other end."""
        if self._aside is not pair or self._step is not None:
            return ()
        return [self._tell(pair.name, Purpose.DROPPED), *self._lose()]

    def _is_over(self, pair: EndPair, now: int) -> bool:
        return self._pumping.cutoff_ps > 0 and now > pair.created_ps + self._pumping.cutoff_ps

    def _lose(self) -> Effects:
        self._aside = None
        return (self.free(),)

    def _drop(self, now: int, *, used: bool) -> Effects:
        self._step = None
        return [*self._lose(), *self._go_on(now, used)]

    def _next(self) -> Send:
        self._doing = self._id()
        return Send(self._device, self._todo.popleft()(self._doing))

    def _id(self) -> str:
        self._count += 1
        return f"{self._name}/{self._life}/{self._count}"


def _is_of(pair: str, name: str) -> bool:
    """Tell whether a name is that of a pair, or of a step with it."""
    return name == pair or name.startswith(f"{pair}+") or name.endswith(f"+{pair}")


def _rotations(step: str) -> tuple[int, int]:
    """Return the rotations of the pair aside and of the fresh one, the same ones at both ends.

    They are independent of each other and of what the pairs are; nobody has to keep them secret.
    """
    drawn = int.from_bytes(blake2b(step.encode(), digest_size=8).digest(), "big")
    rest, of_aside = divmod(drawn, ROTATIONS)
    return of_aside, rest % ROTATIONS


def _gate(name: str, *, gate: str, cell: int, angle: float) -> ApplyGate:
    return ApplyGate(name, gate, (cell,), angle)

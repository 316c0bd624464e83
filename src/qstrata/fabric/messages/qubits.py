"""T6 for devices with memory cells: pairs over links, and operations on the qubits in the cells.

Who owns a device instructs it, and learns what became of each instruction by results that carry its id. The
same id again is answered again and done once. A cell is named by its number, 0 to the device's cells less
one. A device does one thing at a time in a cell; an operation takes the time that the device needs for it,
and states have aged until its end. What cannot be done is answered with Refused and leaves all as it was.
"""

import enum
from typing import ClassVar

from qstrata.core.address import End
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message
from qstrata.physics.bell import BellState
from qstrata.physics.entanglement_distillation import Distillation

_RES = (End.FORWARDING_RES, End.CONNECTIVITY_RES, End.SERVICE_RES)


class Refusal(enum.Enum):
    """Why an instruction was refused."""

    UNKNOWN_CELL = "the device has no such cell"
    UNKNOWN_LINK = "no link of that name ends at the device"
    CELL_TAKEN = "the cell holds a qubit or waits for one: free it first"
    CELL_EMPTY = "the cell holds no qubit"
    CELL_BUSY = "an operation on the cell has not ended"
    EXPIRED = "the qubit was kept beyond its cut-off and is lost"
    SAME_CELL = "the operation needs different cells"
    NO_SUCH_GATE = "no such gate on so many cells, or an angle that is no number"
    NO_DIRECTION = "an angle of the direction is no number"
    NOT_TWO_PAIRS = "the cells do not hold halves of two pairs that end at one other device"
    TOO_MANY_QUBITS = "the group of qubits would grow beyond what the device follows exactly"
    BAD_CUTOFF = "the cut-off is before the instant of the instruction"


class _Instruction(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T6"
    sent_by: ClassVar[tuple[End, ...]] = _RES
    sent_to: ClassVar[tuple[End, ...]] = (End.WORLD,)


class _Result(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T6"
    sent_by: ClassVar[tuple[End, ...]] = (End.WORLD,)
    sent_to: ClassVar[tuple[End, ...]] = _RES


class CreatePair(_Instruction, frozen=True, gc=False):
    """Attempt to entangle a cell with a cell at the other end of a link, until heralded or freed.

    Pre: the cell is free. Post: attempts run while the other end has an unanswered CreatePair on the link
    too, first come first matched; answered with Heralded after the herald's travel from the midpoint.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "link", "cell")
    instruction: str
    link: str
    cell: int


class PrepareQubit(_Instruction, frozen=True, gc=False):
    """Put a pure qubit into a cell, at polar angle `theta` and azimuth `phi` (radians) of the Bloch sphere.

    Pre: the cell is free. Post: the cell holds the qubit; answered with Done.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "cell")
    instruction: str
    cell: int
    theta: float = 0.0
    phi: float = 0.0


class StoreQubit(_Instruction, frozen=True, gc=False):
    """Keep the qubit of a cell until an instant at the latest: the cut-off.

    Pre: the cell holds a qubit; `until_ps` is not past. Post: answered with Done; after `until_ps` every use
    is refused as expired, and the cell is free.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "cell", "until_ps")
    instruction: str
    cell: int
    until_ps: int


class MoveQubit(_Instruction, frozen=True, gc=False):
    """Move the qubit of a cell to a free cell of the device; its cut-off goes with it.

    Pre: the cell holds a qubit, the other is free. Post: the reverse; answered with Done.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "cell", "to_cell")
    instruction: str
    cell: int
    to_cell: int


class ApplyGate(_Instruction, frozen=True, gc=False):
    """Apply a gate to one or two cells: x y z h s sdg t, rx ry rz by `angle` radians, cx (control first), cz.

    Pre: the cells hold qubits. Post: their state is the gate's, with the device's noise; answered with Done.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "gate", "cells")
    instruction: str
    gate: str
    cells: tuple[int, ...]
    angle: float = 0.0


class SwapPairs(_Instruction, frozen=True, gc=False):
    """Measure two cells in the Bell basis, which entangles what they were entangled with.

    Pre: both cells hold qubits. Post: both are free; answered with SwapOutcome, the two bits that the frame
    of the new pair takes up.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "cell", "other_cell")
    instruction: str
    cell: int
    other_cell: int


class DistilPairs(_Instruction, frozen=True, gc=False):
    """Do this end's half of distilling a pair with another pair to the same device.

    Pre: the cells hold halves of pairs that end at one other device. Post: the spent cell is free; answered
    with DistilOutcome, the bit to compare with the other end's. Success is the parity that
    `qstrata.physics.entanglement_distillation.frame_after` gives; then the kept pair has its frame.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "keep", "spend")
    instruction: str
    keep: int
    spend: int
    protocol: Distillation


class MeasureQubit(_Instruction, frozen=True, gc=False):
    """Measure the qubit of a cell along a direction: bit 0 is the state at `theta`, `phi` (radians).

    Pre: the cell holds a qubit. Post: the cell is free; answered with Measured.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "cell")
    instruction: str
    cell: int
    theta: float = 0.0
    phi: float = 0.0


class FreeCell(_Instruction, frozen=True, gc=False):
    """Forget what a cell holds or waits for: a qubit, or a pair that is being attempted.

    Pre: the cell exists. Post: it is free, the attempts for it have ended; answered with Done.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "cell")
    instruction: str
    cell: int


class Heralded(_Result, frozen=True, gc=False):
    """Answer CreatePair: the cell holds half of a pair of the link.

    `pair` names it at both ends, `frame` is the Bell state that the midpoint told, `created_ps` the instant
    of emission from which it ages; it took `attempts`, the heralded one included.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "pair")
    instruction: str
    cell: int
    pair: str
    frame: BellState
    created_ps: int
    attempts: int = 1


class Done(_Result, frozen=True, gc=False):
    """Answer an instruction that tells nothing but that it has ended."""

    logged: ClassVar[tuple[str, ...]] = ("instruction",)
    instruction: str


class SwapOutcome(_Result, frozen=True, gc=False):
    """Answer SwapPairs: the Bell state that was measured."""

    logged: ClassVar[tuple[str, ...]] = ("instruction", "outcome")
    instruction: str
    outcome: BellState


class DistilOutcome(_Result, frozen=True, gc=False):
    """Answer DistilPairs: this end's bit."""

    logged: ClassVar[tuple[str, ...]] = ("instruction", "bit")
    instruction: str
    bit: int


class Measured(_Result, frozen=True, gc=False):
    """Answer MeasureQubit: one byte, 0 or 1; it may become key, so it shows nowhere."""

    logged: ClassVar[tuple[str, ...]] = ("instruction",)
    secret: ClassVar[bool] = True
    instruction: str
    bit: KeyMaterial


class Refused(_Result, frozen=True, gc=False):
    """Answer an instruction that cannot be done; nothing has changed."""

    logged: ClassVar[tuple[str, ...]] = ("instruction",)
    instruction: str
    reason: Refusal

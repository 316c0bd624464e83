"""T5 of forwarding.res for Bell pairs: who holds what with whom, hop by hop along a virtual circuit.

A pair is followed by the ids of link pairs alone: pairs that are good enough cannot be told apart (RFC 9340,
4.1), and nothing here says what state a pair is in but the two bits of its frame.
"""

import enum
from typing import ClassVar

from qstrata.core.address import End
from qstrata.fabric.messages.base import Message
from qstrata.physics.bell import BellState


class Purpose(enum.Enum):
    """What the bits of a PairWord are."""

    BASIS = "the basis that this end measured in"
    BIT = "what this end drew to measure along for a test, and the bit that it measured"
    CORRECTION = "the Pauli correction that the other end has to apply: x, then z"
    DISTILLED = "this end's bit of a distillation; a second one, if any, asks for the other end's"
    DROPPED = "none: this end has given up the pair or the distillation that is named"


class _OnCircuit(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T5"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    logged: ClassVar[tuple[str, ...]] = ("circuit", "pair")


class PairTrack(_OnCircuit, frozen=True, gc=False):
    """Repeater to repeater: an end's link pair, and what it has been swapped to so far.

    `pair` is the link pair at the end where it started, `link_pair` the one of the link that it comes over,
    `frame` the frames and swap outcomes up to that one, it included.
    """

    circuit: str
    towards_tail: bool
    pair: str
    link_pair: str
    frame: BellState


class PairExpired(_OnCircuit, frozen=True, gc=False):
    """Repeater to repeater, back to the end that tracked it: what `pair` was to be swapped to is lost."""

    circuit: str
    towards_tail: bool
    pair: str


class PairChoice(_OnCircuit, frozen=True, gc=False):
    """Head to tail along a circuit: whether both measure a pair for a test, or keep it.

    Drawn and told once every link of the pair has told its herald: who waits for it learns it too late.
    """

    logged: ClassVar[tuple[str, ...]] = ("circuit", "pair", "tested")
    circuit: str
    towards_tail: bool
    pair: str
    tested: bool


class PairWord(_OnCircuit, frozen=True, gc=False):
    """End to end along a circuit: classical bits on a pair that both hold, under the head's name of it."""

    circuit: str
    towards_tail: bool
    pair: str
    purpose: Purpose
    bits: tuple[int, ...]

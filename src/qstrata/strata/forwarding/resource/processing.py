"""One turn of a thread at one end of a raw block, and how long such turns take in network time.

An end is heavy and changes in place: to copy it for each of some hundred rounds would cost more than they do.
So it is never shared: whoever works on it has it alone, and the event loop reads only what it is handed.
"""

from collections.abc import Callable

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_US
from qstrata.physics.counts import Counts
from qstrata.strata.forwarding.resource.distillation import NOTHING, Step
from qstrata.strata.forwarding.resource.receiver_block import ReceiverBlock
from qstrata.strata.forwarding.resource.transmitter_block import TransmitterBlock

RawEnd = TransmitterBlock | ReceiverBlock

STEP_PS = 500 * PS_PER_US
"""Every step takes so long, whatever it has to do."""
CLICK_PS = 40_000
"""Sifting, and the tag of all that was said of a block, for each of its clicks."""
QUESTION_PS = 50_000
"""A round of the correction, for each parity in it."""
ROUND_BIT_PS = 500
"""A round of the correction, for each bit of the key: any round may begin a new order of all bits."""
HASHED_BIT_PS = 10_000
"""The comparison of the keys, for each of their bits."""
AMPLIFIED_BIT_PS = 60_000
"""Amplification, for each bit of the key, and as much again for every AMPLIFIED_BITS that the key has."""
AMPLIFIED_BITS = 1 << 23


def sifting_ps(clicks: int) -> int:
    """Return the time that a step takes which goes through all clicks of a block."""
    return STEP_PS + clicks * CLICK_PS


def round_ps(key_bits: int, parities: int) -> int:
    """Return the time that one end takes for a round of the correction."""
    return STEP_PS + key_bits * ROUND_BIT_PS + parities * QUESTION_PS


def comparing_ps(key_bits: int) -> int:
    """Return the time that the comparison of the keys takes."""
    return STEP_PS + key_bits * HASHED_BIT_PS


def amplifying_ps(clicks: int, key_bits: int) -> int:
    """Return the time that the tags and the amplification take."""
    amplified_ps = key_bits * AMPLIFIED_BIT_PS
    return sifting_ps(clicks) + amplified_ps + amplified_ps * key_bits // AMPLIFIED_BITS


class Turned:
    """What came of a turn: the end, handed back, what it says next, and what may be read of it."""

    __slots__ = ("counts", "end", "said", "stages", "step")

    def __init__(self, end: RawEnd, step: Step) -> None:
        self.end = end
        self.step = step
        self.said = end.again()
        self.stages = end.stages
        self.counts: Counts | None = end.counts

    def wipe(self) -> None:
        """Overwrite the key, for nobody wants it any more."""
        self.end.wipe()
        if self.step.distilled is not None:
            self.step.distilled.bits.wipe()


class Turn:
    """One step of a block, `act`, which works on `end`: nobody else has that until it is handed back.

    Once `unwanted`, a turn that has not begun does nothing.
    """

    __slots__ = ("_act", "_end", "unwanted")

    def __init__(self, end: RawEnd, act: Callable[[], Step]) -> None:
        self._end = end
        self._act = act
        self.unwanted = False

    def __call__(self) -> Turned:
        """Take the step; what the peer did wrong gives the block up, a fault of ours wipes its key."""
        if self.unwanted:
            return Turned(self._end, NOTHING)
        try:
            return Turned(self._end, self._act())
        except InputError as error:
            return Turned(self._end, Step(given_up=str(error)))
        except Exception:
            # Whoever waited for it may have crashed meanwhile.
            self.wipe()
            raise

    def wipe(self) -> None:
        """Overwrite the key of a turn that will never be taken, or that failed."""
        self._end.wipe()

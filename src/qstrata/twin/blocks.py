"""The closed blocks that the two devices of a link still hold, and their bits."""

import msgspec

from qstrata.core.randomness import RandomSource
from qstrata.core.secrets import KeyMaterial
from qstrata.physics.click_records import Clicks
from qstrata.physics.counts import Triple
from qstrata.physics.tallies import Tally, as_counts, raw_bits

HELD_BLOCKS = 8
"""A link's devices hold at most so many closed blocks; one more, and the oldest is lost at both."""

_WORD_BYTES = 8


class BlockHead(msgspec.Struct, frozen=True):
    """Hold what a device tells of a closed block; of a raw one its `clicks`, as both ends recorded them."""

    number: int
    counts: Tally
    provisioned_bits: int
    distilled_bits: int = 0
    clicks: Clicks | None = None

    @property
    def readable_bits(self) -> int:
        """Return the most that can be read: what was provisioned or distilled, else the raw key."""
        return self.provisioned_bits or self.distilled_bits or raw_bits(self.counts)


class _Block:
    """One closed block: its head, the bits drawn so far, and which ends (0, 1) hold it."""

    def __init__(self, head: BlockHead, random: RandomSource) -> None:
        self.head = head
        self.random = random
        self.bits = bytearray()
        self.holders = [True, True]

    def first_bits(self, length_bits: int) -> KeyMaterial:
        length = (length_bits + 7) // 8
        missing = length - len(self.bits)
        if missing > 0:
            # Whole words of the generator: the bits do not depend on how reads cut the stream.
            self.bits += self.random.bytes(-(-missing // _WORD_BYTES) * _WORD_BYTES)
        taken = self.bits[:length]
        taken[-1] &= 0xFF << (-length_bits % 8) & 0xFF
        return KeyMaterial(taken)

    def wipe(self) -> None:
        self.bits[:] = bytes(len(self.bits))


class HeldBlocks:
    """Hold the closed blocks of one link for both its ends (0 transmitter, 1 receiver)."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}

    def put(self, head: BlockHead, random: RandomSource) -> None:
        """Hold a block at both ends; its bits come from `random`. Beyond HELD_BLOCKS the oldest goes."""
        self._blocks[head.number] = _Block(head, random)
        if len(self._blocks) > HELD_BLOCKS:
            self._blocks.pop(min(self._blocks)).wipe()

    def heads(self, end: int) -> list[BlockHead]:
        """Return what an end still holds, oldest first."""
        return [block.head for block in self._blocks.values() if block.holders[end]]

    def clicks(self, end: int, number: int) -> Clicks | None:
        """Return the records of a raw block that an end still holds, else None."""
        block = self._blocks.get(number)
        return block.head.clicks if block is not None and block.holders[end] else None

    def sent(self, number: int) -> Triple:
        """Return how many pulses of each intensity a held block had."""
        return as_counts(self._blocks[number].head.counts).sent

    def read(self, end: int, number: int, length_bits: int) -> KeyMaterial | None:
        """Return the first bits of a block, the same at both ends and every time.

        None where the end does not hold the block, or `length_bits` is not from 1 to its readable bits. A
        length that is not whole bytes ends in zero bits.
        """
        block = self._blocks.get(number)
        if block is None or not block.holders[end] or not 1 <= length_bits <= block.head.readable_bits:
            return None
        return block.first_bits(length_bits)

    def take_over(self, other: "HeldBlocks", number: int) -> None:
        """Hold from now on one block of those that others held, as far as they held it, and wipe the rest."""
        kept = other._blocks.pop(number, None)
        if kept is not None:
            self._blocks[number] = kept
        other.clear()

    def clear(self) -> None:
        """Forget every block."""
        for block in self._blocks.values():
            block.wipe()
        self._blocks.clear()

    def discard(self, end: int, number: int) -> None:
        """Forget a block at one end; its bits are wiped when the other end has forgotten it too."""
        block = self._blocks.get(number)
        if block is None:
            return
        block.holders[end] = False
        if not any(block.holders):
            self._blocks.pop(number).wipe()

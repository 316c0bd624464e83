"""Cascade: two machines that make two strings equal by exchanging parities, and count every one.

Source: G. Brassard, L. Salvail, "Secret-key reconciliation by public discussion", EUROCRYPT 1993. Re-use of
every parity ever told, and blocks that grow fast: J. Martinez-Mateo, C. Pacher, M. Peev, A. Ciurana,
V. Martin, "Demystifying the information reconciliation protocol Cascade", arXiv 1407.3257.

Theory of operation. Every pass orders the bits differently, by a shared seed. One end (`ParityTeller`)
tells the parity of its first c bits in the order of a pass; the other (`ErrorFinder`) asks, and flips its
own bits. A question is the number pass (n + 1) + c. Two told cuts of a pass bound a segment; one whose
parities differ at both ends holds an odd number of errors, and is halved until one bit is left. A flipped
bit turns the segments of all passes that hold it, so that those told before find more errors. Questions of
one round go out together. Each answer is one bit told in public; that of the whole string is told once.
Passes of two halves rarely find anything: of these only the parity of a half is made, the others on demand.
"""

import math

import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream

PASSES = 14
"""The string as it is, a shuffle, two turns of it, and splits of it: halves find pairs of errors that all
others missed, each pass half of those left, at one bit a pass where there are none."""
FRAME_BITS_MIN = 64
FRAME_BITS_MAX = 1 << 17
"""A longer key is cut into frames: this bounds memory, and keeps the frame in the processor's caches."""
_FIRST_TURN, _FIRST_SPLIT = 2, 4
_GROWTH = (1, 4, 32, 256)
_QBER_MIN, _QBER_MAX = 1e-4, 0.25
_WORD_BITS = 64
_INDICES = np.arange(_WORD_BITS, dtype=np.int64)

Bits = NDArray[np.uint8]
Bytes = NDArray[np.uint8]
Questions = NDArray[np.int64]


def frame_lengths(bits: int) -> tuple[int, ...]:
    """Cut `bits` into the fewest frames, equal but for one bit; none for fewer than FRAME_BITS_MIN."""
    if bits < FRAME_BITS_MIN:
        return ()
    frames = -(-bits // FRAME_BITS_MAX)
    return tuple(bits * (i + 1) // frames - bits * i // frames for i in range(frames))


def block_sizes(bits: int, qber: float) -> tuple[int, ...]:
    """Return the block size of each pass for a frame that differs in a share `qber` of its bits.

    The first blocks hold 0.7 to 1.4 errors; at 3 % on 1e5 bits the sizes 32, 128, 1024, 8192, n/2 ... tell
    1.05 times the Shannon limit in 180 rounds, where 32, 512, 4096, n/2 ... tell 1.04 times in 640.
    """
    share = min(_QBER_MAX, max(qber, _QBER_MIN))
    first = 2 ** math.ceil(math.log2(1.0 / share) - 0.5)
    half = -(-bits // 2)
    grown = [min(half, first * factor) for factor in _GROWTH]
    return (*grown, *[half] * (PASSES - len(grown)))


class _Orders:
    """The order of the bits in every pass, from a shared seed, as the kernels take it."""

    def __init__(self, bits: int, seed: int) -> None:
        if not FRAME_BITS_MIN <= bits <= FRAME_BITS_MAX:
            raise InputError(f"a frame of {bits} bits: give {FRAME_BITS_MIN} to {FRAME_BITS_MAX}")
        # The kernels take a while to import, and agents that distil no raw blocks do without.
        from qstrata.physics.postprocessing import cascade_kernels

        self.kernels = cascade_kernels
        self._bits = bits
        generator = stream(seed, "cascade")
        self.shuffle = np.arange(bits, dtype=np.int32)
        draws = generator.integers(0, 1 << 64, -(-bits // 2), dtype=np.uint64).astype("<u8")
        self.kernels.shuffle(self.shuffle, draws.view("<u4")[:bits])
        self.table = np.zeros((PASSES, 5), dtype=np.int64)
        self.table[1:, 0] = 1
        self.table[:, 1:3] = 1
        for turn in self.table[_FIRST_TURN:_FIRST_SPLIT]:
            factor = int(generator.integers(1, bits))
            while math.gcd(factor, bits) != 1:
                factor = factor % bits + 1
            turn[1:4] = factor, pow(factor, -1, bits), int(generator.integers(0, bits))
        splits = generator.integers(0, 1 << (bits - 1).bit_length(), PASSES - _FIRST_SPLIT)
        self.table[_FIRST_SPLIT:, 4] = splits | 1

    def half_parity(self, shuffled: Bytes, number: int) -> int:
        """Return the parity of the first half of packed bits in the order of a pass that splits them."""
        split, last = int(self.table[number, 4]), self._bits - 1
        words = shuffled.view("<u8")
        inside = np.packbits(np.bitwise_count(_INDICES & split) & 1 ^ 1, bitorder="little").view("<u8")
        outside = np.bitwise_count(np.arange(len(words)) & split // _WORD_BITS) & 1
        front = np.bitwise_xor.reduce(words & np.where(outside, ~inside, inside))
        # The last of an odd number of bits has no neighbour, and always goes to the front.
        alone = last % 2 == 0 and (last & split).bit_count() % 2
        return int(np.bitwise_count(front)) % 2 ^ (int(shuffled[last // 8]) >> last % 8 & 1 if alone else 0)


def _packed(bits: Bits) -> Bytes:
    """Pack bits, the first one lowest, into whole words."""
    packed = np.packbits(bits, bitorder="little")
    return np.concatenate((packed, np.zeros(-len(packed) % (_WORD_BITS // 8), dtype=np.uint8)))


class ParityTeller:
    """The end whose bits stand: it answers questions about one frame.

    `bits` are 0 or 1, shape (n,); both ends give the same `seed`. `told_bits` counts what was told in
    public. Raises InputError for a frame that is too short or too long.
    """

    def __init__(self, bits: Bits, seed: int) -> None:
        self._bits = bits
        self._orders = _Orders(len(bits), seed)
        self._shuffled = np.take(bits, self._orders.shuffle)
        self._packed = _packed(self._shuffled)
        self._parities = np.empty((PASSES, len(bits) + 1), dtype=np.uint8)
        self._known = np.zeros(PASSES, dtype=np.uint8)
        self.told_bits = 0

    def answer(self, questions: Questions) -> Bits:
        """Return one parity (0 or 1) per question; InputError for one about no cut of no pass."""
        answers = np.zeros(len(questions), dtype=np.uint8)
        if not len(questions):
            return answers
        kernels = self._orders.kernels
        while (number := kernels.answers_to(questions, self._parities, self._known, answers)) >= 0:
            if number == PASSES:
                raise InputError(
                    "the peer's question names no pass or no cut of this frame: give up the block"
                )
            self._learn(number)
        self.told_bits += len(questions)
        return answers

    def _learn(self, number: int) -> None:
        """Make the parity of the first half of a pass, and all of them where that is not enough."""
        if number >= _FIRST_SPLIT and not self._known[number]:
            half = self._parities.shape[1] // 2
            self._parities[number, half] = self._orders.half_parity(self._packed, number)
            self._known[number] = 1
            return
        bits = self._shuffled if number else self._bits
        self._orders.kernels.prefix_parities(bits, self._orders.table[number], self._parities[number])
        self._known[number] = 2


class ErrorFinder:
    """The end that gives way: it asks, and flips its own bits until no told parity differs.

    `bits` (0 or 1, shape (n,)) is its string, corrected once `done`; `qber` (0 to 1) the share of errors
    expected, which sets the block sizes. `asked_bits` counts the parities asked for. `hopeless` where as
    many would be told as the frame has bits, or where they contradict each other. Raises InputError for a
    frame that is too short or too long.
    """

    def __init__(self, bits: Bits, seed: int, qber: float) -> None:
        length = len(bits)
        self.bits = bits.copy()
        self.asked_bits = 0
        self.done = False
        self.hopeless = False
        self._raw = bits
        self._orders = _Orders(length, seed)
        self._places = np.empty_like(self._orders.shuffle)
        self._orders.kernels.invert(self._orders.shuffle, self._places)
        self._shuffled = np.take(bits, self._orders.shuffle)
        self._sizes = np.array(block_sizes(length, qber), dtype=np.int64)
        # Parities of a pass that splits are made from the bits as it began, once they are wanted.
        self._began: dict[int, Bytes] = {}
        self._own = np.empty((PASSES, length + 1), dtype=np.uint8)
        self._known = np.zeros(PASSES, dtype=np.uint8)
        self._cuts = np.zeros((PASSES, length + 1), dtype=np.uint8)
        self._cuts[:, 0] = self._orders.kernels.TOLD
        self._queue = np.empty(3 * length + PASSES, dtype=np.int64)
        self._begun = 0
        self._opening = True
        self._waiting = 0
        self._asked = np.zeros(0, dtype=np.int64)
        self._own_ends = np.zeros(0, dtype=np.uint8)
        self._questions = np.empty(length + PASSES, dtype=np.int64)

    @property
    def corrected_bits(self) -> int:
        """Return how many bits differ from what they were."""
        return int(np.count_nonzero(self.bits != self._raw))

    def ask(self) -> Questions:
        """Return the next questions; none once `done` or `hopeless`."""
        self._asked = self._questions[:0]
        if self.done or self.hopeless:
            return self._asked
        found = self._orders.kernels.search(
            self.bits,
            self._shuffled,
            self._orders.shuffle,
            self._places,
            self._orders.table,
            self._cuts,
            self._sizes,
            self._queue,
            self._waiting,
            self._begun,
            self._questions,
        )
        self._waiting = 0
        self._opening = found == 0
        self.done = self._opening and self._begun == PASSES
        if self.done:
            return self._asked
        asked = self._begin_pass() if self._opening else self._questions[: max(0, found)].copy()
        self.hopeless = found < 0 or self.asked_bits + len(asked) >= len(self.bits)
        if not self.hopeless:
            self._asked = asked
            self.asked_bits += len(asked)
        return self._asked

    def take(self, answers: Bits) -> None:
        """Take the answers to the last questions, one parity each; InputError if there are more or fewer."""
        if len(answers) != len(self._asked):
            raise InputError(
                f"{len(answers)} parities came for {len(self._asked)} questions: give up the block"
            )
        kernels, number = self._orders.kernels, self._begun - 1
        if self._opening:
            self._waiting = kernels.open_blocks(
                number, answers ^ self._own_ends, self._cuts[number], int(self._sizes[number]), self._queue
            )
            return
        while (number := kernels.halve(answers, self._own, self._known, self._cuts, self._queue)) >= 0:
            bits = np.unpackbits(self._began.pop(number), count=len(self.bits), bitorder="little")
            kernels.prefix_parities(bits, self._orders.table[number], self._own[number])
            self._known[number] = 1
        self._waiting = len(answers)

    def _begin_pass(self) -> Questions:
        number, length, orders = self._begun, len(self.bits), self._orders
        size = int(self._sizes[number])
        self._begun += 1
        ends = np.arange(size, length, size, dtype=np.int64)
        if number:
            # The whole string: its parity was told in the first pass.
            self._cuts[number, length] = orders.kernels.TOLD
        else:
            ends = np.append(ends, length)
        if number >= _FIRST_SPLIT:
            self._began[number] = _packed(self._shuffled)
            self._own_ends = np.array([orders.half_parity(self._began[number], number)], dtype=np.uint8)
        else:
            bits = self._shuffled if number else self.bits
            orders.kernels.prefix_parities(bits, orders.table[number], self._own[number])
            self._own_ends = self._own[number, ends]
            self._known[number] = 1
        return number * (length + 1) + ends

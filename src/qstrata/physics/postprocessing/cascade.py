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
"""

import math

import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream

PASSES = 14
"""The string as it is, two shuffles, and turns of the last: from the fifth pass on, halves find pairs of
errors that all others missed, each half of those left, at one bit a pass where there are none."""
FRAME_BITS_MIN = 64
FRAME_BITS_MAX = 1 << 17
"""A longer key is cut into frames: this bounds memory, and keeps the frame in the processor's caches."""
_SHUFFLES = 3
_GROWTH = (1, 4, 32, 256)
_QBER_MIN, _QBER_MAX = 1e-4, 0.25

Bits = NDArray[np.uint8]
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
        generator = stream(seed, "cascade")
        self.shuffles = np.empty((_SHUFFLES, bits), dtype=np.int32)
        self.shuffles[:] = np.arange(bits, dtype=np.int32)
        for order in self.shuffles[1:]:
            self.kernels.shuffle(order, generator.integers(0, 1 << 32, bits, dtype=np.uint32))
        self.turns = np.zeros((PASSES, 4), dtype=np.int64)
        for number, turn in enumerate(self.turns):
            factor, offset = 1, 0
            if number >= _SHUFFLES:
                offset = int(generator.integers(0, bits))
                factor = int(generator.integers(1, bits))
                while math.gcd(factor, bits) != 1:
                    factor = factor % bits + 1
            turn[:] = min(number, _SHUFFLES - 1), factor, pow(factor, -1, bits), offset

    def prefix_parities(self, bits: Bits, number: int) -> Bits:
        """Return the parities of the first 0, 1, 2 ... bits in the order of a pass."""
        shuffled, _, inverse, offset = (int(figure) for figure in self.turns[number])
        parities = np.empty(len(bits) + 1, dtype=np.uint8)
        self.kernels.prefix_parities(
            bits, self.shuffles[shuffled], -offset * inverse % len(bits), inverse, parities
        )
        return parities


class ParityTeller:
    """The end whose bits stand: it answers questions about one frame.

    `bits` are 0 or 1, shape (n,); both ends give the same `seed`. `told_bits` counts what was told in
    public. Raises InputError for a frame that is too short or too long.
    """

    def __init__(self, bits: Bits, seed: int) -> None:
        self._bits = bits
        self._orders = _Orders(len(bits), seed)
        self._parities = np.zeros((PASSES, len(bits) + 1), dtype=np.uint8)
        self._begun = 0
        self.told_bits = 0

    def answer(self, questions: Questions) -> Bits:
        """Return one parity (0 or 1) per question; InputError for one about no cut of no pass."""
        if not len(questions):
            return np.zeros(0, dtype=np.uint8)
        last = int(questions.max())
        if int(questions.min()) < 0 or last >= self._parities.size:
            raise InputError("the peer's question names no pass or no cut of this frame: give up the block")
        while self._begun <= last // (len(self._bits) + 1):
            self._parities[self._begun] = self._orders.prefix_parities(self._bits, self._begun)
            self._begun += 1
        self.told_bits += len(questions)
        answers: Bits = self._parities.reshape(-1)[questions]
        return answers


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
        self._places = np.empty_like(self._orders.shuffles)
        for places, order in zip(self._places, self._orders.shuffles, strict=True):
            places[order] = np.arange(length, dtype=np.int32)
        self._sizes = np.array(block_sizes(length, qber), dtype=np.int64)
        self._own = np.zeros((PASSES, length + 1), dtype=np.uint8)
        self._cuts = np.zeros((PASSES, length + 1), dtype=np.uint8)
        self._cuts[:, 0] = self._orders.kernels.TOLD
        self._queue = np.empty(3 * length + PASSES, dtype=np.int64)
        self._waiting = 0
        self._begun = 0
        self._questions = np.zeros(0, dtype=np.int64)

    @property
    def corrected_bits(self) -> int:
        """Return how many bits differ from what they were."""
        return int(np.count_nonzero(self.bits != self._raw))

    def ask(self) -> Questions:
        """Return the next questions; none once `done` or `hopeless`."""
        if self.done or self.hopeless:
            return np.zeros(0, dtype=np.int64)
        self._waiting = self._orders.kernels.search(
            self.bits,
            self._orders.shuffles,
            self._places,
            self._orders.turns,
            self._cuts,
            self._sizes,
            self._queue,
            self._waiting,
            self._begun,
        )
        if self._waiting < 0:
            self.hopeless = True
            return np.zeros(0, dtype=np.int64)
        questions = np.empty(self._waiting, dtype=np.int64)
        asked = self._orders.kernels.middles(self._cuts, self._sizes, self._queue, self._waiting, questions)
        self._waiting = 0
        self._questions = questions[:asked]
        if not asked:
            self.done = self._begun == PASSES
            self._questions = questions if self.done else self._begin_pass()
        self.hopeless = self.asked_bits + len(self._questions) >= len(self.bits)
        if self.hopeless:
            self._questions = np.zeros(0, dtype=np.int64)
        self.asked_bits += len(self._questions)
        return self._questions

    def take(self, answers: Bits) -> None:
        """Take the answers to the last questions, one parity each; InputError if there are more or fewer."""
        if len(answers) != len(self._questions):
            raise InputError(
                f"{len(answers)} parities came for {len(self._questions)} questions: give up the block"
            )
        self._waiting = self._orders.kernels.take_answers(
            self._questions, answers, self._own, self._cuts, self._sizes, self._queue, self._waiting
        )

    def _begin_pass(self) -> Questions:
        number, length = self._begun, len(self.bits)
        size = int(self._sizes[number])
        self._begun += 1
        self._own[number] = self._orders.prefix_parities(self.bits, number)
        ends = np.arange(size, length, size, dtype=np.int64)
        if number:
            self._cuts[number, length] = (
                self._orders.kernels.TOLD
            )  # the whole string: its parity was told in the first pass
        else:
            ends = np.append(ends, length)
        return number * (length + 1) + ends

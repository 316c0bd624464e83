"""Measure the distillation of raw key into secret key, both ends on the one core of this process."""

import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from benchmarks.measures import Figure
from qstrata.core.randomness import stream
from qstrata.physics.decoy_bb84 import binary_entropy
from qstrata.physics.postprocessing.amplification import amplify, seed_bits
from qstrata.physics.postprocessing.cascade import ErrorFinder, ParityTeller
from qstrata.physics.postprocessing.verification import POINT_BYTES, polynomial_hash

FRAMES = 40
FRAME_BITS = 100_000
QBER = 0.03
KEPT_SHARE = 0.4
"""Secret bits per sifted bit: about what a decoy link keeps at this error rate."""
LARGEST_BITS = 1 << 24
"""As many clicks as a raw block may have; its amplification is the largest."""
SLOWER_END, BOTH_ENDS = "the slower end", "both ends on one core"
WORST, MEMORY = "efficiency f, worst", "memory of both ends"


def postprocessing() -> list[Figure]:
    """Correct, verify and amplify frames of a link at 3 % of errors, each end on its own."""
    _distil(FRAMES)  # compiles, or reads what was compiled
    spent_s = [0.0, 0.0]
    efficiencies = []
    for number in range(FRAMES):
        efficiency, transmitter_s, receiver_s = _distil(number)
        efficiencies.append(efficiency)
        spent_s[0] += transmitter_s
        spent_s[1] += receiver_s
    name = f"post-processing, {FRAME_BITS} bits at {QBER:.0%}"
    mbit = FRAMES * FRAME_BITS / 1e6
    return [
        Figure(name, SLOWER_END, mbit / max(spent_s), "Mbit/s", "at least 5"),
        Figure(name, BOTH_ENDS, mbit / sum(spent_s), "Mbit/s", "at least 5"),
        Figure(name, "efficiency f, mean", sum(efficiencies) / FRAMES, "1", "at most 1.15"),
        Figure(name, WORST, max(efficiencies), "1", "at most 1.15"),
        Figure(name, MEMORY, _peak_mb(lambda: _distil(FRAMES)), "MB"),
        _largest_amplification(),
    ]


def _largest_amplification() -> Figure:
    draws = stream(1, "benchmark", "amplification")
    output_bits = int(KEPT_SHARE * LARGEST_BITS)
    key = draws.integers(0, 2, LARGEST_BITS, dtype=np.uint8)
    seed = draws.integers(0, 2, seed_bits(LARGEST_BITS, output_bits), dtype=np.uint8)
    name = f"amplification, {LARGEST_BITS} bits"
    return Figure(name, "memory of an end", _peak_mb(lambda: amplify(key, seed, output_bits)), "MB")


def _peak_mb(act: Callable[[], object]) -> float:
    """Return the most memory that was allocated meanwhile."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


class _Clock:
    """Adds up the processor time of one end."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    def __enter__(self) -> None:
        self._began_s = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.spent_s += time.process_time() - self._began_s


def _distil(number: int) -> tuple[float, float, float]:
    """Distil one frame; return the efficiency and the seconds spent at transmitter and receiver."""
    draws = stream(1, "benchmark", "postprocessing", number)
    sent = draws.integers(0, 2, FRAME_BITS, dtype=np.uint8)
    wrong = (draws.random(FRAME_BITS) < QBER).astype(np.uint8)
    output_bits = int(KEPT_SHARE * FRAME_BITS)
    seed = draws.integers(0, 2, seed_bits(FRAME_BITS, output_bits), dtype=np.uint8)
    point = draws.bytes(POINT_BYTES)
    transmitter, receiver = _Clock(), _Clock()
    with transmitter:
        teller = ParityTeller(sent, number)
    with receiver:
        finder = ErrorFinder(sent ^ wrong, number, QBER)
        questions = finder.ask()
    while len(questions):
        with transmitter:
            answers = teller.answer(questions)
        with receiver:
            finder.take(answers)
            questions = finder.ask()
    keys = []
    for clock, bits in ((transmitter, sent), (receiver, finder.bits)):
        with clock:
            verified = polynomial_hash(np.packbits(bits).tobytes(), point)
            keys.append((verified, np.packbits(amplify(bits, seed, output_bits)).tobytes()))
    if keys[0] != keys[1]:
        raise AssertionError(f"frame {number}: the ends do not hold the same key")
    limit = FRAME_BITS * binary_entropy(float(wrong.mean()))
    return teller.told_bits / limit, transmitter.spent_s, receiver.spent_s

"""Post-processing: what Cascade tells in public, what it corrects, what verification and amplification do."""

import math

import numpy as np

from qstrata.core.randomness import stream
from qstrata.physics.bbm92 import asymptotic_rate
from qstrata.physics.decoy_bb84 import vacuum_weak_rate
from qstrata.physics.postprocessing.amplification import amplify, seed_bits
from qstrata.physics.postprocessing.cascade import ErrorFinder, ParityTeller
from qstrata.physics.postprocessing.verification import POINT_BYTES, polynomial_hash
from truth import closed_forms as cf
from truth.row import Row, at_least, of_share

FRAME_BITS = 100_000


def cascade(share: float) -> list[Row]:
    """Correct frames; the parities are counted on their way, message by message, by neither of the ends."""
    rows = []
    for qber in (0.01, 0.03, 0.05, 0.08):
        told, corrected, least, counted = 0, 0, 0.0, 0
        frames = at_least(2, 40, share)
        for number in range(frames):
            crossed, by_ends, errors, equal = _corrected(qber, number)
            told, counted, corrected = told + crossed, counted + by_ends, corrected + equal
            least += FRAME_BITS * cf.h(errors / FRAME_BITS)
        sample = f"{frames} frames of {FRAME_BITS} bits"
        name = f"Cascade at {qber:.0%}"
        rows.append(
            Row(
                f"{name}: parities told, against Shannon's limit",
                told,
                math.sqrt(told),
                least,
                "n h(errors)",
                sample,
                ">=",
            )
        )
        rows.append(
            Row(
                f"{name}: parities told, against 1.15 times the limit",
                told,
                math.sqrt(told),
                1.15 * least,
                "target f <= 1.15",
                sample,
                "<=",
            )
        )
        rows.append(
            Row(
                f"{name}: parities that the ends count, per parity told",
                counted / told,
                0.0,
                1.0,
                "counted on the way",
                sample,
            )
        )
        rows.append(
            Row(f"{name}: frames that are equal afterwards", corrected / frames, 0.0, 1.0, "all", sample)
        )
    return rows


def _corrected(qber: float, number: int) -> tuple[int, int, int, bool]:
    """Return parities on the way, parities as counted by the ends, errors, and whether the ends are equal."""
    draws = stream(1, "truth", "cascade", round(1000 * qber), number)
    sent = draws.integers(0, 2, FRAME_BITS, dtype=np.uint8)
    wrong = (draws.random(FRAME_BITS) < qber).astype(np.uint8)
    teller, finder = ParityTeller(sent, number), ErrorFinder(sent ^ wrong, number, qber)
    crossed = 0
    while len(questions := finder.ask()):
        answers = teller.answer(questions)
        crossed += len(answers)
        finder.take(answers)
    return crossed, teller.told_bits, int(wrong.sum()), bool(np.array_equal(finder.bits, sent))


def hashing(share: float) -> list[Row]:
    """Amplify against the product with the Toeplitz matrix; verify strings that differ in a bit."""
    rows = []
    draws = stream(1, "truth", "hashing")
    for bits, output in ((64, 24), (1_000, 400)):
        key = draws.integers(0, 2, bits, dtype=np.uint8)
        seed = draws.integers(0, 2, seed_bits(bits, output), dtype=np.uint8)
        from scipy.linalg import toeplitz

        columns = bits - output
        random = toeplitz(seed[columns - 1 :], seed[columns - 1 :: -1])
        matrix = np.hstack((np.eye(output, dtype=np.int64), random))
        differ = int(np.count_nonzero((matrix @ key) % 2 != amplify(key, seed, output)))
        rows.append(
            Row(
                f"privacy amplification of {bits} bits to {output}: bits unlike the matrix product",
                differ,
                0.0,
                0.0,
                "scipy.linalg.toeplitz",
                "1 key, seed 1",
            )
        )
    missed, trials = 0, at_least(200, 20_000, share)
    for _ in range(trials):
        text = bytearray(draws.bytes(64))
        point = draws.bytes(POINT_BYTES)
        one = polynomial_hash(bytes(text), point)
        text[int(draws.integers(0, 64))] ^= 1 << int(draws.integers(0, 8))
        missed += one == polynomial_hash(bytes(text), point)
    rows.append(
        Row(
            "verification: unequal strings that pass",
            missed,
            0.0,
            0.0,
            "collisions below 1e-15",
            f"{trials} pairs, seed 1",
        )
    )
    return rows


def thresholds(_: float) -> list[Row]:
    """Find the error rates at which key ends, by halving; and the published worked rates."""
    low, high = 0.0, 0.25
    for _step in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if asymptotic_rate(1.0, middle, 1.0, 1.0) > 0 else (low, middle)
    rate = vacuum_weak_rate(0.045 * 10**-1.05, 0.48, 0.05, 1.7e-6, 0.033)
    return [
        Row(
            "error rate at which the key of BB84 and BBM92 ends",
            high,
            1e-6,
            0.11003,
            "1 - 2h(e) = 0, Shor, Preskill 2000",
            "halving",
        ),
        Row(
            "decoy BB84 at 50 km, vacuum and weak decoy: key per pulse, worked value",
            rate,
            2e-11,
            2.096250e-4,
            cf.MA,
            "seven digits",
        ),
    ]


def lost_key(share: float) -> list[Row]:
    """Compress raw bits by the length rule under full interception: nothing is left."""
    from qstrata.physics.finite_key import key_length_bits
    from truth.devices import count, link

    rows = []
    for f in (0.3, 1.0):
        blocks = count(link(6.0), at_least(5, 100, share), intercept_resend=f)
        longest = max(key_length_bits(block, link(6.0)).length_bits for block in blocks)
        rows.append(
            Row(
                f"intercept-resend of {f:.0%}: longest key of a block",
                longest,
                0.0,
                0.0,
                "none above 11%",
                f"{len(blocks)} blocks of 60 s, seed 1",
                "<=",
            )
        )
    return rows


def amplified_bits_are_even(share: float) -> list[Row]:
    """Count the ones of amplified key."""
    draws = stream(1, "truth", "even")
    bits, output, ones, trials = 100_000, 40_000, 0, at_least(1, 10, share)
    for _ in range(trials):
        key = draws.integers(0, 2, bits, dtype=np.uint8)
        seed = draws.integers(0, 2, seed_bits(bits, output), dtype=np.uint8)
        ones += int(amplify(key, seed, output).sum())
    return [
        of_share(
            "privacy amplification: share of ones",
            ones,
            trials * output,
            0.5,
            "even",
            f"{trials * output} bits, seed 1",
        )
    ]

"""Parameter estimation: the counts of a block from what both ends told, and how many bits to trust."""

import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError
from qstrata.physics.counts import Counts, Triple
from qstrata.physics.postprocessing.sifting import Bits, Sifted


def block_counts(
    sent: Triple, intensities: Bits, sifted: Sifted, test_errors: Bits, key_errors: Triple = (0, 0, 0)
) -> Counts:
    """Return the counts of a block.

    `sent` pulses per intensity, `intensities` of all clicks; `test_errors` is 1 where the bits of both ends
    differed, one entry per test click. `key_errors` per intensity are known once the key is corrected, and
    told by the end that corrected them: with one decoy they bound the vacuum clicks. Raises InputError
    where they are more than the key has bits, or fewer than none.
    """
    test = intensities[sifted.test]
    key = intensities[sifted.key]
    bits = _per_intensity(key)
    if not all(0 <= wrong <= some for wrong, some in zip(key_errors, bits, strict=True)):
        raise InputError(f"{key_errors} errors in a key of {bits} bits: give up the block")
    return Counts(
        sent=sent,
        n=(bits, _per_intensity(test)),
        m=(key_errors, _per_intensity(test[test_errors != 0])),
        detections=len(intensities),
    )


def error_count_bits(counts: Counts) -> int:
    """Return how many bits the numbers of errors in the key tell, one number per intensity: at most these.

    Any number of the bits of an intensity may differ: log2 of how many ways there are to tell, rounded up.
    """
    signal, weak, vacuum = counts.n[0]
    return ((signal + 1) * (weak + 1) * (vacuum + 1) - 1).bit_length()


def expected_qber(counts: Counts, least: float = 1e-3) -> float:
    """Return the error rate to expect in the key, from the test basis alone: never below `least`.

    Both bases err alike where the misalignment does. With few test bits the rate is taken a little higher,
    as if half an error more had been seen: block sizes for too few errors cost more than for too many.
    """
    tested = sum(counts.n[1])
    return min(0.5, max(least, (sum(counts.m[1]) + 0.5) / tested)) if tested else 0.03


def _per_intensity(intensities: NDArray[np.uint8]) -> Triple:
    signal, weak, vacuum = np.bincount(intensities, minlength=3).tolist()
    return signal, weak, vacuum

"""Parameter estimation: the counts of a block from what both ends told, and how many bits to trust."""

import numpy as np
from numpy.typing import NDArray

from qstrata.physics.counts import Counts, Triple
from qstrata.physics.postprocessing.sifting import Bits, Sifted


def block_counts(
    sent: Triple, intensities: Bits, sifted: Sifted, test_errors: Bits, key_errors: Bits | None = None
) -> Counts:
    """Return the counts of a block.

    `sent` pulses per intensity, `intensities` of all clicks; `test_errors` and `key_errors` are 1 where the
    bits of both ends differed, one entry per sifted click. The errors of the key are known once they are
    corrected, and only to the end that corrected them; they are 0 until then and never enter a bound.
    """
    test = intensities[sifted.test]
    key = intensities[sifted.key]
    wrong_key = key[:0] if key_errors is None else key[key_errors != 0]
    return Counts(
        sent=sent,
        n=(_per_intensity(key), _per_intensity(test)),
        m=(_per_intensity(wrong_key), _per_intensity(test[test_errors != 0])),
        detections=len(intensities),
    )


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

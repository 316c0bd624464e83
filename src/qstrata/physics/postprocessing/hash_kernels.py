"""Kernel of the universal hash: a polynomial over the integers modulo 2^61 - 1, at two points in one go."""

import numpy as np
from numpy.typing import NDArray

from qstrata.physics.compiled import kernel

PRIME = (1 << 61) - 1
_LOW = (1 << 31) - 1
_MIDDLE = (1 << 30) - 1


@kernel
def times(a: int, b: int) -> int:
    """Return a b modulo PRIME, for both from 0 to PRIME, in 63 bits."""
    middle = (a >> 31) * (b & _LOW) + (a & _LOW) * (b >> 31)
    low = (a & _LOW) * (b & _LOW)
    value = 2 * (a >> 31) * (b >> 31) + (middle >> 30) + ((middle & _MIDDLE) << 31)
    value += (low & PRIME) + (low >> 61)
    value = (value & PRIME) + (value >> 61)
    return value - PRIME if value >= PRIME else value


@kernel
def evaluate(words: NDArray[np.int64], points: NDArray[np.int64], values: NDArray[np.int64]) -> None:
    """Add each word to both values and multiply them by their points; words are below PRIME."""
    first, second = values[0], values[1]
    for i in range(len(words)):
        first = times((first + words[i]) % PRIME, points[0])
        second = times((second + words[i]) % PRIME, points[1])
    values[0] = first
    values[1] = second

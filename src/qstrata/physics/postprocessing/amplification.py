"""Privacy amplification: a random Toeplitz matrix turns a corrected string into a shorter secret one.

Row i of the matrix holds seed bit i - j + n - 1 in column j: n + m - 1 public random bits make an n to m bit
universal hash. Source: H. Krawczyk, "LFSR-based hashing and authentication", CRYPTO 1994; the secrecy is the
leftover hash lemma. The product is a convolution, by FFT over the reals: every sum is a whole number of
at most 2^20, and float64 errs by less than 1e-7 there, far from the half that would round wrongly.
"""

import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError

CHUNK_BITS = 1 << 20
"""The input is convolved in chunks of so many bits, which bounds memory and rounding."""

Bits = NDArray[np.uint8]


def seed_bits(input_bits: int, output_bits: int) -> int:
    """Return how many random bits choose the matrix."""
    return input_bits + output_bits - 1


def amplify(key: Bits, seed: Bits, output_bits: int) -> Bits:
    """Return the Toeplitz hash of `key` (0 or 1, shape (n,)), shape (output_bits,).

    `seed` has n + output_bits - 1 bits, 0 or 1. Raises InputError where it has not, or where the output would
    be empty or longer than the key.
    """
    length = len(key)
    if not 0 < output_bits <= length or len(seed) != seed_bits(length, output_bits):
        raise InputError(
            f"{length} bits cannot be hashed to {output_bits} by a seed of {len(seed)}: "
            f"give an output of 1 to {length} bits and a seed of n + m - 1"
        )
    parity = np.zeros(output_bits, dtype=np.uint8)
    for start in range(0, length, CHUNK_BITS):
        chunk = key[start : start + CHUNK_BITS]
        first = length - start - len(chunk)
        parity ^= _product(chunk, seed[first : first + len(chunk) + output_bits - 1], output_bits)
    return parity


def _product(chunk: Bits, seed: Bits, output_bits: int) -> Bits:
    # Shorter than the full convolution: what wraps around falls before the part that is kept.
    size = _smooth_length(len(seed))
    spectrum = np.fft.rfft(seed, size)
    spectrum *= np.fft.rfft(chunk, size)
    sums = np.fft.irfft(spectrum, size)[len(chunk) - 1 : len(chunk) - 1 + output_bits]
    return (np.rint(sums).astype(np.int64) & 1).astype(np.uint8)


def _smooth_length(least: int) -> int:
    """Return the smallest 2^a 3^b 5^c that is at least `least`: FFTs of such lengths are fast."""
    best = 1 << max(0, (least - 1).bit_length())
    five = 1
    while five < best:
        three = five
        while three < best:
            two = three << max(0, (-(-least // three) - 1).bit_length())
            best = min(best, two)
            three *= 3
        five *= 5
    return best

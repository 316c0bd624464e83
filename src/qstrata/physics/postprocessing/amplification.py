"""Privacy amplification: a random matrix turns a corrected string into a shorter secret one.

The matrix is (1 | T), T a Toeplitz matrix: row i of T holds seed bit i - j + c - 1 in its column j of
c = n - m, so n - 1 public random bits make an n to m bit universal hash. Sources: H. Krawczyk, "LFSR-based
hashing and authentication", CRYPTO 1994, for T; M. Hayashi, T. Tsurumaru, IEEE Trans. Inf. Theory 62, 2213
(2016), for the unit matrix before it; the secrecy is the leftover hash lemma.

T's product is a convolution, made exactly by FFT of floats. The left half of the columns is convolved as
whole numbers, the right one, divided by a unit u, with windows of the seed; the left windows have the right
ones added u-fold. A sum is then a whole number, the one wanted, plus an even one, plus less than 1/2. An
error of 1/4 would round wrongly; for the longest sums it is below 0.06 (C. Percival, Math. Comp. 72, 387,
2003, theorem 5.1, with the constant of R. P. Brent, C. Percival, P. Zimmermann, Math. Comp. 76, 1469, 2007).
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError

GROUP_BITS = 1 << 20
"""So many columns are summed before they are rounded."""
WHOLE_BITS = 1 << 18
"""Half the columns plus the rows, up to which the product is one convolution."""
HALF_BITS = 1 << 16
"""Half the columns of a tile of a larger product; it has as many rows as columns."""

Bits = NDArray[np.uint8]
Floats = NDArray[np.float64]


def seed_bits(input_bits: int, output_bits: int) -> int:
    """Return how many random bits choose the matrix."""
    return input_bits - 1 if output_bits < input_bits else 0


def amplify(key: Bits, seed: Bits, output_bits: int) -> Bits:
    """Return the hash of `key` (0 or 1, shape (n,)), shape (output_bits,).

    `seed` has `seed_bits` bits, 0 or 1. Raises InputError where it has not, or where the output would be
    empty or longer than the key.
    """
    length = len(key)
    if not 0 < output_bits <= length or len(seed) != seed_bits(length, output_bits):
        raise InputError(
            f"{length} bits cannot be hashed to {output_bits} by a seed of {len(seed)}: "
            f"give an output of 1 to {length} bits and a seed of {seed_bits(length, output_bits)}"
        )
    hashed, columns = key[:output_bits].copy(), key[output_bits:]
    for start in range(0, len(columns), GROUP_BITS):
        group = columns[start : start + GROUP_BITS]
        first = len(columns) - start - len(group)
        hashed ^= _product(group, seed[first : first + len(group) + output_bits - 1], output_bits)
    return hashed


def _product(columns: Bits, seed: Bits, rows: int) -> Bits:
    half, tile_rows = -(-len(columns) // 2), rows
    if half + rows > WHOLE_BITS:
        half, tile_rows = HALF_BITS, 2 * HALF_BITS
    width = 2 * half
    size = _smooth_length(half + tile_rows - 1)
    chunks, tiles = -(-len(columns) // width), -(-rows // tile_rows)
    # Columns that are not there are zero, and so is their seed, which nobody draws.
    spare = chunks * width - len(columns)
    seed = np.concatenate((np.zeros(spare, np.uint8), seed, np.zeros(tiles * tile_rows - rows, np.uint8)))
    columns = np.concatenate((columns, np.zeros(spare, np.uint8)))
    unit = 2.0 ** ((chunks * half).bit_length() + 1)

    def window(place: int) -> NDArray[np.complex128]:
        """Return the spectrum of the seed from a place on, `place` in widths of a tile."""
        right = seed[place * width :][: half + tile_rows - 1]
        left = seed[place * width + half :][: half + tile_rows - 1]
        return np.fft.rfft(right * unit + left, size)

    parts = columns.reshape(chunks, 2, half)
    spectra = [np.fft.rfft(left + right / unit, size) for left, right in parts]
    windows = deque((window(place) for place in range(chunks - 1)), maxlen=chunks)
    windows.reverse()
    product = np.empty(tiles * tile_rows, dtype=np.uint8)
    for tile in range(tiles):
        windows.appendleft(window(chunks - 1 + tile))
        total = spectra[0] * windows[0]
        for chunk in range(1, chunks):
            total += spectra[chunk] * windows[chunk]
        sums = np.fft.irfft(total, size)[half - 1 :][:tile_rows]
        product[tile * tile_rows :][:tile_rows] = (sums + 0.25).astype(np.int64) & 1
    return product[:rows]


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

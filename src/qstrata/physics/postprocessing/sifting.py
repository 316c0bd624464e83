"""Sifting: what both ends tell of the clicks of a block, and which bits become key and test.

Bases are 0 for Z (key) and 1 for X (test), intensities 0, 1, 2 for signal, weak, vacuum, bits 0 or 1; all
arrays of one block have one entry per click, in the order of the pulses. Bits of the basis Z are never told.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError

Z, X = 0, 1
GAP_BYTES = 5
"""A gap between clicks is told in so many bytes: up to 1.1e12 pulses."""
_INTENSITIES_PER_BYTE = 4

Bits = NDArray[np.uint8]
Positions = NDArray[np.int64]


class Sifted(msgspec.Struct, frozen=True):
    """Say which clicks are key (both ends in Z) and which test (both in X): indices, ascending."""

    key: NDArray[np.int64]
    test: NDArray[np.int64]


def sift(sender_bases: Bits, receiver_bases: Bits) -> Sifted:
    """Choose the clicks in equal bases; InputError where the ends tell of different numbers of clicks."""
    if len(sender_bases) != len(receiver_bases):
        raise InputError(
            f"bases of {len(sender_bases)} and of {len(receiver_bases)} clicks: give up the block"
        )
    both = sender_bases + 2 * receiver_bases
    return Sifted(key=np.flatnonzero(both == 0), test=np.flatnonzero(both == 3))


def pack_positions(positions: Positions) -> bytes:
    """Return the gaps between ascending pulse numbers, GAP_BYTES each, little-endian."""
    gaps = np.diff(positions, prepend=-1).astype("<u8")
    return gaps.view(np.uint8).reshape(-1, 8)[:, :GAP_BYTES].tobytes()


def unpack_positions(packed: bytes) -> Positions:
    """Return the pulse numbers of `pack_positions`; InputError for a text that is none."""
    if len(packed) % GAP_BYTES:
        raise InputError(f"positions in {len(packed)} bytes: give {GAP_BYTES} for each click")
    gaps = np.zeros((len(packed) // GAP_BYTES, 8), dtype=np.uint8)
    gaps[:, :GAP_BYTES] = np.frombuffer(packed, dtype=np.uint8).reshape(-1, GAP_BYTES)
    steps = gaps.view("<u8").reshape(-1).astype(np.int64)
    if len(steps) and int(steps.min()) < 1:
        raise InputError("positions of clicks that do not ascend: give up the block")
    return np.cumsum(steps) - 1


def pack_bits(bits: Bits) -> bytes:
    """Return bits (0 or 1), eight in a byte, the first one highest; the last byte is filled with zeros."""
    return np.packbits(bits).tobytes()


def unpack_bits(packed: bytes, count: int) -> Bits:
    """Return the first `count` bits; InputError unless they fill the bytes."""
    if len(packed) != -(-count // 8):
        raise InputError(f"{count} bits in {len(packed)} bytes: give up the block")
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=count)


def pack_intensities(intensities: Bits) -> bytes:
    """Return intensities (0, 1, 2), four in a byte, the first one lowest."""
    padded = np.zeros(-(-len(intensities) // _INTENSITIES_PER_BYTE) * _INTENSITIES_PER_BYTE, dtype=np.uint8)
    padded[: len(intensities)] = intensities
    return (padded.reshape(-1, _INTENSITIES_PER_BYTE) @ np.array([1, 4, 16, 64], dtype=np.uint8)).tobytes()


def unpack_intensities(packed: bytes, count: int) -> Bits:
    """Return the first `count` intensities; InputError unless they fill the bytes and are 0, 1 or 2."""
    if len(packed) != -(-count // _INTENSITIES_PER_BYTE):
        raise InputError(f"{count} intensities in {len(packed)} bytes: give up the block")
    fours = np.frombuffer(packed, dtype=np.uint8)[:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8)
    intensities = (fours & 3).astype(np.uint8).reshape(-1)[:count]
    if count and int(intensities.max()) > 2:
        raise InputError("an intensity that is none of the three: give up the block")
    return intensities

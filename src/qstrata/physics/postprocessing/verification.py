"""Verification: a short hash tells whether both ends hold the same string.

The hash of a message of L words w_i of 7 bytes is w_1 r^(L+1) + ... + w_L r^2 + (its bytes) r modulo the
prime 2^61 - 1, at two random points r. Two different messages of at most L words have equal values at one
point for at most L + 1 of the points, and at both with probability at most ((L + 2)/(2^61 - 1))^2.
Source: J. L. Carter, M. N. Wegman, J. Comput. Syst. Sci. 18, 143 (1979); polynomial evaluation: B. den Boer,
J. Comput. Secur. 2, 65 (1993).
"""

import numpy as np

from qstrata.core.errors import InputError

PRIME = (1 << 61) - 1
HASH_BITS = 122
HASH_BYTES = 16
POINT_BYTES = 16
"""So many random bytes make the two points."""
_WORD_BYTES = 7

Residues = tuple[int, int]
"""Two numbers from 0 to PRIME - 1."""


def polynomial_hash(message: bytes, point: bytes) -> Residues:
    """Return the hash of a message at the points of POINT_BYTES random bytes; InputError for others."""
    # The kernel takes a while to import, and agents that distil no raw blocks do without.
    from qstrata.physics.postprocessing.hash_kernels import evaluate

    padded = message + bytes(-len(message) % _WORD_BYTES)
    words = np.zeros((len(padded) // _WORD_BYTES + 1, 8), dtype=np.uint8)
    words[:-1, :_WORD_BYTES] = np.frombuffer(padded, dtype=np.uint8).reshape(-1, _WORD_BYTES)
    words[-1] = np.frombuffer(len(message).to_bytes(8, "little"), dtype=np.uint8)
    values = np.zeros(2, dtype=np.int64)
    evaluate(words.view("<i8").reshape(-1), np.array(as_residues(point), dtype=np.int64), values)
    return int(values[0]), int(values[1])


def as_residues(drawn: bytes) -> Residues:
    """Return the two residues that 16 random bytes make; uniform but for 2^-61. InputError for others."""
    if len(drawn) != POINT_BYTES:
        raise InputError(f"residues of {len(drawn)} bytes: give {POINT_BYTES}")
    first, second = (int.from_bytes(half, "big") & PRIME for half in (drawn[:8], drawn[8:]))
    return first % PRIME, second % PRIME


def as_bytes(residues: Residues) -> bytes:
    """Return two residues as HASH_BYTES bytes."""
    return b"".join(residue.to_bytes(8, "big") for residue in residues)


def collision_bound(message_bytes: int) -> float:
    """Return the probability that two different messages of at most so many bytes hash alike, at most."""
    # The words, the length, and the residue 0 that two values of 61 random bits make.
    return float(((-(-message_bytes // _WORD_BYTES) + 2) / PRIME) ** 2)

"""Verification: a short hash tells whether both ends hold the same string.

The hash of a message of L words w_i below 2^120 is w_1 r^(L+1) + ... + w_L r^2 + (its bytes) r modulo the
prime 2^127 - 1, at a random r. Two different messages of at most L words have equal hashes for at most
L + 1 of the values of r: the collision probability is at most (L + 1) / (2^127 - 1).
Source: J. L. Carter, M. N. Wegman, J. Comput. Syst. Sci. 18, 143 (1979); polynomial evaluation: B. den Boer,
J. Comput. Secur. 2, 65 (1993).
"""

PRIME = (1 << 127) - 1
HASH_BITS = 127
POINT_BYTES = 16
"""A random r is made of so many bytes."""
_WORD_BYTES = 15


def polynomial_hash(message: bytes, point: bytes) -> int:
    """Return the hash (0 to PRIME - 1) of a message at the point that POINT_BYTES random bytes make."""
    at = as_residue(point)
    value = 0
    for start in range(0, len(message), _WORD_BYTES):
        value = (value + int.from_bytes(message[start : start + _WORD_BYTES], "big")) * at % PRIME
    return (value + len(message)) * at % PRIME


def as_residue(drawn: bytes) -> int:
    """Return the residue modulo PRIME that 16 random bytes make; uniform but for 2^-127."""
    return (int.from_bytes(drawn, "big") & PRIME) % PRIME


def collision_bound(message_bytes: int) -> float:
    """Return the probability that two different messages of at most so many bytes hash alike, at most."""
    # The words, the length, and the residue 0 that two values of 127 random bits make.
    return (-(-message_bytes // _WORD_BYTES) + 2) / PRIME

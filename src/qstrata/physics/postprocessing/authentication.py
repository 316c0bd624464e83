"""Authentication of what was told in public: Wegman-Carter tags, and the key that they use up.

A tag is the polynomial hash of the transcript plus a mask, modulo 2^61 - 1, twice. Hash points and masks are
secret key that both ends hold before the block, taken afresh for every block; the two directions share
the points and have masks of their own. Whoever does not know them makes a valid tag for another transcript
with a probability of at most `collision_bound` of its length.
Source: M. N. Wegman, J. L. Carter, J. Comput. Syst. Sci. 22, 265 (1981).
"""

import hmac

from qstrata.core.errors import InputError
from qstrata.core.secrets import KeyMaterial
from qstrata.physics.postprocessing.verification import (
    POINT_BYTES,
    PRIME,
    as_bytes,
    as_residues,
    polynomial_hash,
)

KEY_BITS = 3 * POINT_BYTES * 8
"""What the authentication of one block uses up: the hash points and the masks of each direction."""


class Transcript:
    """What both ends told of one block, in an order that both know: `parts` are entered by their names."""

    def __init__(self) -> None:
        self._parts: dict[str, bytes] = {}

    def enter(self, name: str, *fields: bytes) -> None:
        """Enter one message by a name that both ends give it; the same name again replaces it."""
        lengths = b"".join(len(field).to_bytes(8, "big") for field in fields)
        self._parts[name] = lengths + b"".join(fields)

    def encoded(self) -> bytes:
        """Return all parts, sorted by name, each with name and length: no two transcripts look alike."""
        pieces: list[bytes] = []
        for name in sorted(self._parts):
            label = name.encode()
            part = self._parts[name]
            pieces += [len(label).to_bytes(2, "big"), label, len(part).to_bytes(8, "big"), part]
        return b"".join(pieces)


def tag(transcript: Transcript, key: KeyMaterial, direction: int) -> bytes:
    """Return the tag of a transcript for a direction (0 from the transmitter, 1 from the receiver).

    InputError where `key` has not KEY_BITS bits.
    """
    if key.size_bits != KEY_BITS:
        raise InputError(f"authentication takes {KEY_BITS} bits of key, not {key.size_bits}")
    masks = as_residues(key.reveal((1 + direction) * POINT_BYTES, (2 + direction) * POINT_BYTES))
    values = polynomial_hash(transcript.encoded(), key.reveal(0, POINT_BYTES))
    return as_bytes(((values[0] + masks[0]) % PRIME, (values[1] + masks[1]) % PRIME))


def is_authentic(transcript: Transcript, key: KeyMaterial, direction: int, told: bytes) -> bool:
    """Say whether `told` is the tag of this transcript, in constant time."""
    return hmac.compare_digest(tag(transcript, key, direction), told)

"""Seeded streams: one per (run, element or link, purpose), so that nobody moves another's draws."""

import os
from hashlib import blake2b
from typing import Protocol

import numpy as np

UUID_BYTES = 16


class RandomSource(Protocol):
    """What draws key bits and identifiers: a seeded stream, or the operating system."""

    def bytes(self, length: int, /) -> bytes:
        """Draw `length` random bytes."""
        ...


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Open the stream of random numbers that belongs to `names` in the run `seed`.

    The stream depends on nothing but its arguments: adding an element or a draw elsewhere moves
    no other stream.
    """
    label = "\x00".join(str(name) for name in (seed, *names)).encode()
    seed_of_stream = int.from_bytes(blake2b(label, digest_size=16).digest(), "big")
    return np.random.Generator(np.random.PCG64(seed_of_stream))


class SystemRandom:
    """Draw from the operating system: the source of real-time runs without a seed."""

    def bytes(self, length: int, /) -> bytes:
        """Draw `length` random bytes from the operating system."""
        return os.urandom(length)


def source(seed: int | None, *names: str | int) -> RandomSource:
    """Return the seeded stream of `names`, or the operating system where `seed` is None."""
    return SystemRandom() if seed is None else stream(seed, *names)


def uuid_of(drawn: bytes) -> str:
    """Return the version 4 UUID, as text, that UUID_BYTES random bytes make (RFC 9562, 5.4)."""
    bits = bytearray(drawn)
    bits[6] = (bits[6] & 0x0F) | 0x40
    bits[8] = (bits[8] & 0x3F) | 0x80
    text = bits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

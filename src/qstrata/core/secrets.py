"""Key material: bytes that show nothing, compare in constant time and are taken once."""

import hmac
from hashlib import blake2b
from typing import NoReturn

from qstrata.core.errors import InternalError


class KeyMaterial:
    """Hold secret bits; not a `bytes`, so that logging or formatting it shows nothing.

    The bytes are read with `reveal`, or handed over for the last time with `take`, after which the
    object is empty. Wiping is best effort: Python may have copied the bytes before.
    """

    __slots__ = ("_buffer",)

    def __init__(self, data: bytes | bytearray) -> None:
        self._buffer: bytearray | None = bytearray(data)

    def __len__(self) -> int:
        """Return the length in bytes."""
        return len(self._held())

    @property
    def size_bits(self) -> int:
        """Return the length in bits."""
        return len(self._held()) * 8

    def reveal(self, start: int = 0, end: int | None = None) -> bytes:
        """Return a copy of the bytes, or of those from `start` to before `end`.

        For ciphers, the sealed store and the answer to an SAE only.
        """
        return bytes(self._held()[start:end])

    def copy(self) -> "KeyMaterial":
        """Return key material of its own with the same bytes."""
        return KeyMaterial(self._held())

    def take(self) -> bytes:
        """Return the bytes and empty this object; a second call raises InternalError."""
        data = bytes(self._held())
        self.wipe()
        return data

    def wipe(self) -> None:
        """Overwrite the bytes and empty this object; harmless when already empty."""
        if self._buffer is not None:
            self._buffer[:] = bytes(len(self._buffer))
            self._buffer = None

    def digest(self, salt: bytes) -> str:
        """Return 16 hex characters that identify the bits within one run (keyed BLAKE2b)."""
        return blake2b(self._held(), key=salt[:64], digest_size=8).hexdigest()

    def __eq__(self, other: object) -> bool:
        """Compare in constant time with other key material."""
        if not isinstance(other, KeyMaterial):
            return NotImplemented
        return hmac.compare_digest(self._held(), other._held())

    def __repr__(self) -> str:
        """Show that there is key material, and nothing of it."""
        return "KeyMaterial(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise InternalError("key material is never pickled or copied")

    def _held(self) -> bytearray:
        if self._buffer is None:
            raise InternalError("this key material has already been taken or wiped")
        return self._buffer


def xor(data: bytes, pad: bytes) -> bytes:
    """Return the one-time-pad combination of two equally long byte strings; InternalError otherwise."""
    if len(data) != len(pad):
        raise InternalError(f"a pad of {len(pad)} bytes cannot mask {len(data)} bytes")
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")

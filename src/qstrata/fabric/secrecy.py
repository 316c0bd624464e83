"""Secret bodies: which types carry key bits, a receiver's own copy of them, and the search for leaks."""

import base64
import re
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, NoReturn, TypeVar

import msgspec

from qstrata.core.secrets import KeyMaterial

T = TypeVar("T")

_WINDOW = 16
_HEX = re.compile(rb"[0-9A-Fa-f]{%d,}" % (2 * _WINDOW))
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{22,}")
_HUGE = re.compile(rb"[0-9]{30,}")
"""More digits than any instant has: a number in which key bits could hide."""
_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")


@cache
def secret_fields(kind: type) -> tuple[str, ...]:
    """Return the fields of a struct type that may hold key material, directly or inside another struct."""
    if not issubclass(kind, msgspec.Struct):
        return ()
    hints = typing.get_type_hints(kind)
    return tuple(name for name in kind.__struct_fields__ if _holds_secrets(hints[name]))


def own_copy(value: T) -> T:
    """Copy the key material in a value, so that its receiver may take it without emptying the sender's."""
    return typing.cast("T", _copied(value))


def _copied(value: Any) -> Any:
    kind: Any = type(value)
    if kind is KeyMaterial:
        return value.copy()
    if kind is tuple:
        return tuple(map(_copied, value))
    fields = secret_fields(kind)
    if not fields:
        return value
    return msgspec.structs.replace(value, **{name: _copied(getattr(value, name)) for name in fields})


class LeakScanner:
    """Know the key bytes that secret messages carried, and find them in bodies that may hold none.

    Finds 31 or more successive bytes of any key material, or the first 16, in clear, as hex or as base64.
    """

    def __init__(self) -> None:
        self._windows: set[bytes] = set()
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_refuse)

    def learn(self, message: object) -> None:
        """Remember the key material of a message."""
        for material in _materials(message):
            data = material.reveal()
            starts = [*range(0, len(data) - _WINDOW + 1, _WINDOW), len(data) - _WINDOW]
            self._windows.update(data[start : start + _WINDOW] for start in starts if start >= 0)

    def leaks(self, message: object) -> bool:
        """Tell whether a body holds known key bytes, key material as such, or what no body can be."""
        try:
            body = self._encoder.encode(message)
        except TypeError:
            return True
        except OverflowError:
            body = msgspec.json.encode(message, enc_hook=_refuse)
            if _HUGE.search(body):
                return True
        return any(self._found(text) for text in _readings(body))

    def _found(self, text: bytes) -> bool:
        windows = self._windows
        return any(text[at : at + _WINDOW] in windows for at in range(len(text) - _WINDOW + 1))


def _readings(body: bytes) -> Iterator[bytes]:
    yield body
    for match in _HEX.findall(body):
        for start in (0, 1):
            digits = match[start:]
            yield bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
    for match in _BASE64.findall(body):
        for start in range(4):
            letters = match[start:].translate(_STANDARD_ALPHABET)
            yield base64.b64decode(letters + b"A" * (-len(letters) % 4))


def _materials(value: object) -> Iterator[KeyMaterial]:
    if isinstance(value, KeyMaterial):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _materials(item)
    elif isinstance(value, msgspec.Struct):
        for name in secret_fields(type(value)):
            yield from _materials(getattr(value, name))


def _holds_secrets(annotation: Any) -> bool:
    if annotation is KeyMaterial:
        return True
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return bool(secret_fields(annotation))
    return any(_holds_secrets(argument) for argument in typing.get_args(annotation))


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{type(value).__name__} cannot leave as part of a message")

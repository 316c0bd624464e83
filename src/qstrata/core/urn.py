"""Names of the network: URNs as RFC 8141 writes them, compared, nested and looked up by prefix.

A URN keeps its text byte for byte. Two comparisons live apart: `==` is on the text, `equivalent` on the
assigned name alone, which is what routing, policy and prefixes use. The identity of a service unit, which
also needs the q-component, is in `qstrata.core.service_unit`. The `&` and `=` inside a q-component are a
convention of this system; RFC 8141 gives the q-component no inner structure. Namespace ids are checked for
syntax only: prefixes kept for registries (RFC 8141, 5.1 and 5.2) concern registration, not parsing.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple, TypeVar

import msgspec

from qstrata.core.errors import InputError

__all__ = ["MAX_URN_LENGTH", "Pair", "Urn", "longest_prefix", "split_pairs", "upper_hex"]

T = TypeVar("T")

Pair = tuple[str, str | None]
"""One parameter of a component: key and value as written, the value None for a bare token."""

MAX_URN_LENGTH = 2048
"""Longest text accepted as a URN, in characters; RFC 8141 sets no bound, input from outside needs one."""

_PCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
_SCHEME = re.compile(r"[Uu][Rr][Nn]:")
_NID = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]):")
_NSS = re.compile(rf"{_PCHAR}(?:{_PCHAR}|/)*")
_R = re.compile(rf"{_PCHAR}(?:{_PCHAR}|/|\?(?!=))*")
_Q = re.compile(rf"{_PCHAR}(?:{_PCHAR}|[/?])*")
_F = re.compile(rf"(?:{_PCHAR}|[/?])*")
_PERCENT_HEX = re.compile(r"%[0-9A-Fa-f]{2}")


class _Parts(NamedTuple):
    nid: str
    nss: str
    r: str | None
    q: str | None
    f: str | None


class Urn(msgspec.Struct, frozen=True, order=True, dict=True):
    """Hold one URN, `urn:NID:NSS[?+r][?=q][#f]`, as it was written; `==` and `<` compare that text.

    Making one checks the syntax, so that a decoded message holds only well-formed names.
    Raises InputError that names the position (from 0) and the reason. Source: RFC 8141, section 2.
    """

    text: str

    def __post_init__(self) -> None:
        _ = self._parts

    @classmethod
    def parse(cls, text: str) -> "Urn":
        """Read a URN of at most MAX_URN_LENGTH characters; raises InputError with position and reason."""
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @cached_property
    def _parts(self) -> _Parts:
        return _split(self.text)

    @property
    def nid(self) -> str:
        """Give the namespace id as written."""
        return self._parts.nid

    @property
    def nss(self) -> str:
        """Give the namespace-specific string as written."""
        return self._parts.nss

    @property
    def r(self) -> str | None:
        """Give the r-component as written, None when absent."""
        return self._parts.r

    @property
    def q(self) -> str | None:
        """Give the q-component as written, None when absent."""
        return self._parts.q

    @property
    def f(self) -> str | None:
        """Give the f-component as written, None when absent; it may be empty."""
        return self._parts.f

    @cached_property
    def name(self) -> str:
        """Give the assigned name in canonical form: scheme and NID in lower case, percent hex in upper case.

        Percent-encodings are never decoded. Source: RFC 8141, section 3.1.
        """
        return f"urn:{self.nid.lower()}:{upper_hex(self.nss)}"

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """Give the canonical NSS split at ':'; the first one is the root name of a domain."""
        return tuple(upper_hex(self.nss).split(":"))

    def equivalent(self, other: "Urn") -> bool:
        """Tell whether both name the same thing; r, q and f do not count. Source: RFC 8141, section 3."""
        return self.name == other.name

    def starts_with(self, prefix: "Urn") -> bool:
        """Tell whether the name equals `prefix` or lies below it, counted in whole ':' segments."""
        return self.name == prefix.name or self.name.startswith(prefix.name + ":")

    @cached_property
    def q_pairs(self) -> tuple[Pair, ...]:
        """Give the q-component's parameters in their order; `with_q(q_pairs)` restores the same text."""
        return split_pairs(self.q)

    def with_q(self, pairs: Iterable[Pair]) -> "Urn":
        """Replace the q-component by these parameters, in this order; none at all removes it.

        Keys and values are raw text, already percent-encoded where RFC 8141 asks for it.
        Raises InputError for a '&' or '#' in either, a '=' in a key, or text that no q-component may hold.
        """
        pieces = [_join_pair(key, value) for key, value in pairs]
        q = "&".join(pieces) if pieces else None
        end = len("urn:") + len(self.nid) + 1 + len(self.nss)
        shown = zip(("?+", "?=", "#"), (self.r, q, self.f), strict=True)
        return Urn(self.text[:end] + "".join(mark + part for mark, part in shown if part is not None))


def split_pairs(component: str | None) -> tuple[Pair, ...]:
    """Split the text of a component at '&' and each piece at its first '='; a piece without '=' is bare."""
    if component is None:
        return ()
    pairs: list[Pair] = []
    for piece in component.split("&"):
        key, equals, value = piece.partition("=")
        pairs.append((key, value if equals else None))
    return tuple(pairs)


def upper_hex(text: str) -> str:
    """Write the hex digits of every percent-encoding in upper case and leave the rest alone."""
    return _PERCENT_HEX.sub(lambda match: match.group().upper(), text)


def longest_prefix(table: Mapping[str, T], name: Urn) -> T | None:
    """Find the entry whose key is the longest prefix of the name in whole ':' segments, None without one.

    Keys are canonical names (`Urn.name`), or `urn:NID` alone for a whole namespace. Takes one look-up per
    segment, whatever the size of the table.
    """
    key = name.name
    shortest = len("urn:") + len(name.nid)
    while len(key) >= shortest:
        if key in table:
            return table[key]
        key = key[: key.rindex(":")]
    return None


def _split(text: str) -> _Parts:
    if len(text) > MAX_URN_LENGTH:
        raise _malformed(text, MAX_URN_LENGTH, f"longer than {MAX_URN_LENGTH} characters")
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise _malformed(text, 0, "a URN begins with 'urn:'")
    nid = _NID.match(text, scheme.end())
    if nid is None:
        reason = "a namespace id has 2 to 32 letters, digits or inner hyphens and ends at ':'"
        raise _malformed(text, scheme.end(), reason)
    nss, at = _take(_NSS, text, nid.end(), "namespace-specific string")
    r = q = f = None
    if text.startswith("?+", at):
        r, at = _take(_R, text, at + 2, "r-component")
    if text.startswith("?=", at):
        q, at = _take(_Q, text, at + 2, "q-component")
    if text.startswith("#", at):
        f, at = _take(_F, text, at + 1, "f-component")
    if at < len(text):
        raise _malformed(text, at, _why_refused(text, at))
    return _Parts(nid.group(1), nss, r, q, f)


def _take(pattern: re.Pattern[str], text: str, start: int, what: str) -> tuple[str, int]:
    match = pattern.match(text, start)
    if match is None:
        refused = _why_refused(text, start) if start < len(text) else "it is empty"
        raise _malformed(text, start, f"the {what} must begin with a URN character, but {refused}")
    return match.group(), match.end()


def _why_refused(text: str, at: int) -> str:
    if text[at] == "%":
        return "'%' is not followed by two hex digits"
    if text[at] == "?":
        return "'?' may only open '?+' and then '?=' here, each once and in this order"
    return f"character {text[at]!r} is not allowed here (percent-encode it if it is meant)"


def _malformed(text: str, at: int, reason: str) -> InputError:
    shown = text if len(text) <= 80 else text[:80] + "..."
    return InputError(f"URN {shown!r} is malformed at position {at}: {reason}")


def _join_pair(key: str, value: str | None) -> str:
    if any(mark in key for mark in "&=#") or any(mark in (value or "") for mark in "&#"):
        raise InputError(f"parameter {key!r}: write '&', '=' and '#' inside it as %26, %3D and %23")
    return key if value is None else f"{key}={value}"

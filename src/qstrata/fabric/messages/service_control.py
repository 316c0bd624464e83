"""F1, service.res - service.sdn: registry, sessions and credit down; what a KME has, and wants, up."""

from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.fabric.messages.base import SERVICE_SDN, Message
from qstrata.store.records import SaeEntry


class _Down(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F1"
    sent_by: ClassVar[tuple[End, ...]] = SERVICE_SDN
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)


class _Up(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F1"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)
    sent_to: ClassVar[tuple[End, ...]] = SERVICE_SDN


class ConfigureKme(_Down, frozen=True, gc=False):
    """Give a KME the SAEs attached to it, with the peers that policy allows; replaces the former."""

    logged: ClassVar[tuple[str, ...]] = ("serial",)
    serial: int
    saes: tuple[SaeEntry, ...]


class OpenSession(_Down, frozen=True, gc=False):
    """Open a session at a KME, or confirm one that is open; `depth` counts the keys of its own half.

    Each SAE is granted `request_rate_keys_per_s`, at most `burst_keys` at once; a rate of 0 bounds nothing.
    """

    logged: ClassVar[tuple[str, ...]] = ("session", "size_bits", "depth")
    session: str
    unit: str
    local: str
    peer: str
    peer_site: str
    size_bits: int
    depth: int
    valid_until_ps: int
    request_rate_keys_per_s: float = 0.0
    burst_keys: int = 0


class GrantCredit(_Down, frozen=True, gc=False):
    """Let a KME refill a session over a path: at most `rate_keys_per_s`, `total_keys` in all.

    A later serial replaces what is left of an earlier one.
    """

    logged: ClassVar[tuple[str, ...]] = ("session", "serial", "path", "total_keys")
    session: str
    serial: int
    path: int
    rate_keys_per_s: float
    total_keys: int


class WithdrawCredit(_Down, frozen=True, gc=False):
    """Stop the refill of a session; pooled keys still serve. `reason` is shown to operators."""

    logged: ClassVar[tuple[str, ...]] = ("session", "serial")
    session: str
    serial: int
    reason: str


class CloseSession(_Down, frozen=True, gc=False):
    """Close a session: no more refill, no more delivery; its pooled keys are destroyed."""

    logged: ClassVar[tuple[str, ...]] = ("session",)
    session: str


class ReportSessions(_Down, frozen=True, gc=False):
    """Ask a KME which sessions it holds; a controller asks after its own restart."""


class TraceKey(_Down, frozen=True, gc=False):
    """Ask a KME for the story of a key or of a session's keys, by id."""

    logged: ClassVar[tuple[str, ...]] = ("request",)
    request: int
    wanted: str


class KmeHello(_Up, frozen=True, gc=False):
    """Say that a KME has started and wants its registry, sessions and credit."""

    site: str


class SessionOpened(_Up, frozen=True, gc=False):
    """Confirm durably that a session is open at this KME."""

    logged: ClassVar[tuple[str, ...]] = ("session",)
    site: str
    session: str


class CreditWanted(_Up, frozen=True, gc=False):
    """Ask for more credit before half of the last grant is used."""

    logged: ClassVar[tuple[str, ...]] = ("session", "serial")
    site: str
    session: str
    serial: int


class HeldSession(msgspec.Struct, frozen=True, gc=False):
    """A session as a KME holds it."""

    session: str
    unit: str
    local: str
    peer: str
    peer_site: str
    size_bits: int
    depth: int
    valid_until_ps: int


class SessionsReport(_Up, frozen=True, gc=False):
    """List the open sessions of a KME."""

    site: str
    sessions: tuple[HeldSession, ...]


class KeyTrace(msgspec.Struct, frozen=True, gc=False):
    """What one KME knows of one key; `transfer` is empty for a key that never left its KME.

    `position` counts the keys before it in the transfer's batch.
    """

    key_id: str
    session: str
    unit: str
    site: str
    own: bool
    size_bits: int
    state: str
    valid_until_ps: int
    delivered_to: tuple[str, ...]
    transfer: str
    position: int = 0


class KeyTraced(_Up, frozen=True, gc=False):
    """Answer TraceKey: the keys found, at most 100; empty when the KME knows none."""

    logged: ClassVar[tuple[str, ...]] = ("request",)
    request: int
    site: str
    keys: tuple[KeyTrace, ...]

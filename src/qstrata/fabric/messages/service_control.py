"""F1, service.res - service.sdn: registry, sessions and credit down; what a KME has, and wants, up."""

import enum
from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.core.service_unit import Lifecycle, ServiceUnitId
from qstrata.core.urn import Urn
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
    `rate_keys_per_s` is what the KMEs have agreed to make.
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
    rate_keys_per_s: float = 0.0


class Offer(msgspec.Struct, frozen=True, gc=False):
    """What a unit is proposed to be; on its way life and rate only go down.

    `originator` and `peer` are the endpoints' URNs, each with its pairing token once it is drawn: the
    originator's by control, the peer's by the KME that serves it. The unit begins at `begin_s` (Unix
    seconds) and lives `life_s`; each of its KMEs makes at most `rate_keys_per_s`.
    """

    originator: str
    peer: str
    size_bits: int
    begin_s: int
    life_s: int
    rate_keys_per_s: float

    @property
    def identifier(self) -> ServiceUnitId:
        """Return the identifier of the unit that the offer stands for; raises InputError."""
        endpoints = (Urn.parse(self.originator), Urn.parse(self.peer))
        nid, valid_until = endpoints[0].nid.lower(), self.begin_s + self.life_s
        return ServiceUnitId.of(endpoints, Lifecycle(size=self.size_bits, valid_until=valid_until, nid=nid))


class Reply(enum.Enum):
    """What a KME says to a proposal; of a silent one the KME before it says so."""

    ACCEPTED = "accepted"
    COUNTERED = "countered"
    REFUSED = "refused"
    SILENT = "silent"


class HopReply(msgspec.Struct, frozen=True, gc=False):
    """One hop's answer: the life and rate that are left after it, and why it counters or refuses."""

    site: str
    reply: Reply
    life_s: int
    rate_keys_per_s: float
    reason: str = ""

    @property
    def passes(self) -> bool:
        """Tell whether the proposal goes on after this hop."""
        return self.reply in (Reply.ACCEPTED, Reply.COUNTERED)


class ProposeUnit(_Down, frozen=True, gc=False):
    """Propose a unit to the KMEs along a route, beginning with this one; `channels` join its sites.

    The same `serial` again is the same attempt, a later one replaces it. KMEs of endpoints whose registry is
    older than `registry` say nothing. A `settled` offer is of an open unit: its life may not be lowered.
    """

    logged: ClassVar[tuple[str, ...]] = ("proposal", "serial")
    proposal: str
    serial: int
    offer: Offer
    route: tuple[str, ...]
    channels: tuple[str, ...]
    registry: int
    settled: bool


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


class QuarantineKeys(_Down, frozen=True, gc=False):
    """Have a KME set aside the keys of transfers that a suspect link masked."""

    logged: ClassVar[tuple[str, ...]] = ("link", "serial", "suspects")
    serial: int
    link: str
    transfers: tuple[str, ...]

    @property
    def suspects(self) -> str:
        """Return the transfers as one text."""
        return " ".join(self.transfers)


class KeysQuarantined(_Up, frozen=True, gc=False):
    """Say, durably, which of these keys are set aside, and which an SAE had been given before.

    `copies` are the transfers that took the same keys to the KMEs of other slaves.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "serial", "named")
    serial: int
    site: str
    link: str
    set_aside: tuple[str, ...]
    exposed: tuple[str, ...]
    copies: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """Return the ids of the exposed keys as one text."""
        return " ".join(self.exposed)


class KmeHello(_Up, frozen=True, gc=False):
    """Say that a KME has started and wants its registry, sessions and credit."""

    site: str


class SessionOpened(_Up, frozen=True, gc=False):
    """Confirm durably that a session is open at this KME."""

    logged: ClassVar[tuple[str, ...]] = ("session",)
    site: str
    session: str


class UnitReplied(_Up, frozen=True, gc=False):
    """Say what became of a proposal: the offer as it came back, and every hop's answer in order."""

    logged: ClassVar[tuple[str, ...]] = ("proposal", "serial")
    site: str
    proposal: str
    serial: int
    offer: Offer
    hops: tuple[HopReply, ...]


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
    rate_keys_per_s: float = 0.0


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


class NegotiationTrace(msgspec.Struct, frozen=True, gc=False):
    """What one KME keeps of a negotiation: the unit's final identifier, none if it was not agreed on."""

    site: str
    session: str
    unit: str
    originator: str
    hops: tuple[HopReply, ...]


class KeyTraced(_Up, frozen=True, gc=False):
    """Answer TraceKey: the keys found, at most 100, and how their unit was negotiated, if here."""

    logged: ClassVar[tuple[str, ...]] = ("request",)
    request: int
    site: str
    keys: tuple[KeyTrace, ...]
    negotiations: tuple[NegotiationTrace, ...] = ()

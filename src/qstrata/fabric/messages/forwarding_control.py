"""F2, forwarding.res - forwarding.sdn: links and forwarding tables down; what came of them up."""

from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.fabric.messages.base import FORWARDING_SDN, Message
from qstrata.physics.parameters import KeyLinkParameters
from qstrata.store.records import Segment


class _Down(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F2"
    sent_by: ClassVar[tuple[End, ...]] = FORWARDING_SDN
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)


class _Up(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F2"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = FORWARDING_SDN


class ActivateLink(_Down, frozen=True, gc=False):
    """Tell an agent to run its link; `transmitter` says which role this end has.

    `parameters` are those of the link's protocol: the agent estimates key length with them.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "serial")
    link: str
    serial: int
    peer_site: str
    transmitter: bool
    parameters: KeyLinkParameters


class DeactivateLink(_Down, frozen=True, gc=False):
    """Tell an agent to stop its link."""

    logged: ClassVar[tuple[str, ...]] = ("link", "serial")
    link: str
    serial: int


class TableRow(msgspec.Struct, frozen=True, gc=False):
    """One row of a forwarding table: a path between `a` and `b`, seen from this relay.

    `toward_a` and `toward_b` name the link to the next relay on that side; empty at the path's end.
    """

    path: int
    a: str
    b: str
    toward_a: str
    toward_b: str


class InstallTable(_Down, frozen=True, gc=False):
    """Replace a relay's whole forwarding table at one instant; older versions are ignored."""

    logged: ClassVar[tuple[str, ...]] = ("version",)
    version: int
    rows: tuple[TableRow, ...]


class ReportResources(_Down, frozen=True, gc=False):
    """Ask agents and relays to say hello again; a controller asks after its own restart."""


class TraceTransfer(_Down, frozen=True, gc=False):
    """Ask a relay for its part of a transfer's lineage."""

    logged: ClassVar[tuple[str, ...]] = ("request", "transfer")
    request: int
    transfer: str


class QuarantineBlocks(_Down, frozen=True, gc=False):
    """Have a relay set the blocks of a suspect window aside, from `first_block` to `last_block`."""

    logged: ClassVar[tuple[str, ...]] = ("link", "serial", "first_block", "last_block")
    serial: int
    link: str
    first_block: int
    last_block: int


class MarkCircuit(_Down, frozen=True, gc=False):
    """Have the head of a circuit keep no pair while an attack is `suspected`: all are tested."""

    logged: ClassVar[tuple[str, ...]] = ("circuit", "serial", "suspected")
    serial: int
    circuit: str
    suspected: bool


class CircuitMarked(_Up, frozen=True, gc=False):
    """Say that a circuit is marked as suspected, or no more."""

    logged: ClassVar[tuple[str, ...]] = ("circuit", "serial", "suspected")
    serial: int
    site: str
    circuit: str
    suspected: bool


class BlocksQuarantined(_Up, frozen=True, gc=False):
    """Say that the blocks are set aside: `bits` that were left, and the transfers that they masked here."""

    logged: ClassVar[tuple[str, ...]] = ("link", "serial", "bits")
    serial: int
    site: str
    link: str
    bits: int
    transfers: tuple[str, ...]


class AgentHello(_Up, frozen=True, gc=False):
    """Say that an agent has started and waits for its link to be activated."""

    logged: ClassVar[tuple[str, ...]] = ("link",)
    site: str
    link: str


class RelayHello(_Up, frozen=True, gc=False):
    """Say that a relay has started and wants its forwarding table; `version` is what it has."""

    site: str
    version: int


class LinkStatus(_Up, frozen=True, gc=False):
    """Say how one end of a link runs: `active`, `dark` (no light) or `silent` (peer unheard)."""

    logged: ClassVar[tuple[str, ...]] = ("link", "status")
    site: str
    link: str
    status: str


class TableInstalled(_Up, frozen=True, gc=False):
    """Confirm that a forwarding table is in force."""

    logged: ClassVar[tuple[str, ...]] = ("version",)
    site: str
    version: int


class BlockTrace(msgspec.Struct, frozen=True, gc=False):
    """What a relay knows of one link block that a transfer used."""

    link: str
    number: int
    length: int
    owner: str
    bearer: str
    provisioned: bool
    qber_ppm: int
    made_ps: int


class TransferTraced(_Up, frozen=True, gc=False):
    """Answer TraceTransfer: pad bits in and out at this relay; `found` is false when it knows none."""

    logged: ClassVar[tuple[str, ...]] = ("request",)
    request: int
    site: str
    found: bool
    path: int
    at_ps: int
    incoming: tuple[Segment, ...]
    outgoing: tuple[Segment, ...]
    blocks: tuple[BlockTrace, ...]

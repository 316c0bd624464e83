"""F3, connectivity.res - connectivity.sdn: grants of bearers down; signals and confirmations up."""

from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.fabric.messages.base import CONNECTIVITY_SDN, Message


class _Down(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F3"
    sent_by: ClassVar[tuple[End, ...]] = CONNECTIVITY_SDN
    sent_to: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_RES,)


class _Up(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F3"
    sent_by: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_RES,)
    sent_to: ClassVar[tuple[End, ...]] = CONNECTIVITY_SDN


class LinkBearers(msgspec.Struct, frozen=True, gc=False):
    """The bearers of one quantum link: its fibre, and its companion classical channels.

    A link for keys has two, `distillation` and `relay`; a link for entangled pairs has one, `pairs`.
    """

    link: str
    fibre: str
    distillation: str
    relay: str
    pairs: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the bearers that exist; an empty name in the inventory means that there is none."""
        return tuple(name for name in (self.fibre, self.distillation, self.relay, self.pairs) if name)


class GrantBearers(_Down, frozen=True, gc=False):
    """Grant a link its bearers at one termination."""

    logged: ClassVar[tuple[str, ...]] = ("serial",)
    serial: int
    bearers: LinkBearers


class ReleaseBearers(_Down, frozen=True, gc=False):
    """Take a link's bearers back at one termination."""

    logged: ClassVar[tuple[str, ...]] = ("serial", "link")
    serial: int
    link: str


class ReportTerminations(_Down, frozen=True, gc=False):
    """Ask the terminations to say hello again; a controller asks after its own restart."""


class TerminationHello(_Up, frozen=True, gc=False):
    """Say that a site's termination has started, and what it still has granted."""

    site: str
    granted: tuple[LinkBearers, ...]


class BearersGranted(_Up, frozen=True, gc=False):
    """Confirm a grant."""

    logged: ClassVar[tuple[str, ...]] = ("serial", "link")
    serial: int
    site: str
    link: str


class BearersReleased(_Up, frozen=True, gc=False):
    """Confirm a release."""

    logged: ClassVar[tuple[str, ...]] = ("serial", "link")
    serial: int
    site: str
    link: str


class BearerSignal(_Up, frozen=True, gc=False):
    """Say that the instruments of a site lost or found the signal of a bearer."""

    logged: ClassVar[tuple[str, ...]] = ("bearer", "up")
    site: str
    link: str
    bearer: str
    up: bool

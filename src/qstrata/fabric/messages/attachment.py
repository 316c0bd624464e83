"""T3, forwarding.res - connectivity.res at one site: attach to granted bearers; light lost and found."""

from typing import ClassVar

from qstrata.core.address import End
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.connectivity_control import LinkBearers


class _FromForwarding(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T3"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_RES,)
    logged: ClassVar[tuple[str, ...]] = ("link",)


class _ToForwarding(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T3"
    sent_by: ClassVar[tuple[End, ...]] = (End.CONNECTIVITY_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)


class Attach(_FromForwarding, frozen=True, gc=False):
    """Ask to be attached to the bearers of a link, now or as soon as they are granted."""

    link: str


class Detach(_FromForwarding, frozen=True, gc=False):
    """Leave the bearers of a link."""

    link: str


class Attached(_ToForwarding, frozen=True, gc=False):
    """Say that a link's bearers are granted here; they may be used."""

    bearers: LinkBearers


class Detached(_ToForwarding, frozen=True, gc=False):
    """Say that a link's bearers are no longer granted here."""

    logged: ClassVar[tuple[str, ...]] = ("link",)
    link: str


class Light(_ToForwarding, frozen=True, gc=False):
    """Say that the signal of one of a link's bearers was lost or found."""

    logged: ClassVar[tuple[str, ...]] = ("link", "bearer", "up")
    link: str
    bearer: str
    up: bool

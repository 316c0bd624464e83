"""F13, forwarding.sdn - connectivity.sdn: media and companion channels; topology updates."""

from typing import ClassVar

from qstrata.core.address import End
from qstrata.fabric.messages.base import CONNECTIVITY_SDN, FORWARDING_SDN, Message
from qstrata.fabric.messages.connectivity_control import LinkBearers


class _Down(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F13"
    sent_by: ClassVar[tuple[End, ...]] = FORWARDING_SDN
    sent_to: ClassVar[tuple[End, ...]] = CONNECTIVITY_SDN
    logged: ClassVar[tuple[str, ...]] = ("link",)


class _Up(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F13"
    sent_by: ClassVar[tuple[End, ...]] = CONNECTIVITY_SDN
    sent_to: ClassVar[tuple[End, ...]] = FORWARDING_SDN


class RequireMedia(_Down, frozen=True, gc=False):
    """Require the fibre and both companion channels of a link; the same again is answered again."""

    link: str


class ReleaseMedia(_Down, frozen=True, gc=False):
    """Release the media of a link."""

    link: str


class MediaGranted(_Up, frozen=True, gc=False):
    """Say that a link's bearers are granted at both of its sites."""

    bearers: LinkBearers


class MediaRefused(_Up, frozen=True, gc=False):
    """Refuse media, naming what is missing."""

    logged: ClassVar[tuple[str, ...]] = ("link",)
    link: str
    reason: str


class MediaChanged(_Up, frozen=True, gc=False):
    """Say that one of a link's bearers lost or regained its signal; `cause` is for operators."""

    logged: ClassVar[tuple[str, ...]] = ("link", "bearer", "up")
    link: str
    bearer: str
    up: bool
    cause: str

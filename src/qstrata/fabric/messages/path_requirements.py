"""F11, service.sdn - forwarding.sdn: verify, require and release paths; forecasts come back."""

from typing import ClassVar

from qstrata.core.address import End
from qstrata.fabric.messages.base import FORWARDING_SDN, SERVICE_SDN, Message


class _Down(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F11"
    sent_by: ClassVar[tuple[End, ...]] = SERVICE_SDN
    sent_to: ClassVar[tuple[End, ...]] = FORWARDING_SDN
    logged: ClassVar[tuple[str, ...]] = ("session",)


class _Up(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F11"
    sent_by: ClassVar[tuple[End, ...]] = FORWARDING_SDN
    sent_to: ClassVar[tuple[End, ...]] = SERVICE_SDN
    logged: ClassVar[tuple[str, ...]] = ("session", "path")


class RequirePath(_Down, frozen=True, gc=False):
    """Require a path between the KMEs of two sites for a session; the same again is answered again.

    `rate_bps` is what both KMEs together may spend. With `verify` a new path is lost at once unless each of
    its links makes that much beside what is promised to other sessions. The path goes through none of the
    sites to `avoid`; another such list asks for another path. The path of the session `former`, if it
    stands, becomes this session's as it is.
    """

    session: str
    a: str
    b: str
    rate_bps: float
    verify: bool = False
    avoid: tuple[str, ...] = ()
    former: str = ""


class ReleasePath(_Down, frozen=True, gc=False):
    """Release a session's path."""

    session: str


class PathGranted(_Up, frozen=True, gc=False):
    """Grant a path; its tables are in force at every relay of `sites`. Replaces an earlier one.

    `rate_bps` forecasts what the path sustains for this session; `channels` are the relay channels that join
    its sites.
    """

    session: str
    path: int
    sites: tuple[str, ...]
    rate_bps: float
    channels: tuple[str, ...] = ()


class PathLost(_Up, frozen=True, gc=False):
    """Say that no path serves a session now, and why; a later PathGranted ends that."""

    logged: ClassVar[tuple[str, ...]] = ("session",)
    session: str
    reason: str


class KeysSuspected(_Up, frozen=True, gc=False):
    """Say which transfers were masked by blocks of a link that an attack may have touched.

    `end` is the site of the link whose relay knows of them.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "end", "serial")
    serial: int
    link: str
    end: str
    transfers: tuple[str, ...]


class SuspectsHeard(_Down, frozen=True, gc=False):
    """Say that every KME of the suspect transfers has set their keys aside."""

    logged: ClassVar[tuple[str, ...]] = ("link", "end", "serial")
    serial: int
    link: str
    end: str

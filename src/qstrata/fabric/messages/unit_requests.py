"""F10, application - service.sdn: open, query and close a service unit."""

from typing import ClassVar

from qstrata.core.address import End
from qstrata.fabric.messages.base import SERVICE_SDN, Message


class _Request(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "F10"
    sent_by: ClassVar[tuple[End, ...]] = (End.APPLICATION,)
    sent_to: ClassVar[tuple[End, ...]] = SERVICE_SDN
    logged: ClassVar[tuple[str, ...]] = ("request",)


class OpenUnit(_Request, frozen=True, gc=False):
    """Ask for a key session between `sae` and `peer`; opening an open one answers the same unit."""

    request: int
    sae: str
    peer: str


class CloseUnit(_Request, frozen=True, gc=False):
    """Close the session of that id."""

    request: int
    sae: str
    session: str


class QueryUnit(_Request, frozen=True, gc=False):
    """Ask how the session of that id stands."""

    request: int
    sae: str
    session: str


class UnitAnswer(Message, frozen=True, gc=False):
    """Answer a request: the unit's id and state (design 2.3), or `refused` and why."""

    arrow: ClassVar[str] = "F10"
    sent_by: ClassVar[tuple[End, ...]] = SERVICE_SDN
    sent_to: ClassVar[tuple[End, ...]] = (End.APPLICATION,)
    logged: ClassVar[tuple[str, ...]] = ("request", "session", "state")
    request: int
    session: str
    unit: str
    state: str
    reason: str

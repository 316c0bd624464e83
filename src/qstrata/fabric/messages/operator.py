"""T7, operator - X.mgt: desired state in; inspection and traces out."""

from typing import ClassVar

from qstrata.core.address import End
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.forwarding_control import TransferTraced
from qstrata.fabric.messages.policy import (
    ConnectivityPolicy,
    ConnectivityState,
    ForwardingPolicy,
    ForwardingState,
    ServicePolicy,
    ServiceState,
)
from qstrata.fabric.messages.reports import ConnectivityReport, ForwardingReport, ServiceReport
from qstrata.fabric.messages.service_control import KeyTrace, NegotiationTrace

_MGT = (End.SERVICE_MGT, End.FORWARDING_MGT, End.CONNECTIVITY_MGT)


class _Down(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T7"
    sent_by: ClassVar[tuple[End, ...]] = (End.OPERATOR,)
    sent_to: ClassVar[tuple[End, ...]] = _MGT
    logged: ClassVar[tuple[str, ...]] = ("request",)


class _Up(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T7"
    sent_by: ClassVar[tuple[End, ...]] = _MGT
    sent_to: ClassVar[tuple[End, ...]] = (End.OPERATOR,)
    logged: ClassVar[tuple[str, ...]] = ("request",)


class Configure(_Down, frozen=True, gc=False):
    """Set the desired state of one stratum; management keeps it and gives it to control."""

    request: int
    desired: ConnectivityPolicy | ForwardingPolicy | ServicePolicy


class Configured(_Up, frozen=True, gc=False):
    """Confirm a desired state."""

    request: int


class Inspect(_Down, frozen=True, gc=False):
    """Ask a stratum's management for what control has made of it, and its last telemetry."""

    request: int


class Inspected(_Up, frozen=True, gc=False):
    """Answer Inspect; a part that has not been heard of yet is None."""

    request: int
    state: ConnectivityState | ForwardingState | ServiceState | None
    report: ConnectivityReport | ForwardingReport | ServiceReport | None


class Trace(_Down, frozen=True, gc=False):
    """Ask for a story: to service.mgt by key or unit id, to forwarding.mgt by transfer id.

    `sites` are the sites whose elements are asked; the answer waits for all of them, at most 1 s.
    """

    logged: ClassVar[tuple[str, ...]] = ("request",)
    request: int
    wanted: str
    sites: tuple[str, ...]


class KeysTraced(_Up, frozen=True, gc=False):
    """Answer Trace from service.mgt: what each KME knows of keys, and keeps of their unit's negotiation."""

    request: int
    keys: tuple[KeyTrace, ...]
    negotiations: tuple[NegotiationTrace, ...] = ()


class LegsTraced(_Up, frozen=True, gc=False):
    """Answer Trace from forwarding.mgt: each relay's leg."""

    request: int
    legs: tuple[TransferTraced, ...]

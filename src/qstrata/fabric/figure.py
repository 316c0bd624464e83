"""The draft's figure as data: which ends may speak, what they may carry, and where the draft says so.

Sections are those of "A Multiplane Architecture Proposal for the Quantum Internet": F rows are drawn in
the figure of "Strata for Quantum Networks", T rows are said in its text. What is not a row is refused.
"""

import enum
from types import ModuleType

import msgspec

from qstrata.core.address import End
from qstrata.core.errors import InternalError
from qstrata.fabric.messages import (
    attachment,
    connectivity_control,
    delivery,
    device,
    east_west,
    entanglement,
    forwarding_control,
    lab,
    media,
    operator,
    path_requirements,
    policy,
    qubits,
    reports,
    samples,
    service_control,
    transfer,
    unit_requests,
)
from qstrata.fabric.messages.base import CONNECTIVITY_SDN, FORWARDING_SDN, SERVICE_SDN, Message

Pairs = tuple[tuple[End, End], ...]


class Scope(enum.Enum):
    """What two elements must have in common to use an arrow (`qstrata.fabric.scope`)."""

    DOMAIN = "one domain"
    DOMAIN_OR_HOSTING = "one domain, or a declared hosting of one domain by the other"
    SITE = "one site"
    SITE_OR_HOSTING = "one site; another domain only under a declared hosting"
    OWN_DEVICE = "own devices only"
    EAST_WEST_RESOURCE = "one site, or a declared channel; across domains declared border elements only"
    EAST_WEST = "one domain; across domains declared border elements only, through an export filter"
    ROLE = "an operator with a registered role"
    LAB = "the lab only"


class Ride(enum.Enum):
    """What carries an arrow's messages between two sites."""

    NONE = "nothing: a socket, or the wire to a device"
    SITE = "the local network of one site"
    MANAGEMENT = "the management channels of both sites"
    COMPANION = "the classical channel that was granted with a link"


class Arrow(msgspec.Struct, frozen=True):
    """One row of the table: its ends (in both directions), scope, what it carries, and its source."""

    id: str
    title: str
    pairs: Pairs
    scope: Scope
    ride: Ride
    secret: bool
    source: str


_FIGURE = "Strata for Quantum Networks, diagram"
_TEXT = "Strata for Quantum Networks"
_WORLD = (
    (End.SERVICE_RES, End.WORLD),
    (End.FORWARDING_RES, End.WORLD),
    (End.CONNECTIVITY_RES, End.WORLD),
)


def _each(a: tuple[End, ...], b: tuple[End, ...]) -> Pairs:
    return tuple((left, right) for left in a for right in b)


def _figure(number: int, title: str, a: tuple[End, ...], b: tuple[End, ...]) -> Arrow:
    return Arrow(f"F{number}", title, _each(a, b), Scope.DOMAIN, Ride.MANAGEMENT, False, _FIGURE)


def _standard_api(number: int, title: str, a: tuple[End, ...], b: tuple[End, ...], source: str) -> Arrow:
    scope = Scope.DOMAIN_OR_HOSTING
    return Arrow(f"F{number}", title, _each(a, b), scope, Ride.MANAGEMENT, False, source)


ARROWS: tuple[Arrow, ...] = (
    _figure(1, "configuration of service resources", (End.SERVICE_RES,), SERVICE_SDN),
    _figure(2, "configuration of forwarding resources", (End.FORWARDING_RES,), FORWARDING_SDN),
    _figure(3, "configuration of connectivity resources", (End.CONNECTIVITY_RES,), CONNECTIVITY_SDN),
    _figure(4, "aggregates and alarms of the service stratum", (End.SERVICE_TEL,), SERVICE_SDN),
    _figure(5, "aggregates and alarms of the forwarding stratum", (End.FORWARDING_TEL,), FORWARDING_SDN),
    _figure(
        6, "aggregates and alarms of the connectivity stratum", (End.CONNECTIVITY_TEL,), CONNECTIVITY_SDN
    ),
    _figure(7, "samples of service resources", (End.SERVICE_RES,), (End.SERVICE_TEL,)),
    _figure(8, "samples of forwarding resources", (End.FORWARDING_RES,), (End.FORWARDING_TEL,)),
    _figure(9, "samples of connectivity resources", (End.CONNECTIVITY_RES,), (End.CONNECTIVITY_TEL,)),
    _figure(10, "opening and closing of service units", (End.APPLICATION,), SERVICE_SDN),
    _standard_api(11, "paths for service units", SERVICE_SDN, FORWARDING_SDN, _FIGURE),
    _standard_api(
        12,
        "paths for the service itself",
        SERVICE_SDN,
        CONNECTIVITY_SDN,
        f"{_FIGURE}; The Role of Service Units",
    ),
    _standard_api(13, "media and topology of quantum links", FORWARDING_SDN, CONNECTIVITY_SDN, _FIGURE),
    Arrow(
        "T1",
        "delivery of service units",
        ((End.APPLICATION, End.SERVICE_RES),),
        Scope.DOMAIN,
        Ride.NONE,
        True,
        "A QKD Multi-Plane Architecture; The Service Unit Concept in QKD Networks",
    ),
    Arrow(
        "T2",
        "transfer and hand-over of keys and pairs",
        ((End.SERVICE_RES, End.FORWARDING_RES),),
        Scope.SITE_OR_HOSTING,
        Ride.SITE,
        True,
        f"The Service Unit Concept in QKD Networks; {_TEXT}",
    ),
    Arrow(
        "T3",
        "attachment to bearers",
        ((End.FORWARDING_RES, End.CONNECTIVITY_RES),),
        Scope.SITE,
        Ride.SITE,
        False,
        "Interfacing with Classical Networks; The Role of Network Virtualization",
    ),
    Arrow(
        "T4",
        "policy and desired state",
        (
            (End.SERVICE_CTL, End.SERVICE_MGT),
            (End.FORWARDING_CTL, End.FORWARDING_MGT),
            (End.CONNECTIVITY_CTL, End.CONNECTIVITY_MGT),
        ),
        Scope.DOMAIN,
        Ride.MANAGEMENT,
        False,
        "A QKD Multi-Plane Architecture; Strata for Quantum Networks, diagram",
    ),
    Arrow(
        "T5",
        "east-west between resources",
        tuple((end, end) for end in End if end.plane == "res"),
        Scope.EAST_WEST_RESOURCE,
        Ride.COMPANION,
        True,
        "A QKD Multi-Plane Architecture; Applying Network Virtualization Principles",
    ),
    Arrow(
        "T5",
        "east-west between telemetry, control and management",
        tuple((end, end) for end in End if end.plane in ("tel", "ctl", "mgt")),
        Scope.EAST_WEST,
        Ride.MANAGEMENT,
        False,
        f"{_TEXT} (border protocols between domains)",
    ),
    Arrow(
        "T6",
        "instruction set of devices and its results",
        _WORLD,
        Scope.OWN_DEVICE,
        Ride.NONE,
        True,
        "The Role of Network Virtualization; The Role of Synthetic Environments",
    ),
    Arrow(
        "T7",
        "inspection and desired state by operators",
        tuple((End.OPERATOR, end) for end in End if end.plane == "mgt"),
        Scope.ROLE,
        Ride.MANAGEMENT,
        False,
        "A QKD Multi-Plane Architecture; Applying Network Virtualization Principles",
    ),
    Arrow(
        "T8",
        "faults and attacks in the lab",
        ((End.OPERATOR, End.WORLD),),
        Scope.LAB,
        Ride.NONE,
        False,
        "The Role of Synthetic Environments",
    ),
)

_MODULES: tuple[ModuleType, ...] = (
    attachment,
    connectivity_control,
    delivery,
    device,
    east_west,
    entanglement,
    forwarding_control,
    lab,
    media,
    operator,
    path_requirements,
    policy,
    qubits,
    reports,
    samples,
    service_control,
    transfer,
    unit_requests,
)


def _index() -> dict[tuple[End, End], Arrow]:
    table: dict[tuple[End, End], Arrow] = {}
    for arrow in ARROWS:
        for a, b in arrow.pairs:
            if (a, b) in table:
                raise InternalError(f"two arrows between {a.value} and {b.value}")
            table[a, b] = table[b, a] = arrow
    return table


def _found(module: ModuleType) -> list[type[Message]]:
    return [
        kind
        for name, kind in vars(module).items()
        if not name.startswith("_")
        and isinstance(kind, type)
        and issubclass(kind, Message)
        and kind.__module__ == module.__name__
    ]


_BETWEEN = _index()

MESSAGES: tuple[type[Message], ...] = tuple(kind for module in _MODULES for kind in _found(module))


def arrow_between(a: End, b: End) -> Arrow | None:
    """Return the arrow between two ends, in either direction; None where nothing is drawn or said."""
    return _BETWEEN.get((a, b))


def types_of(arrow_id: str, sender: End, receiver: End) -> frozenset[type]:
    """Return the message types that may go from one end to another on an arrow."""
    return frozenset(
        kind
        for kind in MESSAGES
        if kind.arrow == arrow_id and sender in kind.sent_by and receiver in kind.sent_to
    )

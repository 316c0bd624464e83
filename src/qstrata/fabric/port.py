"""The port: an element's only way to speak. A handle is checked when it is bound, not at each message."""

from collections.abc import Callable

from qstrata.core.address import Address
from qstrata.core.errors import RefusedError
from qstrata.fabric.figure import Arrow, Ride, arrow_between, types_of
from qstrata.fabric.scope import Directory, check_scope, exported


class BoundHandle:
    """One direction of one arrow between two elements: what may be sent, and on which bearers it rides.

    `bearers` is empty within a site and on arrows that ride nothing. Handles compare by identity.
    """

    __slots__ = ("arrow", "bearers", "channel", "sender", "to", "topic", "types")

    def __init__(
        self,
        arrow: Arrow,
        sender: Address,
        to: Address,
        channel: str,
        bearers: tuple[str, ...],
        types: frozenset[type],
    ) -> None:
        self.arrow = arrow
        self.sender = sender
        self.to = to
        self.channel = channel
        self.bearers = bearers
        self.types = types
        self.topic = arrow.id

    def __repr__(self) -> str:
        """Show the arrow and both ends."""
        return f"<{self.arrow.id} {self.sender} -> {self.to}>"


def check(directory: Directory, sender: Address, to: Address, channel: str = "") -> BoundHandle:
    """Check an arrow and its scope; RefusedError says which rule forbids it.

    `channel` names the companion channel of T5 between resources of two sites.
    """
    arrow = arrow_between(sender.end, to.end)
    if arrow is None:
        raise RefusedError(f"no arrow joins {sender.end.value} and {to.end.value} ({sender} to {to})")
    check_scope(directory, arrow, sender, to, channel)
    types = exported(directory, sender, to, types_of(arrow.id, sender.end, to.end))
    return BoundHandle(arrow, sender, to, channel, _bearers(arrow, sender, to, channel), types)


def _bearers(arrow: Arrow, sender: Address, to: Address, channel: str) -> tuple[str, ...]:
    if channel:
        return (channel,)
    if sender.site == to.site or arrow.ride is not Ride.MANAGEMENT:
        return ()
    return (management_bearer(sender.site), management_bearer(to.site))


def management_bearer(site: str) -> str:
    """Return the name of a site's management channel."""
    return f"management/{site}"


class Port:
    """The one port of an element or outside role; made by a fabric."""

    __slots__ = ("_bind", "_handles", "address")

    def __init__(self, address: Address, bind: Callable[[Address, Address, str, str], BoundHandle]) -> None:
        self.address = address
        self._bind = bind
        self._handles: dict[tuple[Address, str], BoundHandle] = {}

    def bind(self, to: Address, channel: str = "", meant: str = "") -> BoundHandle:
        """Return the handle to another element, the same one each time; RefusedError if it may not be.

        `meant` names the type of message that it is bound for: a refusal is counted under it.
        """
        handle = self._handles.get((to, channel))
        if handle is None:
            handle = self._handles[to, channel] = self._bind(self.address, to, channel, meant)
        return handle

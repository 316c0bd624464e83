"""An element: what runs. It is called with a message and an instant, and returns effects."""

from collections.abc import Callable
from typing import Any

from qstrata.core.address import Address
from qstrata.core.effects import Effects
from qstrata.core.errors import InternalError

Handler = Callable[[Any, Address, int], Effects]


class Element:
    """Base of every element: a table from message type to handler, and nothing that waits.

    A subclass registers its handlers with `on` when it is made. Time comes in as `now` (integer
    picoseconds); sending, storing and waking up go out as effects.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._handlers: dict[type, Handler] = {}

    def on(self, kind: type, handler: Handler) -> None:
        """Call `handler(message, sender, now)` for messages of `kind`; one handler a kind."""
        if kind in self._handlers:
            raise InternalError(f"{self.address} already handles {kind.__name__}")
        self._handlers[kind] = handler

    def start(self, now: int) -> Effects:
        """Begin, at the first start and after every restart; the state was loaded when it was made."""
        return ()

    def receive(self, message: object, sender: Address, now: int) -> Effects:
        """Handle one message; InternalError for a kind that was never registered."""
        handler = self._handlers.get(type(message))
        if handler is None:
            raise InternalError(f"{self.address} has no handler for {type(message).__name__}")
        return handler(message, sender, now)

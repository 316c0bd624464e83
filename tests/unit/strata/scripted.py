"""An element that keeps what it is sent, for tests that speak in its name."""

from typing import Any

from qstrata.core.address import Address
from qstrata.core.effects import Effects
from qstrata.kernel.element import Element


class Scripted(Element):
    """Keep what arrives of the kinds given."""

    def __init__(self, address: Address, kinds: tuple[type, ...]) -> None:
        super().__init__(address)
        self.got: list[Any] = []
        for kind in kinds:
            self.on(kind, self._keep)

    def _keep(self, message: Any, sender: Address, now: int) -> Effects:
        self.got.append(message)
        return []

    def take(self, kind: type) -> list[Any]:
        """Return the messages of a kind that have arrived, and forget them."""
        found = [message for message in self.got if type(message) is kind]
        self.got = [message for message in self.got if type(message) is not kind]
        return found

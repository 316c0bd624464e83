"""The base of a stratum's control: it takes policy from management and shows what it has made of it."""

from typing import Any

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Send
from qstrata.fabric.messages.base import Message
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.planes.asking import Outbox


class Controller(Element):
    """Follow the policy of `manager`; nothing is kept over a restart.

    Until a policy has come, a blank state is shown, to which the manager answers with the policy.
    """

    def __init__(
        self, address: Address, port: Port, manager: Address, policy: type[Message], query: type[Message]
    ) -> None:
        super().__init__(address)
        self.port = port
        self.outbox = Outbox()
        self._manager = port.bind(manager)
        self._policy: Any = None
        self._shown: Any = None
        self.on(policy, self._policy_heard)
        self.on(query, self._queried)

    def state(self) -> Message:
        """Make the state to show; blank while there is no policy."""
        raise NotImplementedError

    def adopt(self, policy: Any, now: int) -> list[Effect]:
        """Take a policy that differs from the one before."""
        raise NotImplementedError

    def essence(self, state: Any) -> Any:
        """Return what of a state is worth telling when it changes."""
        return state

    def start(self, now: int) -> Effects:
        """Show a blank state until policy comes."""
        return self.outbox.ask("policy", [Send(self._manager, self.state())], now)

    def publish(self) -> list[Effect]:
        """Show the state to management if it has changed."""
        state = self.state()
        essence = self.essence(state)
        if essence == self._shown:
            return []
        self._shown = essence
        return [Send(self._manager, state)]

    def _policy_heard(self, message: Message, sender: Address, now: int) -> Effects:
        self.outbox.settle("policy")
        effects: list[Effect] = []
        if message != self._policy:
            self._policy = message
            effects += self.adopt(message, now)
        self._shown = self.essence(self.state())
        return [*effects, Send(self._manager, self.state())]

    def _queried(self, message: Message, sender: Address, now: int) -> Effects:
        return (Send(self.port.bind(sender), self.state()),)

"""The operator's port: desired state in, views and traces out (T7), and the lab's faults (T8)."""

from collections.abc import Callable
from typing import Any

from qstrata.core.address import Address, End
from qstrata.core.effects import Effects, Send, Timer
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.lab import LabAnswer
from qstrata.fabric.messages.operator import Configured, Inspected, KeysTraced, LegsTraced
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.planes import places

ANSWER_DEADLINE_PS = 3 * PS_PER_S

Callback = Callable[[Any], None]


class OperatorElement(Element):
    """Ask managers and the lab in the operator's name; `callback(None)` says that no answer came in time."""

    def __init__(self, address: Address, port: Port, lab: Address) -> None:
        super().__init__(address)
        self._port = port
        self._lab = lab
        self._serial = 0
        self._pending: dict[int, Callback] = {}
        for kind in (Configured, Inspected, KeysTraced, LegsTraced, LabAnswer):
            self.on(kind, self._answered)

    def manager(self, end: End, make: Callable[[int], Message], callback: Callback, now: int) -> Effects:
        """Ask the manager of a stratum; `end` is its management plane."""
        return self._ask(places.manager(end, self.address.domain), make, callback, now)

    def lab(self, make: Callable[[int], Message], callback: Callback, now: int) -> Effects:
        """Ask the lab."""
        return self._ask(self._lab, make, callback, now)

    def _ask(self, to: Address, make: Callable[[int], Message], callback: Callback, now: int) -> Effects:
        self._serial += 1
        serial = self._serial
        self._pending[serial] = callback
        return [Send(self._port.bind(to), make(serial)), Timer(now + ANSWER_DEADLINE_PS, self._late(serial))]

    def _late(self, serial: int) -> Callable[[int], Effects]:
        def expire(now: int) -> Effects:
            callback = self._pending.pop(serial, None)
            if callback is not None:
                callback(None)
            return []

        return expire

    def _answered(self, message: Any, sender: Address, now: int) -> Effects:
        callback = self._pending.pop(message.request, None)
        if callback is not None:
            callback(message)
        return []

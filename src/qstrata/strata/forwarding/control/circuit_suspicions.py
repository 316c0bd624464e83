"""What forwarding control does about circuits that telemetry suspects: no pair of them is kept meanwhile.

The head of a suspected circuit is told to have every pair tested, so that none is used and that a window
which passes comes soon. Then it is told that pairs may be kept again: before telemetry has seen a window
pass since it started, silence is no verdict, and what a head was told stands.
"""

from collections.abc import Sequence

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Send
from qstrata.fabric.messages.forwarding_control import CircuitMarked, MarkCircuit
from qstrata.fabric.messages.policy import CircuitSpec
from qstrata.fabric.messages.reports import ForwardingReport, PairSuspicion
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.asking import Outbox, Serials

AGAIN = 8
"""A head is told again after so many reports: one that restarts knows of no suspicion."""


class CircuitSuspicions:
    """Follow what telemetry suspects of circuits."""

    def __init__(self, domain: str, port: Port, outbox: Outbox, serials: Serials) -> None:
        self._domain = domain
        self._port = port
        self._outbox = outbox
        self._serials = serials
        self._suspected: dict[str, PairSuspicion] = {}
        self._told: dict[str, bool] = {}
        self._reports: dict[str, int] = {}
        self._marking: dict[str, int] = {}

    def of(self, circuit: str) -> PairSuspicion | None:
        """Return what is suspected of a circuit."""
        return self._suspected.get(circuit)

    def follow(self, circuits: Sequence[CircuitSpec], report: ForwardingReport, now: int) -> list[Effect]:
        """Take note of what is suspected; have each circuit marked so, or not, once it changes."""
        names = {spec.circuit for spec in circuits}
        passed = {each.circuit for each in report.circuits if each.windows}
        held = {name: each for name, each in self._suspected.items() if name in names - passed}
        for gone in [name for name in self._told if name not in names]:
            del self._told[gone], self._reports[gone], self._marking[gone]
            self._outbox.settle(("mark", gone))
        found = {each.circuit: each for each in report.pair_suspicions if each.circuit in names}
        self._suspected = held | found
        effects: list[Effect] = []
        for spec in circuits:
            if spec.circuit in passed or spec.circuit in self._suspected:
                effects += self._follow(spec, spec.circuit in self._suspected, now)
        return effects

    def _follow(self, spec: CircuitSpec, suspected: bool, now: int) -> Effects:
        name = spec.circuit
        is_news = self._told.get(name) is not suspected
        self._told[name] = suspected
        heard = self._reports[name] = 0 if is_news else self._reports[name] + 1
        if not is_news and (heard % AGAIN or not suspected):
            return ()
        serial = self._marking[name] = self._serials.next(now)
        head = self._port.bind(places.station(self._domain, spec.sites[0], name))
        return self._outbox.ask(("mark", name), [Send(head, MarkCircuit(serial, name, suspected))], now)

    def marked(self, message: CircuitMarked, sender: Address, now: int) -> Effects:
        """Take note that a head knows; older answers say nothing."""
        if self._marking.get(message.circuit) == message.serial:
            self._outbox.settle(("mark", message.circuit))
        return ()

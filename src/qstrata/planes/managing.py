"""The base of a stratum's management: it keeps desired state, tells control, and shows what came of it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Handle, Send, Timer
from qstrata.core.errors import RefusedError
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.operator import Configure, Configured, Inspect, Inspected
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.planes.asking import Outbox, Subscription


class ManagementFigures(msgspec.Struct, frozen=True):
    """How often telemetry reports, and how long an answer to the operator may take."""

    report_ps: int = PS_PER_S
    inspect_ps: int = PS_PER_S // 2
    trace_ps: int = PS_PER_S
    repeat_ps: int = 100 * PS_PER_MS


class Dialect(msgspec.Struct, frozen=True):
    """The message types in which one stratum's management speaks.

    `blank` tells of a state that it shows nothing: its controller may have just started.
    """

    policy: type[Message]
    query: Message
    state: type[Message]
    report: type[Message]
    subscribe: Callable[[int], Message]
    blank: Callable[[Any], bool]


class _Inspection:
    __slots__ = ("asked_ps", "report", "request", "state", "to")

    def __init__(self, to: Handle, request: int, asked_ps: int) -> None:
        self.to = to
        self.request = request
        self.asked_ps = asked_ps
        self.state = False
        self.report = False


class Manager(Element):
    """Keep the desired state and give it to `control` until control answers; answer inspections.

    An inspection asks control and telemetry anew and is answered when both have, or after
    `inspect_ps` with what was last heard. A controller that shows a blank state is given the desired
    state again, for it may have restarted.
    """

    def __init__(
        self,
        address: Address,
        port: Port,
        control: Address,
        telemetry: Address,
        dialect: Dialect,
        figures: ManagementFigures,
    ) -> None:
        super().__init__(address)
        self.port = port
        self.figures = figures
        self._dialect = dialect
        self._control = port.bind(control)
        self._telemetry = port.bind(telemetry)
        self._outbox = Outbox()
        self._subscription = Subscription(self._telemetry, dialect.subscribe(figures.report_ps))
        self._desired: Message | None = None
        self._told_ps = 0
        self._state: Any = None
        self._report: Any = None
        self._inspections: list[_Inspection] = []
        self.on(Configure, self._configure)
        self.on(Inspect, self._inspect)
        self.on(dialect.state, self._state_heard)
        self.on(dialect.report, self._report_heard)

    def start(self, now: int) -> Effects:
        """Subscribe to telemetry and ask control how it stands."""
        return [*self._subscription.start(now), Send(self._control, self._dialect.query)]

    def _configure(self, message: Configure, sender: Address, now: int) -> Effects:
        if not isinstance(message.desired, self._dialect.policy):
            wanted = self._dialect.policy.__name__
            raise RefusedError(f"{self.address} takes a {wanted}: send others to their own stratum")
        self._desired = message.desired
        return [*self._tell(now), Send(self.port.bind(sender), Configured(message.request))]

    def _tell(self, now: int) -> list[Effect]:
        self._told_ps = now
        return self._outbox.ask("policy", [Send(self._control, self._desired)], now)

    def _state_heard(self, message: Message, sender: Address, now: int) -> Effects:
        self._state = message
        self._outbox.settle("policy")
        effects: list[Effect] = []
        if (
            self._desired is not None
            and self._dialect.blank(message)
            and now - self._told_ps >= self.figures.inspect_ps
        ):
            effects += self._tell(now)
        for inspection in self._inspections:
            inspection.state = True
        return [*effects, *self._answer(now)]

    def _report_heard(self, message: Any, sender: Address, now: int) -> Effects:
        self._report = message
        self._subscription.heard(now)
        for inspection in self._inspections:
            inspection.report = inspection.report or message.at_ps >= inspection.asked_ps
        return self._answer(now)

    def _inspect(self, message: Inspect, sender: Address, now: int) -> Effects:
        inspection = _Inspection(self.port.bind(sender), message.request, now)
        self._inspections.append(inspection)
        return [
            Send(self._control, self._dialect.query),
            Send(self._telemetry, self._dialect.subscribe(0)),
            Timer(now + self.figures.inspect_ps, partial(self._give_up, inspection)),
        ]

    def _answer(self, now: int) -> list[Effect]:
        done = [each for each in self._inspections if each.state and each.report]
        if done:
            self._inspections = [each for each in self._inspections if each not in done]
        return [self._inspected(each) for each in done]

    def _give_up(self, inspection: _Inspection, now: int) -> Effects:
        if inspection not in self._inspections:
            return ()
        self._inspections.remove(inspection)
        return (self._inspected(inspection),)

    def _inspected(self, inspection: _Inspection) -> Send:
        return Send(inspection.to, Inspected(inspection.request, self._state, self._report))

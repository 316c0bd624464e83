"""Intruders: elements that give themselves out for controllers, let in by the lab at a site.

They are no part of the world, and speak by ports of their own. Whether anybody hears them is for the fabric
to say, which refuses and counts what the architecture does not allow; they go on trying.
"""

from collections.abc import Mapping, Sequence

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Send, Timer
from qstrata.core.errors import RefusedError
from qstrata.core.time import PS_PER_S
from qstrata.twin.faults import ROGUE, FaultBook, intruder_at
from qstrata.twin.key_link import Binder
from qstrata.twin.plan import IntruderPlan

ATTEMPTS_EVERY_PS = PS_PER_S


class Intruders:
    """Make the attempts of the intruders that stand in a book of faults, at once and then every second."""

    def __init__(
        self, plans: Sequence[IntruderPlan], ports: Mapping[Address, Binder], faults: FaultBook
    ) -> None:
        self._faults = faults
        self._busy = False
        self.adopt(plans, ports)

    def adopt(self, plans: Sequence[IntruderPlan], ports: Mapping[Address, Binder]) -> None:
        """Know other sites from now on, and what is attempted there."""
        self._plans = plans
        self._ports = ports

    def follow(self, now: int) -> Effects:
        """Begin, if an intruder stands and none did before."""
        return () if self._busy else self._attempt(now)

    def _attempt(self, now: int) -> Effects:
        inside = [plan for plan in self._plans if self._faults.amount(ROGUE, intruder_at(plan.site))]
        self._busy = bool(inside)
        if not inside:
            return ()
        effects: list[Effect] = []
        for attempt in (attempt for plan in inside for attempt in plan.attempts):
            port, meant = self._ports[attempt.sender], type(attempt.message).__name__
            try:
                effects.append(Send(port.bind(attempt.to, meant=meant), attempt.message))
            except RefusedError:
                # The fabric has counted it; an intruder learns nothing else.
                continue
        return [*effects, Timer(now + ATTEMPTS_EVERY_PS, self._attempt)]

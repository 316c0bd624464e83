"""Proposals under way: control asks the first KME of a route, until the answer of all hops is back."""

from collections.abc import Callable
from functools import partial

import msgspec

from qstrata.core.effects import Effect, Effects, Send, Timer
from qstrata.core.time import PS_PER_S, EpochAnchor
from qstrata.fabric.messages.path_requirements import PathGranted
from qstrata.fabric.messages.service_control import Offer, ProposeUnit, UnitReplied
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.asking import Outbox, Serials
from qstrata.strata.service.control.units import Unit, UnitPhase

PATIENCE_PS = 2 * PS_PER_S
"""How long control waits for the first KME's answer, for each hop of the route and once more."""


class Way(msgspec.Struct, frozen=True):
    """Where a proposal goes: sites from the originator's, channels between them, the path they are."""

    sites: tuple[str, ...]
    channels: tuple[str, ...]
    grant: PathGranted | None = None


class Attempt(msgspec.Struct, frozen=True):
    """One proposal that has been sent and not been answered."""

    serial: int
    offer: Offer
    way: Way


class Negotiations:
    """Keep one attempt a unit, and ask again until it is answered or over.

    `silent(unit, attempt, now)` is called when the first KME has not answered in time. `registry` is the
    least serial of a registry by which KMEs may judge.
    """

    def __init__(self, port: Port, outbox: Outbox, serials: Serials, anchor: EpochAnchor) -> None:
        self.registry = 0
        self.silent: Callable[[Unit, Attempt, int], Effects] = lambda unit, attempt, now: ()
        self._port = port
        self._outbox = outbox
        self._serials = serials
        self._anchor = anchor
        self._attempts: dict[str, Attempt] = {}

    def ask(self, unit: Unit, way: Way, now: int) -> list[Effect]:
        """Propose a unit along a way; the attempt before, if one is under way, is over."""
        attempt = self._attempts.get(unit.session)
        if attempt is not None and (attempt.way.sites, attempt.way.channels) == (way.sites, way.channels):
            self._attempts[unit.session] = msgspec.structs.replace(attempt, way=way)
            return []
        offer = unit.proposal(self._anchor.to_epoch_s(now))
        attempt = self._attempts[unit.session] = Attempt(self._serials.next(now), offer, way)
        message = ProposeUnit(
            proposal=unit.session,
            serial=attempt.serial,
            offer=offer,
            route=way.sites,
            channels=way.channels,
            registry=self.registry,
            settled=unit.phase is not UnitPhase.PROPOSED,
        )
        first = self._port.bind(places.kme(self._port.address.domain, way.sites[0]))
        due_ps = now + PATIENCE_PS * (len(way.sites) + 1)
        over = Timer(due_ps, partial(self._give_up, unit, attempt.serial))
        return [*self._outbox.ask(("propose", unit.session), [Send(first, message)], now), over]

    def settle(self, message: UnitReplied) -> Attempt | None:
        """Take an answer: the attempt that it ends, None for one that is over already."""
        attempt = self._attempts.get(message.proposal)
        if attempt is None or attempt.serial != message.serial:
            return None
        self._forget(message.proposal)
        return attempt

    def drop(self, unit: Unit) -> None:
        """End a unit's attempt."""
        self._forget(unit.session)

    def _forget(self, session: str) -> None:
        self._attempts.pop(session, None)
        self._outbox.settle(("propose", session))

    def _give_up(self, unit: Unit, serial: int, now: int) -> Effects:
        attempt = self._attempts.get(unit.session)
        if attempt is None or attempt.serial != serial:
            return ()
        self._forget(unit.session)
        return self.silent(unit, attempt, now)

"""The application face of a site: calls from outside become T1 and F10 requests, and get their answers."""

from collections.abc import Callable

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.effects import Effect, Effects, Handle, Send, Timer
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.delivery import (
    AskStatus,
    DecKeys,
    EncKeys,
    Fault,
    KeysDelivered,
    PairStatus,
    RequestRefused,
)
from qstrata.fabric.messages.unit_requests import OpenUnit, UnitAnswer
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.planes.asking import Serials

FACE_NAME = "etsi014"
ANSWER_DEADLINE_PS = 5 * PS_PER_S
MAX_PENDING = 4096

Request = AskStatus | EncKeys | DecKeys | OpenUnit
Answer = PairStatus | KeysDelivered | RequestRefused | UnitAnswer
Callback = Callable[[Answer, int], Effects]


class _Pending(msgspec.Struct, frozen=True):
    due_ps: int
    arrow: str
    callback: Callback


class ApplicationFace(Element):
    """Ask the KME of the own site (T1) and the domain's service controller (F10) in the name of SAEs.

    `perform` makes effects of this element of what a call from outside returned. A request that is not
    answered within ANSWER_DEADLINE_PS is answered `UNAVAILABLE` here; a later answer is dropped and its
    keys wiped. Key material in an answer belongs to the callback.
    """

    def __init__(self, address: Address, port: Port, perform: Callable[[Effects, int], None]) -> None:
        super().__init__(address)
        self.perform = perform
        domain = address.domain
        self._kme: Handle = port.bind(Address(End.SERVICE_RES, domain, address.site, "kme"))
        self._controller: Handle = port.bind(Address(End.SERVICE_CTL, domain, "control", "controller"))
        self._serials = Serials()
        self._pending: dict[int, _Pending] = {}
        self._armed = False
        for kind in (PairStatus, KeysDelivered, RequestRefused, UnitAnswer):
            self.on(kind, self._answered)

    def ask(self, make: Callable[[int], Request], callback: Callback, now: int) -> Effects:
        """Return the effects that send `make(request id)`; `callback(answer, now)` is called once.

        It is called at once, with `UNAVAILABLE`, while MAX_PENDING requests wait.
        """
        if len(self._pending) >= MAX_PENDING:
            return callback(_unavailable(0, f"{MAX_PENDING} requests wait already: ask again later"), now)
        request = self._serials.next(now)
        message = make(request)
        self._pending[request] = _Pending(now + ANSWER_DEADLINE_PS, message.arrow, callback)
        to = self._controller if type(message) is OpenUnit else self._kme
        return [Send(to, message), *self._arm()]

    def end(self, now: int) -> Effects:
        """Answer all that waits, for the site is taken away."""
        waiting, self._pending = self._pending, {}
        effects: list[Effect] = []
        for request, pending in waiting.items():
            effects += pending.callback(_unavailable(request, "this KME has been taken away"), now)
        return effects

    def _arm(self) -> list[Effect]:
        # Every request waits equally long, so the first of the table is the first that is due.
        if self._armed or not self._pending:
            return []
        self._armed = True
        first = next(iter(self._pending.values()))
        return [Timer(first.due_ps, self._sweep)]

    def _sweep(self, now: int) -> Effects:
        self._armed = False
        late: dict[int, Callback] = {}
        for request, waiting in self._pending.items():
            if waiting.due_ps > now:
                break
            late[request] = waiting.callback
        effects: list[Effect] = []
        for request, callback in late.items():
            del self._pending[request]
            effects += callback(_unavailable(request, "no answer in time: ask again later"), now)
        return [*effects, *self._arm()]

    def _answered(self, answer: Answer, sender: Address, now: int) -> Effects:
        waiting = self._pending.get(answer.request)
        if waiting is None or waiting.arrow != answer.arrow:
            if type(answer) is KeysDelivered:
                for key in answer.keys:
                    key.bits.wipe()
            return ()
        del self._pending[answer.request]
        return waiting.callback(answer, now)


def _unavailable(request: int, message: str) -> RequestRefused:
    return RequestRefused(request, Fault.UNAVAILABLE, message)

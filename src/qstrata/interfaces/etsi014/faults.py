"""Faults of answers, for those who test their clients: a shim between handler and socket, in the lab alone.

It is the second end of T8: no element knows of it, and what it alters is written to the event log.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from qstrata.core.effects import LogEntry
from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.log import Injected
from qstrata.fabric.messages.lab import Fault
from qstrata.interfaces.etsi014.handler import Etsi014Handler, Respond
from qstrata.interfaces.etsi014.http import LOST_ANSWER, HttpAnswer, error_answer
from qstrata.interfaces.etsi014.requests import GetKey, GetKeyById, GetStatus, Wanted
from qstrata.interfaces.etsi014.types import (
    DEC_KEYS,
    ENC_KEYS,
    NOT_FOUND,
    STATUS,
    KeyContainer,
    KeyEntry,
    Limits,
    Status,
)

EXHAUSTED, LATE, LOST = "kme-exhausted", "kme-late", "kme-lost-answer"
WRONG, EXPIRED, UNAVAILABLE = "kme-wrong-key", "kme-expired", "kme-unavailable"
KINDS = (EXHAUSTED, LATE, LOST, WRONG, EXPIRED, UNAVAILABLE)
LATE_MAX_S = 3600.0

_KME, _SESSION = "kme/", "session/"
_VERBS = {GetStatus: STATUS, GetKey: ENC_KEYS, GetKeyById: DEC_KEYS}

Pair = tuple[str, str]
Later = Callable[[int, Callable[[int], None]], None]
Standing = Mapping[str, Fault]


class _Book(msgspec.Struct, frozen=True):
    fault: Fault
    pair: frozenset[str]


class AnswerFaults:
    """The faults of answers that stand at a network's KMEs, at most one of each kind and target.

    `sites` are those of the KMEs; none where the network is not a lab.
    """

    def __init__(self, sites: Sequence[str]) -> None:
        self._standing: dict[tuple[str, str], _Book] = {}
        self.adopt(sites)

    def adopt(self, sites: Sequence[str]) -> None:
        """Know these sites from now on; faults at the KMEs of others stand no more."""
        self._sites = tuple(sites)
        gone = [key for key in self._standing if key[1].startswith(_KME) and key[1] not in self._targets]
        for key in gone:
            del self._standing[key]

    @property
    def _targets(self) -> list[str]:
        return [_KME + site for site in self._sites]

    @property
    def standing(self) -> tuple[Fault, ...]:
        """Return the faults that stand, in the order in which they were first injected."""
        return tuple(row.fault for row in self._standing.values())

    def inject(self, kind: str, target: str, amount: float, now: int, pair: Pair | None = None) -> None:
        """Let a fault stand at `kme/<site>`, or for `session/<id>`, whose SAEs are `pair`.

        `amount` is the delay in seconds of `kme-late`, and is not used by other kinds. Raises InputError that
        names what exists for an unknown kind or target, or an amount out of range.
        """
        self._check(kind, target, pair)
        if kind == LATE and not 0.0 < amount <= LATE_MAX_S:
            raise InputError(f"{kind}: {amount:g} is no delay: give a number of seconds up to {LATE_MAX_S:g}")
        before = self._standing.get((kind, target))
        since_ps = before.fault.since_ps if before else now
        fault = Fault(kind, target, amount if kind == LATE else 1.0, since_ps)
        self._standing[kind, target] = _Book(fault, frozenset(pair or ()))

    def heal(self, kind: str, target: str) -> None:
        """End a fault; raises InputError that names those that stand for another."""
        if self._standing.pop((kind, target), None) is None:
            faults = ", ".join(f"{fault.kind} on {fault.target}" for fault in self.standing) or "none"
            raise InputError(f"there is no {kind} on {target} to heal; such faults that stand: {faults}")

    def at(self, site: str, sae: str, peer: str) -> Standing:
        """Return the faults that an SAE meets at a KME when it asks about a peer, by kind."""
        if not self._standing:
            return {}
        pair, target = frozenset((sae, peer)), _KME + site
        rows = self._standing.values()
        return {row.fault.kind: row.fault for row in rows if row.fault.target == target or row.pair == pair}

    def _check(self, kind: str, target: str, pair: Pair | None) -> None:
        if not self._sites:
            raise InputError("this network is not a lab: its answers may not be altered")
        if kind not in KINDS:
            raise InputError(f"no fault of answers is called {kind!r}; there are: {', '.join(KINDS)}")
        if target.startswith(_SESSION) and pair is not None:
            return
        if target not in self._targets:
            known = ", ".join((*self._targets, f"{_SESSION}ID of a session"))
            raise InputError(f"{kind} has no target {target!r}; there are: {known}")


class FaultShim(Etsi014Handler):
    """Answer as any handler does, except where a fault stands; each answer that is altered is logged.

    `note(entry, now)` writes to the event log; `later(delay_ps, function)` calls `function(now)` then.
    """

    def __init__(
        self,
        limits: Limits,
        site: str,
        faults: AnswerFaults,
        note: Callable[[LogEntry, int], None],
        later: Later,
    ) -> None:
        super().__init__(limits)
        self._site = site
        self._faults = faults
        self._note = note
        self._later = later

    def serve(self, wanted: Wanted, identity: str, respond: Respond, now: int) -> None:
        """Serve what has been read, through the faults that stand."""
        faults = self._faults.at(self._site, identity, wanted.peer)
        for slave in wanted.also if type(wanted) is GetKey else ():
            faults = {**faults, **self._faults.at(self._site, identity, slave)}
        if not faults:
            super().serve(wanted, identity, respond, now)
            return
        respond = partial(self._pass_on, faults, wanted, identity, respond)
        refusal = _refusal(faults, wanted)
        if refusal is None:
            super().serve(wanted, identity, respond, now)
            return
        kind, answer = refusal
        self._mark(kind, wanted, identity, now)
        respond(answer, now)

    def _pass_on(
        self, faults: Standing, wanted: Wanted, sae: str, respond: Respond, answer: HttpAnswer, now: int
    ) -> None:
        if answer.status == 200 and type(wanted) is GetStatus and EXHAUSTED in faults:
            answer = _without_keys(answer)
        if answer.status == 200 and type(wanted) is not GetStatus and WRONG in faults:
            container = msgspec.json.decode(answer.body, type=KeyContainer)
            key_ids = [key.key_ID for key in container.keys]
            self._mark(WRONG, wanted, sae, now, key_ids)
            answer.wipe()
            answer = HttpAnswer(200, self._other_bits(container))
        if LOST in faults:
            self._mark(LOST, wanted, sae, now)
            answer.wipe()
            answer = HttpAnswer(LOST_ANSWER, b"")
        if LATE in faults:
            self._mark(LATE, wanted, sae, now)
            delay_ps = round(faults[LATE].amount * PS_PER_S)
            self._later(delay_ps, lambda then: respond(answer, then))
            return
        respond(answer, now)

    def _mark(self, kind: str, wanted: Wanted, sae: str, now: int, key_ids: Sequence[str] = ()) -> None:
        ids = wanted.key_ids if type(wanted) is GetKeyById else key_ids
        verb = _VERBS[type(wanted)].removesuffix("_keys")
        self._note(Injected(self._site, sae, verb, kind, " ".join(ids)), now)

    def _other_bits(self, container: KeyContainer) -> bytearray:
        """Return keys of the same ids and lengths, that have nothing to do with what was to be delivered."""
        others = []
        for key in container.keys:
            length = len(key.key)
            key.key[:] = bytes(length)
            others.append(KeyEntry(key.key_ID, bytearray(self._drawn(key.key_ID, length))))
        return bytearray(msgspec.json.encode(KeyContainer(tuple(others))))

    def _drawn(self, key_id: str, length: int) -> bytes:
        return hashlib.shake_256(f"{WRONG} {self._site} {key_id}".encode()).digest(length)


def _refusal(faults: Standing, wanted: Wanted) -> tuple[str, HttpAnswer] | None:
    """Return the fault that refuses a request before the KME sees it, and the answer: nothing is consumed."""
    if UNAVAILABLE in faults:
        return UNAVAILABLE, error_answer(503, "this KME is down: ask again later")
    if EXHAUSTED in faults and type(wanted) is GetKey:
        text = f"0 of {wanted.number} keys are stored now; try again later"
        return EXHAUSTED, error_answer(503, text)
    if EXPIRED in faults and type(wanted) is GetKeyById:
        return EXPIRED, error_answer(400, NOT_FOUND)
    return None


def _without_keys(answer: HttpAnswer) -> HttpAnswer:
    status = msgspec.json.decode(answer.body, type=Status)
    return HttpAnswer(200, msgspec.json.encode(msgspec.structs.replace(status, stored_key_count=0)))

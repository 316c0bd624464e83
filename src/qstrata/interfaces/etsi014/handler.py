"""Serve the three methods of ETSI GS QKD 014 V1.1.1: a request in, an answer at once or on a later event."""

import binascii
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from qstrata.core.effects import Effects
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.delivery import Fault, KeysDelivered, PairStatus, RequestRefused
from qstrata.fabric.messages.unit_requests import OpenUnit, UnitAnswer
from qstrata.interfaces.etsi014.face import Answer, ApplicationFace
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest, RejectedError, error_answer
from qstrata.interfaces.etsi014.openapi import openapi_bytes
from qstrata.interfaces.etsi014.requests import GetKey, Wanted, read_request
from qstrata.interfaces.etsi014.types import OPENAPI_PATH, Limits, Status

Respond = Callable[[HttpAnswer, int], None]
Pair = tuple[str, str]

REFUSED_STATE = "refused"
OPENING = "the session of this pair is being opened: ask again in a moment"
OPENING_S = 1

_STATUS_OF = {Fault.UNAUTHORIZED: 401, Fault.BAD_REQUEST: 400, Fault.UNAVAILABLE: 503}

_encode = msgspec.json.Encoder().encode


class Etsi014Handler:
    """Answer requests of authenticated SAEs at one KME, through the face of its site.

    A pair without a session gets one opened (F10) and 503 meanwhile; requests of the same pair that come
    before control has answered wait for that one answer.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._face: ApplicationFace | None = None
        self._opening: dict[Pair, list[Respond]] = {}
        self._description: bytes | None = None

    def attach(self, face: ApplicationFace | None) -> None:
        """Serve through this face from now on; None while the site is down. What waited stays unanswered."""
        self._face = face
        self._opening.clear()

    def limit(self, limits: Limits) -> None:
        """Accept requests within these limits from now on."""
        self._limits, self._description = limits, None

    def handle(self, request: HttpRequest, identity: str, respond: Respond, now: int) -> None:
        """Answer a request of the SAE `identity`: `respond(answer, instant)` is called once, now or later."""
        described = self.describe(request)
        if described is not None:
            respond(described, now)
            return
        try:
            wanted = self.read(request)
        except RejectedError as rejected:
            respond(rejected.answer(), now)
            return
        self.serve(wanted, identity, respond, now)

    def describe(self, request: HttpRequest) -> HttpAnswer | None:
        """Return the interface's own description if that is asked for (OPENAPI_PATH), None otherwise."""
        if request.target.partition("?")[0] != OPENAPI_PATH:
            return None
        if request.method != "GET":
            return error_answer(405, "openapi.json takes GET", allow="GET")
        if self._description is None:
            self._description = openapi_bytes(self._limits)
        return HttpAnswer(200, self._description)

    def read(self, request: HttpRequest) -> Wanted:
        """Return what a request asks for; raises RejectedError. It needs no instant and changes nothing."""
        return read_request(request, self._limits)

    def serve(self, wanted: Wanted, identity: str, respond: Respond, now: int) -> None:
        """Answer what has been read; an event of the network."""
        face = self._face
        if face is None:
            respond(error_answer(503, "this KME is down: ask again later"), now)
            return
        answered = partial(self._answered, face, wanted, identity, respond)
        face.perform(face.ask(partial(wanted.message, identity), answered, now), now)

    def _answered(
        self, face: ApplicationFace, wanted: Wanted, sae: str, respond: Respond, answer: Answer, now: int
    ) -> Effects:
        if type(answer) is KeysDelivered:
            respond(keys_answer(answer), now)
        elif type(answer) is PairStatus and answer.session:
            respond(status_answer(answer, sae, wanted.peer, self._limits), now)
        elif type(answer) is RequestRefused and answer.fault is not Fault.NO_SESSION:
            respond(refusal_answer(answer), now)
        elif type(wanted) is GetKey and wanted.also:
            return self._open_all(face, [(sae, slave) for slave in (wanted.peer, *wanted.also)], respond, now)
        else:
            return self._open(face, (sae, wanted.peer), respond, now)
        return ()

    def _open_all(self, face: ApplicationFace, pairs: Sequence[Pair], respond: Respond, now: int) -> Effects:
        """Have the sessions of several pairs opened; a refusal of one is the answer for all."""
        answers: list[HttpAnswer] = []

        def opened(answer: HttpAnswer, now: int) -> None:
            answers.append(answer)
            if len(answers) == len(pairs):
                respond(min(answers, key=lambda each: (each.status, each.retry_after_s)), now)

        return [effect for pair in pairs for effect in self._open(face, pair, opened, now)]

    def _open(self, face: ApplicationFace, pair: Pair, respond: Respond, now: int) -> Effects:
        waiting = self._opening.get(pair)
        if waiting is not None:
            waiting.append(respond)
            return ()
        self._opening[pair] = [respond]
        sae, peer = pair
        return face.ask(lambda request: OpenUnit(request, sae, peer), partial(self._opened, pair), now)

    def _opened(self, pair: Pair, answer: Answer, now: int) -> Effects:
        for respond in self._opening.pop(pair, ()):
            respond(opening_answer(answer), now)
        return ()


def status_answer(status: PairStatus, sae: str, peer: str, limits: Limits) -> HttpAnswer:
    """Return the Status of a pair; the calling SAE is the master (6.1)."""
    body = Status(
        source_KME_ID=status.kme,
        target_KME_ID=status.peer_kme,
        master_SAE_ID=sae,
        slave_SAE_ID=peer,
        key_size=status.size_bits,
        stored_key_count=status.stored,
        max_key_count=status.capacity,
        max_key_per_request=status.max_per_request,
        max_key_size=status.max_size_bits,
        min_key_size=status.min_size_bits,
        max_SAE_ID_count=limits.max_sae_id_count,
    )
    return HttpAnswer(200, _encode(body))


def keys_answer(delivered: KeysDelivered) -> HttpAnswer:
    """Return a Key container (6.3), and take the keys out of the message."""
    body = bytearray(b'{"keys":[')
    separator = b'{"key_ID":'
    for key in delivered.keys:
        body += separator
        body += _encode(key.key_id)
        body += b',"key":"'
        body += binascii.b2a_base64(key.bits.take(), newline=False)
        separator = b'"},{"key_ID":'
    body += b'"}]}' if delivered.keys else b"]}"
    return HttpAnswer(200, body)


def refusal_answer(refused: RequestRefused) -> HttpAnswer:
    """Return what an SAE is told that the KME refused, and when to ask again where that is known."""
    after_s = -(-refused.retry_after_ps // PS_PER_S)
    return error_answer(_STATUS_OF[refused.fault], refused.message, retry_after_s=after_s)


def opening_answer(answer: Answer) -> HttpAnswer:
    """Return what an SAE is told when its pair had no session and control has answered, or has not.

    A refusal whose reason begins with `unauthorized` is 401, any other 503.
    """
    if type(answer) is UnitAnswer:
        if answer.state != REFUSED_STATE:
            text = f"{OPENING} ({answer.reason})" if answer.reason else OPENING
            return error_answer(503, text, retry_after_s=OPENING_S)
        status = 401 if answer.reason.startswith(Fault.UNAUTHORIZED.value) else 503
        return error_answer(status, f"no session for this pair: {answer.reason}")
    reason = answer.message if type(answer) is RequestRefused else "unexpected answer"
    return error_answer(503, f"no session for this pair yet, control has not answered: {reason}")

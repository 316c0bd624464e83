"""An SAE without sockets: it calls the handler, in virtual or real time, and keeps its history.

The checker reads the histories next to the event log: what an SAE was answered is known here alone.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from qstrata.interfaces.etsi014.client import dec_body, enc_body, path_of, read_keys, read_message
from qstrata.interfaces.etsi014.handler import Etsi014Handler
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest
from qstrata.interfaces.etsi014.types import DEC_KEYS, ENC_KEYS, STATUS

UNANSWERED = 0


class ClientEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call of an SAE: `verb` is `status`, `enc` or `dec`; `outcome` the HTTP status, 0 while unanswered.

    `also` are the slave SAEs beside `peer` that keys were asked for.
    `key_ids` are the ids asked for (`dec`), or received (`enc`, empty until answered); `digests` identify the
    bits of each key received, in the same order, empty otherwise. `message` is the KME's text of a refusal.
    """

    time_ps: int
    answered_ps: int = -1
    sae: str
    peer: str
    verb: str
    key_ids: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    outcome: int = UNANSWERED
    message: str = ""
    also: tuple[str, ...] = ()


Then = Callable[[ClientEntry, int], None]


class VirtualSae:
    """Call one KME's handler as the SAE `name`.

    `history` takes the answered calls in the order of their answers; it may be shared between SAEs.
    `salt` is the run's, so that digests compare with those of the event log. Each call takes a `then` that
    is called with the entry and the instant of the answer; no key is kept here.
    """

    def __init__(
        self, handler: Etsi014Handler, name: str, salt: bytes, history: list[ClientEntry] | None = None
    ) -> None:
        self._handler = handler
        self.name = name
        self._salt = salt
        self.history: list[ClientEntry] = [] if history is None else history
        self._open: dict[int, ClientEntry] = {}
        self._calls = 0

    def asks(self, handler: Etsi014Handler) -> bool:
        """Tell whether it calls this handler."""
        return self._handler is handler

    def status(self, peer: str, now: int, then: Then | None = None) -> None:
        """Ask for the status of the pair with `peer`."""
        entry = ClientEntry(time_ps=now, sae=self.name, peer=peer, verb="status")
        self._call(entry, HttpRequest("GET", path_of(peer, STATUS)), then, now)

    def get_keys(
        self,
        peer: str,
        now: int,
        number: int = 1,
        size_bits: int | None = None,
        then: Then | None = None,
        also: Sequence[str] = (),
    ) -> None:
        """Ask for new keys to share with `peer`, and with each SAE in `also`."""
        entry = ClientEntry(time_ps=now, sae=self.name, peer=peer, verb="enc", also=tuple(also))
        self._call(entry, _post(path_of(peer, ENC_KEYS), enc_body(number, size_bits, also)), then, now)

    def get_keys_by_id(self, peer: str, key_ids: Sequence[str], now: int, then: Then | None = None) -> None:
        """Ask for the keys of these ids that `peer` was given."""
        entry = ClientEntry(time_ps=now, sae=self.name, peer=peer, verb="dec", key_ids=tuple(key_ids))
        self._call(entry, _post(path_of(peer, DEC_KEYS), dec_body(key_ids)), then, now)

    def unanswered(self) -> tuple[ClientEntry, ...]:
        """Return the calls that have no answer, in their order; what they asked for may be gone."""
        return tuple(self._open.values())

    def _call(self, entry: ClientEntry, request: HttpRequest, then: Then | None, now: int) -> None:
        self._calls = call = self._calls + 1
        self._open[call] = entry
        self._handler.handle(request, self.name, partial(self._answered, call, then), now)

    def _answered(self, call: int, then: Then | None, answer: HttpAnswer, now: int) -> None:
        asked = self._open.pop(call)
        key_ids, digests, message = asked.key_ids, asked.digests, ""
        if answer.status != 200:
            message = read_message(answer.body)
        elif asked.verb != "status":
            keys = read_keys(answer.status, answer.body)
            answer.wipe()
            key_ids = tuple(key.key_id for key in keys)
            digests = tuple(key.bits.digest(self._salt) for key in keys)
        entry = ClientEntry(
            time_ps=asked.time_ps,
            answered_ps=now,
            sae=asked.sae,
            peer=asked.peer,
            verb=asked.verb,
            key_ids=key_ids,
            digests=digests,
            outcome=answer.status,
            message=message,
            also=asked.also,
        )
        self.history.append(entry)
        if then is not None:
            then(entry, now)


def _post(path: str, body: bytes) -> HttpRequest:
    return HttpRequest("POST", path, "application/json", body)

"""What clients saw: every call of an SAE with its outcome, the checker's second source."""

import enum
from collections import Counter
from collections.abc import Iterable

import msgspec

from qstrata.core.errors import InputError
from qstrata.interfaces.etsi014.virtual import ClientEntry


class Outcome(enum.Enum):
    """How a call ended for the client; only `REFUSED` says for sure that nothing was delivered."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"


class ClientCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of one SAE: `verb` is `enc` or `dec`, times are picoseconds since the network's start.

    `key_ids` are the keys delivered by `enc`, or the keys that `dec` asked for. `digests` belong to the
    delivered keys, in the same order, keyed with the run's salt; empty when nothing was delivered. `also`
    are the slaves beside `peer` of an `enc`.
    """

    started_ps: int
    ended_ps: int
    sae: str
    peer: str
    verb: str
    key_ids: tuple[str, ...]
    digests: tuple[str, ...] = ()
    outcome: Outcome
    also: tuple[str, ...] = ()

    @property
    def slaves(self) -> tuple[str, ...]:
        """Return the SAEs that an `enc` named."""
        return (self.peer, *self.also)


def outcome_of_status(status: int) -> Outcome:
    """Return the outcome that an HTTP status means (ETSI GS QKD 014 V1.1.1, 5); 0 is no answer."""
    if status == 200:
        return Outcome.DELIVERED
    if status in (400, 401):
        return Outcome.REFUSED
    return Outcome.UNAVAILABLE if status == 503 else Outcome.UNKNOWN


def calls_of(history: Iterable[ClientEntry]) -> list[ClientCall]:
    """Return the calls for keys among the entries of virtual SAEs, answered or not."""
    return [
        ClientCall(
            started_ps=entry.time_ps,
            ended_ps=max(entry.time_ps, entry.answered_ps),
            sae=entry.sae,
            peer=entry.peer,
            verb=entry.verb,
            key_ids=entry.key_ids,
            digests=entry.digests,
            outcome=outcome_of_status(entry.outcome),
            also=entry.also,
        )
        for entry in history
        if entry.verb in ("enc", "dec")
    ]


class ClientKey:
    """What the clients say of one key id; `answered`, `held` and `altered` are what the log has said of it.

    `held` has site, digest and sequence number of each time that a KME took it in; `altered` has verb and
    SAE of answers to which the lab gave other bits. `valid_until_ps` is the first end of its `sessions`,
    `set_aside_ps` when a KME first set it aside; -1 where there is none.
    """

    __slots__ = (
        "altered",
        "answered",
        "decs",
        "encs",
        "held",
        "sessions",
        "set_aside_ps",
        "tries",
        "valid_until_ps",
    )

    def __init__(self) -> None:
        self.encs: list[tuple[ClientCall, str]] = []
        self.decs: list[tuple[ClientCall, str]] = []
        self.tries: list[ClientCall] = []
        self.answered: set[tuple[str, str]] = set()
        self.altered: set[tuple[str, str]] = set()
        self.held: list[tuple[str, str, int]] = []
        self.valid_until_ps = -1
        self.set_aside_ps = -1
        self.sessions: set[str] = set()

    @property
    def digests(self) -> list[str]:
        """Return the digests of all deliveries that the lab did not alter."""
        given = (*self.encs, *self.decs)
        return [digest for call, digest in given if (call.verb, call.sae) not in self.altered]


class Clients:
    """The clients' histories by key id; InputError when a delivered key has no digest."""

    def __init__(self, histories: Iterable[ClientCall]) -> None:
        self.calls = sorted(histories, key=lambda call: (call.started_ps, call.ended_ps))
        self.keys: dict[str, ClientKey] = {}
        self.excused: Counter[tuple[str, tuple[str, ...]]] = Counter()
        """By SAE and key ids: how often the lab refused them as if they had expired."""
        for call in self.calls:
            digests = call.digests if call.outcome is Outcome.DELIVERED else ("",) * len(call.key_ids)
            if len(digests) != len(call.key_ids):
                raise InputError(f"a call of {call.sae} got {len(call.key_ids)} keys: give a digest of each")
            for key_id, digest in zip(call.key_ids, digests, strict=True):
                self._enter(call, self.keys.setdefault(key_id, ClientKey()), digest)

    def excuse(self, call: ClientCall) -> bool:
        """Say whether the lab refused a dec, once for each time that it did; it was then no try at all."""
        if not self.excused[call.sae, call.key_ids]:
            return False
        self.excused[call.sae, call.key_ids] -= 1
        for key_id in call.key_ids:
            self.keys[key_id].tries.remove(call)
        return True

    def _enter(self, call: ClientCall, key: ClientKey, digest: str) -> None:
        if call.verb == "dec":
            key.tries.append(call)
        if call.outcome is Outcome.DELIVERED:
            (key.encs if call.verb == "enc" else key.decs).append((call, digest))

"""The rules that need the clients' side: what they were told is so, and what they were given is not lost."""

from qstrata.fabric.log import Answered, Injected, KeyHeld
from qstrata.interfaces.etsi014.faults import EXPIRED, WRONG
from qstrata.store.records import KeyState
from qstrata.testing.evidence import KeyRow
from qstrata.testing.history import ClientCall, ClientKey, Outcome
from qstrata.testing.rules.base import Rule
from qstrata.testing.verdict import Case


def _answered(case: Case, answer: Answered) -> None:
    key = case.clients.keys.get(answer.key_id)
    if key is not None:
        key.answered.add((answer.verb, answer.sae))


def _held(case: Case, held: KeyHeld) -> None:
    key = case.clients.keys.get(held.key_id)
    if key is None:
        return
    key.sessions.add(held.session)
    if key.valid_until_ps < 0 or held.valid_until_ps < key.valid_until_ps:
        key.valid_until_ps = held.valid_until_ps
    key.held.append((held.site, held.digest, case.facts.sequence))


def _injected(case: Case, injected: Injected) -> None:
    """Take note of what the lab did to an answer: no other answer is excused by it."""
    key_ids = tuple(injected.key_ids.split())
    if injected.fault == EXPIRED and injected.verb == "dec":
        case.clients.excused[injected.sae, key_ids] += 1
    elif injected.fault == WRONG:
        for key_id in key_ids:
            key = case.clients.keys.get(key_id)
            if key is not None:
                key.altered.add((injected.verb, injected.sae))


def _set_aside(case: Case, row: KeyRow) -> None:
    key = case.clients.keys.get(row.key_id)
    if key is not None and row.state is KeyState.QUARANTINED and key.set_aside_ps < 0:
        key.set_aside_ps = case.facts.time_ps


def _delivered(case: Case) -> None:
    for key_id, key in case.clients.keys.items():
        for call, _ in (*key.encs, *key.decs):
            if (call.verb, call.sae) not in key.answered:
                text = f"{call.sae} got key {key_id} by {call.verb}, and no KME answered it"
                case.blame("histories-agree", text)
        getters = [call.sae for call, _ in key.decs]
        if len(key.encs) > 1 or len(set(getters)) < len(getters):
            encs = [call.sae for call, _ in key.encs]
            case.blame("histories-agree", f"key {key_id} was got by enc by {encs}, by dec by {getters}")


def _right_pair(case: Case) -> None:
    for key_id, key in case.clients.keys.items():
        for enc, _ in key.encs:
            for dec, _ in key.decs:
                if dec.peer != enc.sae or dec.sae not in enc.slaves:
                    slaves = " and ".join(enc.slaves)
                    text = f"key {key_id} of {enc.sae} for {slaves} was got by {dec.sae} as {dec.peer}'s"
                    case.blame("right-pair", text)


def _equal(case: Case) -> None:
    for key_id, key in case.clients.keys.items():
        for site, digest, sequence in key.held:
            if any(other != digest for other in key.digests):
                text = f"key {key_id} as its clients have it differs from what {site} holds"
                case.blame("equal-clients", text, sequence)
        if len(set(key.digests)) > 1:
            case.blame("equal-clients", f"key {key_id} has different bits for its clients")


def _nothing_lost(case: Case) -> None:
    for call in case.clients.calls:
        if call.verb != "dec" or call.outcome is not Outcome.REFUSED or not call.key_ids:
            continue
        unique = len(set(call.key_ids)) == len(call.key_ids)
        if unique and all(_was_due(case, call, case.clients.keys[key_id]) for key_id in call.key_ids):
            if case.clients.excuse(call):
                continue
            text = f"{call.sae} was refused {', '.join(call.key_ids)}, which {call.peer} had got for it"
            case.blame("nothing-lost", text)


def _was_due(case: Case, call: ClientCall, key: ClientKey) -> bool:
    """Say whether a dec had to succeed: got by the peer for this SAE before, never tried, still valid."""
    given = any(
        enc.sae == call.peer and call.sae in enc.slaves and enc.ended_ps <= call.started_ps
        for enc, _ in key.encs
    )
    tried = any(t is not call and t.sae == call.sae and t.started_ps <= call.ended_ps for t in key.tries)
    closed = [case.facts.closed_ps[session] for session in key.sessions if session in case.facts.closed_ps]
    ended = any(closed_ps <= call.ended_ps for closed_ps in closed)
    expired = 0 <= key.valid_until_ps < call.ended_ps
    suspect = 0 <= key.set_aside_ps <= call.ended_ps
    return given and not (tried or ended or expired or suspect)


RULES = (
    Rule(
        "histories-agree",
        "What a client got was answered by a KME, and got at most once a side.",
        ((Answered, _answered),),
        _delivered,
    ),
    Rule(
        "equal-clients",
        "All SAEs of a key get the same bits, those that the KMEs hold.",
        ((KeyHeld, _held), (Injected, _injected)),
        _equal,
    ),
    Rule("right-pair", "Only an SAE that a key was asked for gets it by dec.", (), _right_pair),
    Rule(
        "nothing-lost",
        "A key that a client was given can be fetched by each of its slaves until it ends or is set aside.",
        ((KeyRow, _set_aside),),
        _nothing_lost,
    ),
)

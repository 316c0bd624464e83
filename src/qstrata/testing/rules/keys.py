"""The rules of delivery: each key once a side, by the right side, durably first, and never after its end."""

from qstrata.fabric.log import Answered
from qstrata.store.records import KeyState
from qstrata.testing.evidence import SENT, KeyRow, Message
from qstrata.testing.facts import DEAD, Copy
from qstrata.testing.rules.base import Rule
from qstrata.testing.verdict import Case


def _key_once(case: Case, answer: Answered) -> None:
    for sequence, earlier in case.facts.key(answer.key_id).answers:
        again = earlier.verb == answer.verb and (answer.verb == "enc" or earlier.sae == answer.sae)
        if again:
            text = (
                f"key {answer.key_id} answers {answer.verb} of {answer.sae} at {answer.site}, "
                f"and did of {earlier.sae} at {earlier.site}"
            )
            case.blame("key-once", text, sequence, case.facts.sequence)


def _marks_stay(case: Case, row: KeyRow) -> None:
    at = case.facts.key(row.key_id).at(row.site, row.session)
    if at.row is None:
        return
    lost = [sae for sae in at.row.delivered_to if sae not in row.delivered_to]
    if lost:
        text = f"key {row.key_id} at {row.site} forgets that {', '.join(lost)} has it"
        case.blame("key-once", text, at.sequence, case.facts.sequence)


def _sync_before_answer(case: Case, answer: Answered) -> None:
    copies = case.facts.key(answer.key_id).held_at(answer.site)
    marked = [not copy.dropped and answer.sae in {sae for _, sae in copy.given} for copy in copies]
    if not (all(marked) if answer.verb == "enc" else any(marked)) or not marked:
        text = f"key {answer.key_id} answers {answer.sae} at {answer.site}, where that is not durable"
        case.blame("sync-before-answer", text, *(copy.sequence for copy in copies), case.facts.sequence)


def _sync_before_sent(case: Case, message: Message) -> None:
    if message.type != "KeysDelivered" or message.outcome != SENT:
        return
    for key_id in message.texts()[1].split():
        key = case.facts.key(key_id)
        copies = key.held_at(message.site)
        kept = not all(copy.dropped for copy in copies)
        durable = len(set().union(*(copy.given for copy in copies))) if kept else 0
        sent = key.sent.get(message.site, 0)
        if sent >= durable:
            text = f"key {key_id} leaves {message.site} for answer {sent + 1}, {durable} are durable"
            case.blame("sync-before-answer", text, *(copy.sequence for copy in copies), case.facts.sequence)


def _sides(case: Case, answer: Answered) -> None:
    facts = case.facts
    copies = facts.key(answer.key_id).held_at(answer.site)
    held = [(copy.held, copy.held_sequence) for copy in copies if copy.held is not None]
    if not held:
        text = f"key {answer.key_id} answers {answer.verb} at {answer.site}, which never took it in"
        case.blame("sides", text, facts.sequence)
        return
    for one, _ in held:
        local = (answer.site, one.session) in facts.local
        if bool(one.own) == (answer.verb == "enc") or (one.own and local):
            return
    side = "drew it" if held[0][0].own else "did not draw it"
    text = f"key {answer.key_id} answers {answer.verb} at {answer.site}, which {side}"
    case.blame("sides", text, *(sequence for _, sequence in held), facts.sequence)


def _expired(case: Case, answer: Answered) -> None:
    facts = case.facts
    copies = facts.key(answer.key_id).held_at(answer.site)
    marked = [copy for copy in copies if copy.row is not None and answer.sae in copy.row.delivered_to]
    for at in marked or copies:
        end = _end_ps(at)
        if end >= 0 and facts.time_ps > end:
            text = f"key {answer.key_id} answers {answer.sae} {facts.time_ps - end} ps after its end"
            case.blame("expired", text, at.sequence, facts.sequence)
        if at.dead_sequence >= 0 and answer.sae not in at.before:
            text = f"key {answer.key_id} is dead at {answer.site}, and answers {answer.sae}"
            case.blame("expired", text, at.dead_sequence, facts.sequence)


def _end_ps(at: Copy) -> int:
    if at.row is not None:
        return at.row.valid_until_ps
    return at.held.valid_until_ps if at.held is not None else -1


def _never_back(case: Case, row: KeyRow) -> None:
    facts = case.facts
    at = facts.key(row.key_id).at(row.site, row.session)
    if at.dead_sequence >= 0 and row.state not in DEAD:
        text = f"key {row.key_id} is dead at {row.site}, and comes back {row.state.value}"
        case.blame("expired", text, at.dead_sequence, facts.sequence)
    elif at.row is not None and row.state is KeyState.POOLED and at.row.state is not KeyState.POOLED:
        text = f"key {row.key_id} at {row.site} was {at.row.state.value}, and is pooled again"
        case.blame("expired", text, at.sequence, facts.sequence)
    elif facts.was_key_dropped(row.key_id, row.session, row.site):
        text = f"key {row.key_id} was dropped at {row.site}, and comes back {row.state.value}"
        case.blame("expired", text, at.sequence, facts.sequence)
    elif at.row is not None and row.valid_until_ps > at.row.valid_until_ps:
        text = f"key {row.key_id} at {row.site} gets a later end"
        case.blame("expired", text, at.sequence, facts.sequence)


RULES = (
    Rule(
        "key-once",
        "A key is delivered at most once by enc, and at most once by dec to one SAE.",
        ((Answered, _key_once), (KeyRow, _marks_stay)),
    ),
    Rule(
        "sync-before-answer",
        "The mark of a delivery is durable before the key leaves.",
        ((Answered, _sync_before_answer), (Message, _sync_before_sent)),
    ),
    Rule(
        "sides",
        "A key goes out by enc where it was drawn, by dec at the other KME or where both SAEs are attached.",
        ((Answered, _sides),),
    ),
    Rule(
        "expired",
        "A key that has expired, or was destroyed or quarantined, is never delivered and never comes back.",
        ((Answered, _expired), (KeyRow, _never_back)),
    ),
)

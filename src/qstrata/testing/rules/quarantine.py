"""The rules of quarantine: what is set aside is used no more, and what was given before is named."""

from qstrata.fabric.log import Answered, PadUsed
from qstrata.testing.evidence import CHOICE, SENT, Message
from qstrata.testing.facts import MASK
from qstrata.testing.rules.base import Rule
from qstrata.testing.verdict import Case


def _exposed_named(case: Case, message: Message) -> None:
    if message.type != "KeysQuarantined" or message.outcome != SENT:
        return
    facts = case.facts
    _, serial, named = message.texts()
    for key_id, copy in facts.suspect_copies(message.site, serial):
        given = copy.row is not None and copy.row.delivered_to
        if given and not copy.dropped and key_id not in named.split():
            text = f"key {key_id} is suspect, {message.site} has given it, and does not name it"
            case.blame("exposed-named", text, copy.sequence, facts.sequence)


def _key_set_aside(case: Case, answer: Answered) -> None:
    for copy in case.facts.key(answer.key_id).held_at(answer.site):
        if copy.barred_sequence >= 0:
            text = f"key {answer.key_id} answers {answer.sae} at {answer.site}, which had set it aside"
            case.blame("set-aside", text, copy.barred_sequence, case.facts.sequence)


def _block_set_aside(case: Case, pad: PadUsed) -> None:
    facts = case.facts
    barred = facts.barred_since(pad.site, pad.link, pad.number) if pad.use == MASK else -1
    if barred >= 0:
        text = f"block {pad.link}/{pad.number} masks {pad.transfer} at {pad.site}, which had set it aside"
        case.blame("set-aside", text, barred, facts.sequence)


def _pair_kept(case: Case, message: Message) -> None:
    if message.type != CHOICE or message.outcome != SENT:
        return
    circuit, pair, tested = message.texts()
    since = case.facts.marked.get((message.site, circuit), -1)
    if since >= 0 and tested != "True":
        text = f"pair {pair} of {circuit} is kept at {message.site}, which had marked it as suspected"
        case.blame("suspect-kept", text, since, case.facts.sequence)


RULES = (
    Rule(
        "set-aside",
        "What a KME or a relay says it has set aside, keys or link blocks, it uses no more.",
        ((Answered, _key_set_aside), (PadUsed, _block_set_aside)),
    ),
    Rule(
        "exposed-named",
        "A KME that sets suspect keys aside names those of them that it had given.",
        ((Message, _exposed_named),),
    ),
    Rule(
        "suspect-kept",
        "The head of a circuit that says it is marked as suspected keeps no pair until it says otherwise.",
        ((Message, _pair_kept),),
    ),
)

"""The rules of the fabric: no key bits where none may go, and nothing that the architecture forbids."""

from qstrata.fabric.log import Scanned
from qstrata.testing.evidence import REFUSED, Message
from qstrata.testing.rules.base import Rule
from qstrata.testing.verdict import Case


def _never(case: Case, leak: Scanned) -> None:
    text = (
        f"{leak.type} from {leak.sender} to {leak.receiver} has key bits, and {leak.arrow} never carries any"
    )
    case.blame("never-arrows", text, case.facts.sequence)


def _refused(case: Case, message: Message) -> None:
    if message.outcome.startswith(REFUSED):
        text = f"{message.type} from {message.sender} to {message.receiver} was refused on {message.arrow}"
        case.blame("refusals", text, case.facts.sequence)


RULES = (
    Rule("never-arrows", "No secret crosses an arrow that never carries key bits.", ((Scanned, _never),)),
    Rule("refusals", "No element tries what the architecture forbids.", ((Message, _refused),)),
)

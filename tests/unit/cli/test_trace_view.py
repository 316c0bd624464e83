"""What `trace` prints of a negotiation."""

from qstrata.cli.show_trace import drawn, negotiation_tree
from qstrata.fabric.messages.service_control import HopReply, NegotiationTrace, Reply

MARKS = ("|- ", "`- ", "|  ", "   ")
HOPS = (
    HopReply("a", Reply.ACCEPTED, 86_400, 10.0),
    HopReply("b", Reply.COUNTERED, 3600, 2.5, "max-session-life-s is 3600 here, not 86400"),
)


def kept(site: str, unit: str = "identifier") -> NegotiationTrace:
    return NegotiationTrace(site, "00ff", unit, "urn:qkd:lab:a:sae", HOPS)


def test_each_hop_is_told_with_its_answer_its_figures_and_why_and_who_keeps_it() -> None:
    assert drawn(negotiation_tree((kept("a"), kept("b"))), MARKS) == [
        "unit 00ff, negotiated, proposed by urn:qkd:lab:a:sae",
        "|- KME of a: accepted, 86400 s, 10 keys/s",
        "|- KME of b: countered, 3600 s, 2.5 keys/s (max-session-life-s is 3600 here, not 86400)",
        "`- kept alike by the KMEs of a, b",
    ]


def test_a_unit_that_was_not_agreed_on_is_told_as_such() -> None:
    (first, *_) = drawn(negotiation_tree((kept("a", unit=""),)), MARKS)
    assert first == "unit 00ff, not agreed on, proposed by urn:qkd:lab:a:sae"

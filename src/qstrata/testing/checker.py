"""The checker: it judges the guarantees by the event log and the clients' histories alone.

The log is read once, in its order; a sequence number that starts again is a process that was killed.
What is kept grows with live blocks and keys, with the ids of dropped rows, and with the histories.
`qstrata.testing.rules.RULES` lists the guarantees.
"""

from collections.abc import Collection, Iterable

from qstrata.core.errors import InputError
from qstrata.fabric.log import Answered, KeyHeld, NodeEvent, PadUsed, Sampled
from qstrata.testing.evidence import JUDGED_MESSAGES, SENT, Log, Message, read
from qstrata.testing.facts import MASK
from qstrata.testing.history import ClientCall, Clients
from qstrata.testing.rules import RULES
from qstrata.testing.rules.base import Judge
from qstrata.testing.verdict import Case, Counts, Verdict


class _Tally:
    """Count what was read."""

    __slots__ = ("bits", "by_type", "decs", "encs", "entries", "masks")

    def __init__(self) -> None:
        self.entries = self.masks = self.bits = self.encs = self.decs = 0
        self.by_type: dict[type, int] = {}

    def add(self, event: object) -> None:
        self.entries += 1
        kind = type(event)
        self.by_type[kind] = self.by_type.get(kind, 0) + 1
        if isinstance(event, PadUsed) and event.use == MASK:
            self.masks += 1
            self.bits += event.length
        elif isinstance(event, Answered):
            self.encs += event.verb == "enc"
            self.decs += event.verb == "dec"

    def counts(self, calls: int, violations: int) -> Counts:
        of = self.by_type.get
        return Counts(
            entries=self.entries,
            messages=of(Message, 0),
            masks=self.masks,
            unmasks=of(PadUsed, 0) - self.masks,
            bits_masked=self.bits,
            keys_held=of(KeyHeld, 0),
            answers_enc=self.encs,
            answers_dec=self.decs,
            accounts=of(Sampled, 0),
            node_events=of(NodeEvent, 0),
            calls=calls,
            violations=violations,
        )


def check(log: Log, histories: Iterable[ClientCall] = (), allow: Collection[str] = ()) -> Verdict:
    """Judge a run by its event log (a path, or its lines) and what its clients saw.

    `allow` names rules that may be broken in this run. Raises InputError for a rule that does not
    exist, for a line that is not an entry, and for a delivery without a digest.
    """
    unknown = set(allow) - {rule.id for rule in RULES}
    if unknown:
        names = ", ".join(rule.id for rule in RULES)
        raise InputError(f"no rule is called {', '.join(sorted(unknown))}; the rules are {names}")
    case = Case(Clients(histories), allow)
    facts = case.facts
    judges = _judges()
    tally = _Tally()
    for time_ps, sequence, event in read(log):
        tally.add(event)
        if type(event) is Message and event.outcome == SENT and event.type not in JUDGED_MESSAGES:
            continue
        if sequence < facts.sequence:
            facts.restarted()
        facts.time_ps, facts.sequence = time_ps, sequence
        for judge in judges.get(type(event), ()):
            judge(case, event)
        facts.absorb(event)
    for rule in RULES:
        if rule.finish is not None:
            rule.finish(case)
    return Verdict(tuple(case.found), tally.counts(len(case.clients.calls), case.total))


def _judges() -> dict[type, tuple[Judge, ...]]:
    table: dict[type, tuple[Judge, ...]] = {}
    for rule in RULES:
        for kind, judge in rule.judges:
            table[kind] = (*table.get(kind, ()), judge)
    return table

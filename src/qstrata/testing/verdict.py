"""What the checker says of a run, and the case it builds while it reads."""

from collections.abc import Collection

import msgspec

from qstrata.testing.facts import Facts
from qstrata.testing.history import Clients

KEPT_VIOLATIONS = 1000
"""Violations that a verdict explains; those beyond are counted only."""


class Violation(msgspec.Struct, frozen=True):
    """One breach of one rule; `sequences` are the sequence numbers of the log entries that show it."""

    rule: str
    text: str
    sequences: tuple[int, ...]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How much was judged, so that an empty log is not mistaken for a good one."""

    entries: int
    messages: int
    masks: int
    unmasks: int
    bits_masked: int
    keys_held: int
    answers_enc: int
    answers_dec: int
    accounts: int
    node_events: int
    calls: int
    violations: int


class Verdict(msgspec.Struct, frozen=True):
    """The violations found, at most KEPT_VIOLATIONS, and the counts of what was judged."""

    violations: tuple[Violation, ...]
    counts: Counts

    @property
    def ok(self) -> bool:
        """Say whether no rule was broken."""
        return not self.counts.violations

    def text(self) -> str:
        """Return the verdict for people: one line of counts, one line for each violation."""
        counts = ", ".join(
            f"{getattr(self.counts, name)} {name.replace('_', ' ')}" for name in Counts.__struct_fields__
        )
        lines = [
            f"{v.rule}: {v.text} (log {', '.join(map(str, v.sequences)) or 'has nothing'})"
            for v in self.violations
        ]
        left = self.counts.violations - len(self.violations)
        more = [f"and {left} more"] if left else []
        return "\n".join([f"checked: {counts}", *lines, *more])


class Case:
    """One run under judgement: the facts so far, the clients' histories, the violations found."""

    __slots__ = ("_allow", "clients", "facts", "found", "total")

    def __init__(self, clients: Clients, allow: Collection[str]) -> None:
        self.facts = Facts()
        self.clients = clients
        self.found: list[Violation] = []
        self.total = 0
        self._allow = frozenset(allow)

    def blame(self, rule: str, text: str, *sequences: int) -> None:
        """Book a violation of a rule, unless that rule is allowed to be broken."""
        if rule in self._allow:
            return
        self.total += 1
        if len(self.found) < KEPT_VIOLATIONS:
            self.found.append(Violation(rule, text, tuple(s for s in sequences if s >= 0)))

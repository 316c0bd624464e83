"""The rules of the checker: a table of the guarantees and of what judges each."""

from qstrata.testing.rules import clients, ends, keys, pads, traffic
from qstrata.testing.rules.base import Rule

RULES: tuple[Rule, ...] = (*pads.RULES, *keys.RULES, *ends.RULES, *traffic.RULES, *clients.RULES)

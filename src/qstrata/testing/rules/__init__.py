"""The rules of the checker: a table of the guarantees and of what judges each."""

from qstrata.testing.rules import clients, ends, keys, pads, quarantine, traffic
from qstrata.testing.rules.base import Rule

RULES: tuple[Rule, ...] = (
    *pads.RULES,
    *keys.RULES,
    *ends.RULES,
    *quarantine.RULES,
    *traffic.RULES,
    *clients.RULES,
)

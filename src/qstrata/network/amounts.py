"""How much of a fault stands, in the words of operators."""

from qstrata.interfaces.etsi014.faults import LATE
from qstrata.twin.faults import unit_of


def amount_in_words(kind: str, amount: float) -> str:
    """Return an amount with its unit, a share in per cent; empty for a kind that has none."""
    unit = "s" if kind == LATE else unit_of(kind)
    if unit.startswith("of "):
        return f"{100.0 * amount:g} % {unit}"
    return f"{amount:g} {unit}" if unit else ""

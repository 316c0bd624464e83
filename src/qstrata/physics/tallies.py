"""What both ends of a link counted or measured over some pulses, of whichever kind its protocol is."""

from typing import TypeAlias

from qstrata.core.errors import InternalError
from qstrata.physics import counts
from qstrata.physics.counts import Counts, ExpectedCounts
from qstrata.physics.quadratures import ExpectedQuadratures, Quadratures, joined

Tally: TypeAlias = Counts | Quadratures
ExpectedTally: TypeAlias = ExpectedCounts | ExpectedQuadratures


def add(a: Tally, b: Tally) -> Tally:
    """Add what was seen in two stretches of pulses of one link; InternalError for those of two kinds."""
    if isinstance(a, Counts) and isinstance(b, Counts):
        return counts.add(a, b)
    if isinstance(a, Quadratures) and isinstance(b, Quadratures):
        return joined(a, b)
    raise InternalError(f"{type(a).__name__} are added to {type(b).__name__}")


def as_counts(tally: Tally) -> Counts:
    """Return what must be counts of clicks; InternalError for anything else."""
    if not isinstance(tally, Counts):
        raise InternalError(f"{type(tally).__name__} are taken for counts of clicks")
    return tally


def raw_bits(tally: Tally) -> int:
    """Return how many bits of raw key both ends hold: sifted clicks in Z, or signs of kept quadratures."""
    return sum(tally.n[0]) if isinstance(tally, Counts) else tally.key_values

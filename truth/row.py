"""One row of the report: a figure of a run, what it should be, and how far apart they are."""

import math

import msgspec

LIMIT = 5.0
"""A row holds within so many standard errors: one of a hundred true ones fails once in ten thousand runs."""
ROUNDING = 1e-10
"""The standard error given to exact states: some hundred roundings."""


class Row(msgspec.Struct, frozen=True):
    """Hold our figure with its standard error, what is expected and where that is from, and the sample.

    `relation` is "=", or "<=" and ">=" for bounds, which are never exceeded by more than chance allows.
    """

    name: str
    ours: float
    error: float
    expected: float
    source: str
    sample: str
    relation: str = "="

    @property
    def z(self) -> float:
        """Return the residual in standard errors; infinite where there is none to be had."""
        apart = self.ours - self.expected
        if self.error > 0.0:
            return apart / self.error
        return 0.0 if apart == 0.0 else math.copysign(math.inf, apart)

    @property
    def holds(self) -> bool:
        """Tell whether the figure is what is expected, within chance."""
        if self.relation == "<=":
            return self.z <= LIMIT
        if self.relation == ">=":
            return self.z >= -LIMIT
        return abs(self.z) <= LIMIT

    @property
    def visible(self) -> float:
        """Return the relative error of the figure that would show: 5 standard errors of what is expected."""
        return LIMIT * self.error / abs(self.expected) if self.expected else math.inf


def at_least(least: int, full: int, share: float) -> int:
    """Return how much of a full sample a run of that share takes."""
    return max(least, round(full * share))


def of_share(
    name: str, hits: float, trials: float, expected: float, source: str, sample: str, relation: str = "="
) -> Row:
    """Return the row of hits among independent trials; the standard error is that of the expected share."""
    error = math.sqrt(expected * (1.0 - expected) / trials)
    return Row(name, hits / trials, error, expected, source, sample, relation)

"""Circuits that have given less than is wanted of them for long: fidelity by tests, or time between pairs.

A circuit falls short while what telemetry estimates is below what is wanted by more than its error. One that
has for long is shown as degraded, with the figures of that instant, until it does not any more.
"""

import math
from collections.abc import Sequence

import msgspec

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.policy import CircuitSpec
from qstrata.fabric.messages.reports import CircuitReport

LONG_PS = 30 * PS_PER_S
"""Less than what is wanted for so long is a state, for shorter it may be chance; rare pairs take longer."""

MISSED = 7.0
"""Rare pairs are missed once none came for the time of so many: chance does that once in 1000 times."""

RATED_S = 10.0
"""Rates are those of so many seconds."""


class CircuitShortfalls:
    """Hold which circuits fall short, since when, and why."""

    def __init__(self) -> None:
        self._since_ps: dict[str, int] = {}
        self._reasons: dict[str, str] = {}

    def of(self, circuit: str) -> str:
        """Return why a circuit is degraded, empty where it is not."""
        return self._reasons.get(circuit, "")

    def follow(self, circuits: Sequence[CircuitSpec], reports: Sequence[CircuitReport], now: int) -> None:
        """Take telemetry's estimates in."""
        known = {report.circuit: report for report in reports}
        short = {
            spec.circuit: found
            for spec in circuits
            if (report := known.get(spec.circuit)) is not None and (found := shortfall(spec, report))
        }
        self._since_ps = {circuit: self._since_ps.get(circuit, now) for circuit in short}
        self._reasons = {
            circuit: self._reasons.get(circuit, found.text)
            for circuit, found in short.items()
            if now - self._since_ps[circuit] >= found.long_ps
        }


class Shortfall(msgspec.Struct, frozen=True):
    """Say what is less than wanted, and how long it has to be so until it is no chance."""

    text: str
    long_ps: int = LONG_PS


def shortfall(spec: CircuitSpec, report: CircuitReport) -> Shortfall | None:
    """Return what of a circuit is less than wanted by more than its error, None for nothing.

    Bits that the ends misread lower what tests find: the wanted fidelity is compared as they would find it.
    The error of a rate is that of a Poisson count.
    """
    found, error = report.fidelity, report.fidelity_error
    if found is not None and error is not None and found + error < as_tested(spec):
        return Shortfall(f"fidelity {found:.3f} +- {error:.3f} by tests, {spec.fidelity:g} is wanted")
    per_s = report.pairs_per_s
    if per_s + math.sqrt(per_s / RATED_S) < spec.pairs_per_s:
        long_ps = max(LONG_PS, round(MISSED / spec.pairs_per_s * PS_PER_S))
        return Shortfall(f"{per_s:.3g} pairs/s, {spec.pairs_per_s:.3g} are wanted", long_ps)
    return None


def as_tested(spec: CircuitSpec) -> float:
    """Return the wanted fidelity as tests find it, whose outcomes are misread at times; 0 for none wanted."""
    devices = spec.commissioned.devices if spec.commissioned is not None else ()
    ends = (devices[0], devices[-1]) if devices else ()
    read = math.prod(2.0 * end.readout_fidelity - 1.0 for end in ends)
    return (1.0 + (4.0 * spec.fidelity - 1.0) * read) / 4.0 if spec.fidelity else 0.0

"""What stations say of pairs, made into rates, and into a fidelity that measurements bear out.

Stations count since they started: what they add from sample to sample is kept, so that a station that starts
anew takes nothing back.
"""

import math
from collections import deque
from collections.abc import Collection, Sequence

from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.fabric.messages.reports import CircuitReport, PairLinkReport
from qstrata.fabric.messages.samples import SettingCount, SideSample, StationSample

RATE_PS = 10 * PS_PER_S
"""Rates are those of the last so many seconds."""

TESTS_PS = 60 * PS_PER_S
"""A fidelity is estimated from the tests of the last so many seconds."""

SETTINGS = ("xx", "yy", "zz", "zp", "zm", "xp", "xm")
"""The settings of head and tail whose outcomes are compared: axes, then those of CHSH."""
AXES = 3

_Counts = tuple[int, ...]


class Tally:
    """Counts that only one element adds to, as its samples tell them; kept for `keep_ps`."""

    def __init__(self, keep_ps: int) -> None:
        self._keep_ps = keep_ps
        self._since_ps = -1
        self._told: _Counts = ()
        self._rows: deque[tuple[int, _Counts]] = deque()

    def take(self, at_ps: int, since_ps: int, told: _Counts) -> None:
        """Take what an element that started at `since_ps` has counted up to an instant."""
        nothing = (0,) * len(told)
        known = self._told if since_ps == self._since_ps else nothing
        total = self.total or nothing
        self._since_ps, self._told = since_ps, told
        grown = tuple(old + new - less for old, new, less in zip(total, told, known, strict=True))
        self._rows.append((at_ps, grown))
        while len(self._rows) > 2 and self._rows[1][0] <= at_ps - self._keep_ps:
            self._rows.popleft()

    @property
    def at_ps(self) -> int:
        """Return the instant of the last sample, 0 without one."""
        return self._rows[-1][0] if self._rows else 0

    @property
    def total(self) -> _Counts:
        """Return all that was counted, empty without a sample."""
        return self._rows[-1][1] if self._rows else ()

    @property
    def recent(self) -> _Counts:
        """Return what was counted within `keep_ps` before the last sample, as far as samples go back."""
        return tuple(
            new - old for new, old in zip(self.total, self._rows[0][1] if self._rows else (), strict=True)
        )

    def per_second(self, index: int, now: int) -> float:
        """Return the rate of one count; that of an element that has fallen silent falls."""
        elapsed_ps = max(now - PS_PER_S, self.at_ps) - self._rows[0][0] if self._rows else 0
        return self.recent[index] / to_seconds(elapsed_ps) if elapsed_ps > 0 else 0.0


def of_settings(tests: Sequence[SettingCount]) -> _Counts:
    """Return pairs and sums of the settings of SETTINGS, in their order; 0 where they were not measured."""
    given = {test.settings: (test.pairs, test.total) for test in tests}
    return tuple(number for settings in SETTINGS for number in given.get(settings, (0, 0)))


def rows(counts: _Counts) -> list[tuple[int, int]]:
    """Return (pairs, sum of products) of each of SETTINGS."""
    return list(zip(counts[::2], counts[1::2], strict=True))


def chsh(tests: Sequence[tuple[int, int]]) -> tuple[float, float] | None:
    """Return the CHSH value and its standard error from (pairs, sum of products) of its four settings.

    The sum of four means; variances as in `estimate`. None before pairs of each setting were measured.
    """
    if not tests or not all(pairs for pairs, _ in tests):
        return None
    variance = math.fsum((1.0 - (total / (pairs + 2)) ** 2) / pairs for pairs, total in tests)
    return math.fsum(total / pairs for pairs, total in tests), math.sqrt(variance)


def estimate(tests: Sequence[tuple[int, int]]) -> tuple[float, float] | None:
    """Return fidelity and its standard error from (pairs, sum of products) of the axes x, y, z.

    F = (1 + t_xx + t_yy + t_zz)/4; the variance of each mean is (1 - t^2)/n, with one pair more of each sign
    than were seen, so that few pairs that all agree are not taken for certainty. None before pairs of every
    axis were measured.
    """
    if not tests or not all(pairs for pairs, _ in tests):
        return None
    means = [total / pairs for pairs, total in tests]
    variance = math.fsum((1.0 - (total / (pairs + 2)) ** 2) / pairs for pairs, total in tests)
    return (1.0 + math.fsum(means)) / 4.0, math.sqrt(variance) / 4.0


class PairBook:
    """Gather what stations of circuits tell, by link and by circuit."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str], StationSample] = {}
        self._links: dict[str, dict[str, Tally]] = {}
        self._ends: dict[str, dict[str, Tally]] = {}
        self._tests: dict[str, Tally] = {}

    def take(self, sample: StationSample) -> None:
        """Take a station's sample in."""
        self._samples[sample.circuit, sample.site] = sample
        since = sample.at_ps, sample.since_ps
        for side in sample.sides:
            tally = self._links.setdefault(side.link, {}).setdefault(sample.site, Tally(RATE_PS))
            tally.take(*since, (side.heralds, side.attempts, side.expired))
        if len(sample.sides) == 1:
            ends = self._ends.setdefault(sample.circuit, {})
            ends.setdefault(sample.site, Tally(RATE_PS)).take(*since, (sample.delivered, sample.kept))
        if sample.tests:
            tests = self._tests.setdefault(sample.circuit, Tally(TESTS_PS))
            tests.take(*since, of_settings(sample.tests))

    def keep(self, sources: Collection[tuple[str, str]]) -> None:
        """Forget all stations but those of these circuits and sites."""
        self._samples = {key: sample for key, sample in self._samples.items() if key in sources}
        links = {(side.link, site) for (_, site), row in self._samples.items() for side in row.sides}
        circuits = {circuit for circuit, _ in self._samples}
        for tallies, kept in ((self._links, links), (self._ends, set(self._samples))):
            for name, by_site in list(tallies.items()):
                for site in [site for site in by_site if (name, site) not in kept]:
                    del by_site[site]
                if not by_site:
                    del tallies[name]
        self._tests = {name: tally for name, tally in self._tests.items() if name in circuits}

    def links(self, now: int) -> tuple[PairLinkReport, ...]:
        """Report every link, by name."""
        return tuple(self._link(name, list(self._links[name].values()), now) for name in sorted(self._links))

    def circuits(self, now: int) -> tuple[CircuitReport, ...]:
        """Report every circuit, by name."""
        return tuple(self._circuit(name, list(self._ends[name].values()), now) for name in sorted(self._ends))

    def _link(self, name: str, ends: list[Tally], now: int) -> PairLinkReport:
        return PairLinkReport(
            link=name,
            at_ps=max(end.at_ps for end in ends),
            attempts_per_s=max(end.per_second(1, now) for end in ends),
            heralds_per_s=max(end.per_second(0, now) for end in ends),
            heralds=max(end.total[0] for end in ends),
            expired=max(end.total[2] for end in ends),
            held=tuple(
                site
                for _, site in sorted(self._samples)
                for _ in range(sum(side.held for side in self._sides(site, name)))
            ),
        )

    def _sides(self, site: str, link: str) -> list[SideSample]:
        rows = (row for (_, at), row in self._samples.items() if at == site)
        return [side for row in rows for side in row.sides if side.link == link]

    def _circuit(self, name: str, ends: list[Tally], now: int) -> CircuitReport:
        tally = self._tests.get(name)
        tests = rows(tally.recent) if tally is not None else []
        found, value = estimate(tests[:AXES]), chsh(tests[AXES:])
        both = len(ends) == 2
        return CircuitReport(
            circuit=name,
            at_ps=max(end.at_ps for end in ends),
            delivered=min(end.total[0] for end in ends) if both else 0,
            pairs_per_s=min(end.per_second(0, now) for end in ends) if both else 0.0,
            kept=min(end.total[1] for end in ends) if both else 0,
            tested=sum(pairs for pairs, _ in tests),
            fidelity=None if found is None else found[0],
            fidelity_error=None if found is None else found[1],
            chsh=None if value is None else value[0],
            chsh_error=None if value is None else value[1],
            errors_z=_errors(tests[2]) if tests else None,
            errors_x=_errors(tests[0]) if tests else None,
        )


def _errors(test: tuple[int, int]) -> float | None:
    pairs, total = test
    return (pairs - total) / (2 * pairs) if pairs else None

"""The watch over one circuit: what its tests say, window by window, held against it as commissioned.

A window is judged after every sample of the head, and ends once PASS_TESTS pairs were compared and PASS_PS
have passed. It passes if nothing was found. The suspect window runs from the pair after the last window that
passed; a suspicion ends with a whole window that passes after it. An alarm is raised on pairs that are worse
than commissioned, never on better ones.

How old halves are when they are used is taken from all stations' own counts. Before all have been heard
nothing is judged, and no window ends; of a station that falls silent later the last window counts in which it
was heard, so that silence hides no attack. What a station had counted before it is first heard is not judged;
the first window reaches back to its pairs all the same, for nobody knows of one before that passed.
"""

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.reports import Evidence, PairSuspicion
from qstrata.fabric.messages.samples import StationSample
from qstrata.physics.bell import BellDiagonal
from qstrata.physics.circuits import least_state
from qstrata.physics.pair_attacks import PairCounts, is_worse, pair_findings
from qstrata.physics.pair_parameters import CommissionedCircuit
from qstrata.strata.forwarding.telemetry.pairs import AXES, Tally, of_settings, rows

PASS_TESTS = 1000
"""A window that passes has compared at least so many pairs."""

PASS_PS = 60 * PS_PER_S
"""A window that passes took at least so long."""


class CircuitWatch:
    """Watch one circuit with the stations of `sites`, known as it was commissioned."""

    def __init__(self, circuit: str, sites: tuple[str, ...], commissioned: CommissionedCircuit) -> None:
        self.circuit = circuit
        self.sites = sites
        self.commissioned = commissioned
        self.suspicion: PairSuspicion | None = None
        self.windows_passed = 0
        self._used = {site: Tally(0) for site in sites}
        self._head = Tally(0)
        self._last_pair = self._passed_pair = ""
        self._kept_passed = 0
        self._found = False
        self._ages: dict[str, float] = {}
        self._begin(0)

    def _begin(self, now: int) -> None:
        self._since_ps = now
        self._found = False
        self._used_before = {site: tally.total for site, tally in self._used.items()}
        self._head_before = self._head.total

    def take(self, sample: StationSample, now: int) -> bool:
        """Take a station's sample in, and tell whether what it leads to suspect has changed."""
        if sample.site not in self._used:
            return False
        since = sample.at_ps, sample.since_ps
        used = self._used[sample.site]
        is_first = not used.total
        used.take(*since, (sample.used, sample.age_ps))
        if is_first:
            self._used_before[sample.site] = used.total
        if not sample.tests:
            return False
        self._head.take(*since, (sample.kept, *of_settings(sample.tests)))
        if is_first:
            self._head_before, self._since_ps = self._head.total, now
        self._last_pair = sample.last_pair or self._last_pair
        before = self.suspicion
        self._judge(now)
        return before != self.suspicion

    def _judge(self, now: int) -> None:
        expected = self._expected()
        if expected is None:
            return
        _, *tests = _grown(self._head.total, self._head_before)
        counts = _counts(tuple(tests))
        found = [reading for reading in pair_findings(counts, expected) if is_worse(reading)]
        if found:
            evidence = tuple(
                Evidence(each.instrument, each.observed, each.expected, each.false_alarm) for each in found
            )
            self._found = True
            self._suspect(evidence, now)
        compared = sum(tests[::2])
        if compared >= PASS_TESTS and now >= self._since_ps + PASS_PS:
            self._end(now)

    def _suspect(self, evidence: tuple[Evidence, ...], now: int) -> None:
        known = self.suspicion
        self.suspicion = PairSuspicion(
            circuit=self.circuit,
            after_pair=known.after_pair if known else self._passed_pair,
            last_pair=self._last_pair,
            exposed=self._head.total[0] - self._kept_passed,
            raised_ps=known.raised_ps if known else now,
            evidence=evidence,
        )

    def _end(self, now: int) -> None:
        if not self._found:
            self.windows_passed += 1
            self._passed_pair, self._kept_passed = self._last_pair, self._head.total[0]
            self.suspicion = None
        self._begin(now)

    def _expected(self) -> BellDiagonal | None:
        """Return what pairs should be at least; None before every station has told of halves it used."""
        for site, tally in self._used.items():
            used, age_ps = _grown(tally.total, self._used_before[site]) or (0, 0)
            if used:
                self._ages[site] = age_ps / used
            elif site not in self._ages:
                return None
        return least_state(self.commissioned, [self._ages[site] for site in self.sites])


def _grown(total: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(new - old for new, old in zip(total, before or (0,) * len(total), strict=True))


def _counts(tests: tuple[int, ...]) -> PairCounts:
    """Return trials and hits of every test: games won, or errors along an axis."""
    found = rows(tests)
    games = sum(pairs for pairs, _ in found[AXES:])
    won = sum((pairs + total) // 2 for pairs, total in found[AXES:])
    x, y, z = ((float(pairs), (pairs - total) / 2.0) for pairs, total in found[:AXES])
    return PairCounts((float(games), float(won)), z, x, y)


def window_in_words(suspicion: PairSuspicion) -> str:
    """Return which pairs a suspicion is about, for operators."""
    first = f"after {suspicion.after_pair}" if suspicion.after_pair else "from the first"
    return f"pairs {first} to {suspicion.last_pair}, {suspicion.exposed} of them kept"

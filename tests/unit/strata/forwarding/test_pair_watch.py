"""The watch over a circuit: which pairs are suspected, on what evidence, and when they are trusted again."""

import math

from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.samples import SettingCount, StationSample
from qstrata.physics.bell import BellDiagonal, werner
from qstrata.physics.circuits import least_state
from qstrata.physics.pair_attacks import PAIR_ERRORS, substituted
from qstrata.physics.pair_link import DeviceParameters, PairLinkParameters
from qstrata.physics.pair_parameters import CommissionedCircuit
from qstrata.strata.forwarding.telemetry.pair_watch import PASS_PS, PASS_TESTS, CircuitWatch, window_in_words

LINK = PairLinkParameters(length_km=10.0, loss_db=2.0, fidelity=0.98)
COMMISSIONED = CommissionedCircuit(links=(LINK, LINK), devices=(DeviceParameters(),) * 3)
HONEST = least_state(COMMISSIONED, (0.0, 0.0, 0.0))
SITES = ("a", "b", "c")
SHARES = {"xx": 3, "yy": 2, "zz": 3, "zp": 1.5, "zm": 1.5, "xp": 1.5, "xm": 1.5}
SECOND = 32
"""So many pairs are tested in a second, 14 of them in settings that are compared."""


class Line:
    """A circuit whose stations tell once a second what they have counted."""

    def __init__(self, seed: int = 1) -> None:
        self.watch = CircuitWatch("c1", SITES, COMMISSIONED)
        self.generator = stream(seed, "pairs")
        self.counts = {name: [0, 0] for name in SHARES}
        self.second = self.kept = 0

    def run(self, seconds: int, state: BellDiagonal = HONEST, silent: str = "", kept: int = 2) -> None:
        means = {"xx": state.xx, "yy": state.yy, "zz": state.zz}
        for name in ("zp", "zm", "xp", "xm"):
            means[name] = means[name[0] * 2] * math.sqrt(0.5)
        for _ in range(seconds):
            self.second += 1
            self.kept += kept
            for name, share in SHARES.items():
                pairs = int(self.generator.binomial(SECOND, share / 32))
                won = int(self.generator.binomial(pairs, (1 + means[name]) / 2))
                self.counts[name][0] += pairs
                self.counts[name][1] += 2 * won - pairs
            for site in SITES:
                if site != silent:
                    self.watch.take(self._sample(site), self.second * PS_PER_S)

    def _sample(self, site: str) -> StationSample:
        tests = tuple(SettingCount(name, *count) for name, count in self.counts.items())
        return StationSample(
            site=site,
            circuit="c1",
            since_ps=0,
            at_ps=self.second * PS_PER_S,
            sides=(),
            delivered=0,
            tests=tests if site == "a" else (),
            kept=self.kept,
            last_pair=f"a-b/{self.second * (SECOND + 2)}",
            used=self.second * SECOND * (2 if site == "b" else 1),
            age_ps=0,
        )


def test_honest_pairs_pass_window_after_window():
    line = Line()
    seconds = 100 * PASS_TESTS // 14
    line.run(seconds)
    assert line.watch.suspicion is None
    # A window ends with a sample: it takes up to a second more than it must.
    assert 95 <= line.watch.windows_passed <= seconds * 14 / PASS_TESTS


def test_a_window_takes_a_minute_at_least():
    line = Line()
    line.run(PASS_PS // PS_PER_S - 1)
    assert line.watch.windows_passed == 0
    line.run(20)
    assert line.watch.windows_passed == 1


def test_suspicion_names_the_pairs_since_the_last_window_that_passed_and_those_kept():
    line = Line()
    line.run(100)
    assert line.watch.windows_passed == 1
    line.run(30, substituted(HONEST, 0.9))
    suspicion = line.watch.suspicion
    assert suspicion is not None
    assert suspicion.evidence[0].instrument == PAIR_ERRORS
    assert all(each.false_alarm <= 1e-9 for each in suspicion.evidence)
    first, last = (int(name.rpartition("/")[2]) for name in (suspicion.after_pair, suspicion.last_pair))
    assert last == 130 * (SECOND + 2)
    assert suspicion.exposed == 2 * (last - first) // (SECOND + 2)
    assert 100 * PS_PER_S < suspicion.raised_ps <= 115 * PS_PER_S
    words = f"pairs after a-b/{first} to a-b/{last}, {suspicion.exposed} of them kept"
    assert window_in_words(suspicion) == words


def test_suspicion_ends_with_a_whole_window_that_passes():
    line = Line()
    line.run(90, substituted(HONEST, 0.9))
    assert line.watch.suspicion is not None
    assert line.watch.suspicion.after_pair == ""
    line.run(60)
    assert line.watch.suspicion is not None
    line.run(100)
    assert line.watch.suspicion is None
    assert line.watch.windows_passed >= 1


def test_better_pairs_than_commissioned_raise_no_alarm():
    line = Line()
    line.run(300, werner(1.0))
    assert line.watch.suspicion is None


def test_a_station_that_falls_silent_hides_no_attack():
    line = Line()
    line.run(100)
    assert line.watch.windows_passed == 1
    line.run(100, silent="b")
    assert line.watch.suspicion is None
    assert line.watch.windows_passed == 2
    line.run(60, substituted(HONEST, 0.9), silent="b")
    assert line.watch.suspicion is not None


def test_nothing_is_judged_and_no_window_passes_before_every_station_was_heard():
    line = Line()
    line.run(200, substituted(HONEST, 1.0), silent="b")
    assert line.watch.suspicion is None
    assert line.watch.windows_passed == 0
    line.run(3, substituted(HONEST, 1.0))
    assert line.watch.suspicion is not None


def test_a_watch_that_begins_anew_judges_what_comes_after_and_reaches_back_to_the_first_pair():
    line = Line()
    line.run(200)
    line.watch = CircuitWatch("c1", SITES, COMMISSIONED)
    line.run(10)
    assert line.watch.windows_passed == 0
    line.run(40, substituted(HONEST, 0.9))
    assert line.watch.suspicion is not None
    assert line.watch.suspicion.after_pair == ""
    assert line.watch.suspicion.exposed == line.kept

"""What telemetry makes of stations' counts: rates, and a fidelity that measurements bear out."""

import math

import numpy as np
import pytest

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.samples import SettingCount, SideSample, StationSample
from qstrata.physics import bell
from qstrata.strata.forwarding.telemetry.pairs import SETTINGS, PairBook, chsh, estimate


def sample(site, at_s, delivered, tests=(), *, since_s=0, heralds=0, held=False):
    return StationSample(
        site=site,
        circuit="a-b",
        since_ps=since_s * PS_PER_S,
        at_ps=at_s * PS_PER_S,
        sides=(SideSample("a-b", 10 * heralds, heralds, 0, held),),
        delivered=delivered,
        tests=tuple(SettingCount(name, *row) for name, row in zip(SETTINGS, tests, strict=False)),
    )


def test_rates_are_those_of_the_last_ten_seconds_and_fall_when_nobody_is_heard():
    book = PairBook()
    for at_s in range(40):
        for site in ("a", "b"):
            book.take(sample(site, at_s, delivered=max(0, 5 * (at_s - 20)), heralds=8 * at_s))
    (circuit,), (link,) = book.circuits(39 * PS_PER_S), book.links(39 * PS_PER_S)
    assert circuit.pairs_per_s == pytest.approx(5.0)
    assert (link.heralds_per_s, link.attempts_per_s) == pytest.approx((8.0, 80.0))
    (later,) = book.circuits(49 * PS_PER_S)
    assert later.pairs_per_s < 3.0


def test_samples_of_one_instant_give_no_rate():
    book = PairBook()
    for site in ("a", "a", "b", "b"):
        book.take(sample(site, 1, 5))
    assert book.circuits(PS_PER_S)[0].pairs_per_s == 0.0


def test_a_station_that_starts_anew_takes_no_pair_back():
    book = PairBook()
    for at_s, since_s, delivered in ((1, 0, 100), (2, 2, 0), (3, 2, 40)):
        book.take(sample("a", at_s, delivered, since_s=since_s))
        book.take(sample("b", at_s, 500))
    assert book.circuits(3 * PS_PER_S)[0].delivered == 140


def test_delivered_is_what_both_ends_had_and_stored_pairs_are_told_by_node():
    book = PairBook()
    book.take(sample("a", 1, 7, held=True))
    assert book.circuits(PS_PER_S)[0].delivered == 0
    book.take(sample("b", 1, 5))
    assert book.circuits(PS_PER_S)[0].delivered == 5
    assert book.links(PS_PER_S)[0].held == ("a",)


def test_no_fidelity_is_told_before_every_axis_was_measured():
    assert estimate(()) is None
    assert estimate(((10, 10), (0, 0), (10, 10))) is None
    assert estimate(((10, 10), (10, 10), (10, 10)))[0] == 1.0


def test_estimated_fidelity_and_error_are_those_of_the_measured_werner_pairs():
    w, pairs = bell.werner(0.9).xx, 30_000
    draws = np.random.Generator(np.random.PCG64(4))
    found = [
        estimate([(n, 2 * int(draws.binomial(n, (1 + w) / 2)) - n) for n in (pairs, pairs, pairs)])
        for _ in range(40)
    ]
    error = math.sqrt(3 * (1 - w * w) / pairs) / 4
    assert np.mean([value for value, _ in found]) == pytest.approx(0.9, abs=5 * error / math.sqrt(40))
    assert np.mean([told for _, told in found]) == pytest.approx(error, rel=0.01)
    assert np.std([value for value, _ in found]) == pytest.approx(error, rel=5 / math.sqrt(80))


def test_chsh_of_werner_pairs_is_two_root_two_w_and_its_error_that_of_four_means():
    w, pairs = bell.werner(0.9).xx, 30_000
    mean = w / math.sqrt(2)
    draws = np.random.Generator(np.random.PCG64(5))
    found = [
        chsh([(pairs, 2 * int(draws.binomial(pairs, (1 + mean) / 2)) - pairs) for _ in range(4)])
        for _ in range(40)
    ]
    error = math.sqrt(4 * (1 - mean * mean) / pairs)
    expected = 2 * math.sqrt(2) * w
    assert np.mean([value for value, _ in found]) == pytest.approx(expected, abs=5 * error / math.sqrt(40))
    assert np.mean([told for _, told in found]) == pytest.approx(error, rel=0.01)


def test_a_circuit_tells_chsh_and_error_rates_of_the_pairs_that_both_ends_measured():
    book = PairBook()
    tests = [(100, 90), (50, 40), (200, 160), *[(100, 70)] * 4]
    for site, told in (("a", ()), ("b", ())):
        book.take(sample(site, 1, 0, told))
    book.take(sample("a", 1, 0, [(0, 0)] * 7))
    book.take(sample("a", 2, 1000, tests))
    (circuit,) = book.circuits(2 * PS_PER_S)
    assert circuit.chsh == pytest.approx(2.8)
    assert (circuit.errors_x, circuit.errors_z) == pytest.approx((0.05, 0.1))
    assert circuit.tested == 750

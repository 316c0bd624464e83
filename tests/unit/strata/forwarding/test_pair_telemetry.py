"""What telemetry makes of stations' counts: rates, and a fidelity that measurements bear out."""

import math

import numpy as np
import pytest

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.samples import AxisCount, SideSample, StationSample
from qstrata.physics import bell
from qstrata.strata.forwarding.resource.pair_tests import AXES, axis_of_test
from qstrata.strata.forwarding.telemetry.pairs import PairBook, estimate


def sample(site, at_s, delivered, tests=(), *, since_s=0, heralds=0, held=False):
    return StationSample(
        site=site,
        circuit="a-b",
        since_ps=since_s * PS_PER_S,
        at_ps=at_s * PS_PER_S,
        sides=(SideSample("a-b", 10 * heralds, heralds, 0, held),),
        delivered=delivered,
        tests=tuple(AxisCount(axis, *counts) for (axis, _, _), counts in zip(AXES, tests, strict=False)),
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


def test_a_share_of_the_pairs_is_tested_alike_along_all_axes():
    axes = [axis_of_test(f"a-b/{number}", 0.3) for number in range(30_000)]
    tested = [axis for axis in axes if axis is not None]
    assert len(tested) / len(axes) == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / 30_000))
    for axis in range(3):
        share = tested.count(axis) / len(tested)
        assert share == pytest.approx(1 / 3, abs=5 * math.sqrt(2 / 9 / len(tested)))
    assert {axis_of_test(f"a-b/{number}", 0.0) for number in range(100)} == {None}
    assert None not in {axis_of_test(f"a-b/{number}", 1.0) for number in range(100)}

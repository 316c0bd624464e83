"""Tests of pairs at the ends: what is drawn, and that outcomes are counted as quantum theory has them."""

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest

from qstrata.core.randomness import stream
from qstrata.physics import density
from qstrata.physics.bell import BellState, werner
from qstrata.strata.forwarding.resource.entangler import EndPair
from qstrata.strata.forwarding.resource.pair_tests import (
    COMPARED,
    DIRECTIONS,
    HEAD,
    SETTINGS,
    TAIL,
    TESTS_KEPT,
    PairTests,
    wanted_sign,
)
from tests.simulation.pair_power import AXES, ON_AXES

AXIS = {"x": 1, "y": 2, "z": 3}


def correlation(frame: BellState, head: str, tail: str) -> float:
    """Return the mean product of outcomes of a Bell state, by its exact state."""
    state = density.pair(werner(1.0, frame))
    one, other = (np.array([0.0, *density.direction(*DIRECTIONS[each])]) for each in (head, tail))
    return float(one @ state @ other)


@pytest.mark.parametrize("frame", list(BellState))
def test_compared_settings_are_the_correlated_ones_and_have_their_signs(frame):
    for head, tail in product("xyz", SETTINGS):
        mean = correlation(frame, head, tail)
        if head + tail in COMPARED:
            wanted = 1.0 if tail in AXIS else math.sqrt(0.5)
            assert mean * wanted_sign(head + tail, EndPair("p", 0, frame, 0)) == pytest.approx(wanted)
        else:
            assert mean == pytest.approx(0.0, abs=1e-12)


def ends(share: float = 1.0) -> tuple[PairTests, PairTests]:
    return PairTests(share, HEAD, stream(1, "head")), PairTests(share, TAIL, stream(1, "tail"))


def test_a_share_of_the_pairs_is_tested_and_nothing_in_their_names_says_which():
    head, again = PairTests(0.3, HEAD, stream(1, "a")), PairTests(0.3, HEAD, stream(2, "a"))
    drawn = [(head.draw(), again.draw()) for _ in range(30_000)]
    for run in zip(*drawn, strict=True):
        assert sum(run) / 30_000 == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / 30_000))
    both = sum(one and other for one, other in drawn) / 30_000
    assert both == pytest.approx(0.09, abs=5 * math.sqrt(0.09 * 0.91 / 30_000))
    assert not any(PairTests(0.0, HEAD, stream(1, "b")).draw() for _ in range(100))


def test_each_end_draws_its_own_settings_as_often_as_predicted():
    head, tail = ends()
    pairs, drawn = 20_000, Counter()
    for number in range(pairs):
        pair = EndPair(f"l/{number}", 0, BellState.PHI_PLUS, 0)
        head.begin(pair)
        tail.begin(pair)
        drawn[SETTINGS[head.measured(pair.name, 0)[0]] + SETTINGS[tail.measured(pair.name, 0)[0]]] += 1
        head.forget(pair.name)
        tail.forget(pair.name)
    for one, other in product(set(HEAD), set(TAIL)):
        share = HEAD.count(one) * TAIL.count(other) / 64
        assert drawn[one + other] / pairs == pytest.approx(share, abs=5 * math.sqrt(share / pairs))
    on_axes = {axis: HEAD.count(axis) * TAIL.count(axis) / 64 for axis in AXES}
    assert sum(on_axes.values()) == ON_AXES
    assert {axis: share / ON_AXES for axis, share in on_axes.items()} == AXES


def test_outcomes_count_once_both_are_known_whichever_comes_first():
    head, _ = ends()
    heard = 0
    for number in range(200):
        pair = EndPair(f"l/{number}", 0, BellState.PSI_MINUS, 0)
        if number % 2:
            head.hear(pair.name, SETTINGS.index("z"), 1)
        head.begin(pair)
        setting, _ = head.measured(pair.name, 0)
        if not number % 2:
            head.hear(pair.name, SETTINGS.index("z"), 1)
        heard += SETTINGS[setting] == "z"
    counts = {row.settings: (row.pairs, row.total) for row in head.counts()}
    # Along z the singlet's outcomes differ: each counts as 1.
    assert counts["zz"] == (heard, heard)
    assert sum(pairs for pairs, _ in counts.values()) == heard


def test_tests_whose_other_half_never_comes_are_forgotten():
    head, _ = ends()
    for number in range(TESTS_KEPT + 1):
        head.begin(EndPair(f"l/{number}", 0, BellState.PHI_PLUS, 0))
        head.hear(f"m/{number}", 0, 0)
    assert head.waits_for("l/0") is None
    assert head.waits_for("l/1") is not None
    assert head.forget("l/1")
    assert not head.forget("l/1")

"""What distilling ends leave of pairs: rounds counted by hand, and by following single pairs."""

import math

import pytest

from qstrata.core.randomness import stream
from qstrata.physics import bell
from qstrata.physics.bell import BellDiagonal, werner
from qstrata.physics.entanglement_distillation import Distillation, distil
from qstrata.planes.pair_expectation import Expectation
from qstrata.planes.pair_pumping import EndPumping, pumped
from qstrata.planes.pair_routes import PairNodeView

ROUND_S = 0.01
STILL = PairNodeView(node="a", cells=2)
RAW = werner(0.8)


def pumping(rounds, cutoff_s=math.inf, protocol=Distillation.BBPSSW):
    return EndPumping(protocol=protocol, rounds=rounds, round_s=ROUND_S, cutoff_s=cutoff_s)


def test_two_pairs_of_a_pair_a_round_make_the_published_one():
    found = pumped(Expectation(100.0, RAW), pumping(1), (STILL, STILL))
    assert found.fidelity == pytest.approx(0.838150, abs=5e-7)
    assert found.rate_per_s == pytest.approx(0.768889 / (2 * ROUND_S), rel=1e-5)


def test_each_round_spends_one_pair_more():
    found = pumped(Expectation(100.0, RAW), pumping(2, protocol=Distillation.DEJMPS), (STILL, STILL))
    first = distil(Distillation.DEJMPS, RAW, RAW)
    second = distil(Distillation.DEJMPS, first.pair, RAW)
    assert found.fidelity == pytest.approx(bell.fidelity(second.pair))
    spent = (2 / first.probability + 1) / second.probability
    assert found.rate_per_s == pytest.approx(1 / (spent * ROUND_S))


def test_a_long_cutoff_is_none():
    ends = PairNodeView(node="a", cells=2, xy_per_s=0.5, z_per_s=0.2), STILL
    without = pumped(Expectation(20.0, RAW), pumping(3), ends)
    found = pumped(Expectation(20.0, RAW), pumping(3, 15.0), ends)
    assert found.rate_per_s == pytest.approx(without.rate_per_s, rel=1e-6)
    assert found.fidelity == pytest.approx(without.fidelity, rel=1e-6)


def test_no_pair_outlives_a_cutoff_of_less_than_a_round():
    assert pumped(Expectation(100.0, RAW), pumping(1, 0.009), (STILL, STILL)).rate_per_s == 0.0
    assert pumped(Expectation(100.0, RAW, age_s=0.002), pumping(1, 0.011), (STILL, STILL)).rate_per_s == 0.0


def test_a_cutoff_leaves_what_pairs_followed_one_by_one_leave():
    """Of 4000 tries the rate is known to 2 %, and the mean fidelity to less."""
    fresh, most, decays = 0.3, 4, 5.0
    ends = (PairNodeView(node="a", cells=2, xy_per_s=decays, z_per_s=decays),) * 2
    found = pumped(Expectation(fresh / ROUND_S, RAW), pumping(1, (most + 0.5) * ROUND_S), ends)
    draws, rounds, made = stream(1, "pumping"), 0, []
    for _ in range(4000):
        rounds += int(draws.geometric(fresh))
        waited = int(draws.geometric(fresh))
        rounds += min(waited, most)
        if waited > most:
            continue
        kept = math.exp(-2 * decays * ROUND_S * waited)
        got = distil(Distillation.BBPSSW, BellDiagonal(*(kept * w for w in (RAW.xx, RAW.yy, RAW.zz))), RAW)
        if draws.random() < got.probability:
            made.append(bell.fidelity(got.pair))
    assert found.rate_per_s == pytest.approx(len(made) / (rounds * ROUND_S), rel=5 * 1.5 / math.sqrt(4000))
    assert found.fidelity == pytest.approx(sum(made) / len(made), abs=0.003)

"""What a path is expected to give, held against closed forms of the literature and samples of the chain."""

import math

import numpy as np
import pytest

from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.physics import chain
from qstrata.physics.bell import chain_fidelity, werner
from qstrata.physics.memories import MemoryParameters, rates_per_ps
from qstrata.physics.waiting import mean_attempts_of_all, mean_attempts_with_cutoff
from qstrata.planes.pair_expectation import expect
from qstrata.planes.pair_routes import PairLinkView, PairNetwork, PairNodeView, PairPath, Resources

ATTEMPT_S = 1e-4


def line(probabilities, fidelity=0.98, memory=None, **node):
    """Return a chain of links of these probabilities, and its path."""
    xy, z = (rate * PS_PER_S for rate in rates_per_ps(memory or MemoryParameters()))
    w = werner(fidelity).xx
    sites = tuple(f"n{at}" for at in range(len(probabilities) + 1))
    links = tuple(
        PairLinkView(
            link=f"l{at}",
            a=sites[at],
            b=sites[at + 1],
            length_km=10.0,
            loss_db=2.0,
            probability=p,
            attempt_s=ATTEMPT_S,
            herald_s=ATTEMPT_S,
            xx=w,
            yy=w,
            zz=w,
        )
        for at, p in enumerate(probabilities)
    )
    nodes = tuple(PairNodeView(node=site, cells=2, xy_per_s=xy, z_per_s=z, **node) for site in sites)
    return Resources(PairNetwork(links, nodes)), PairPath(sites, tuple(link.link for link in links))


@pytest.mark.parametrize("hops", [1, 2, 3, 6])
@pytest.mark.parametrize("probability", [0.001, 0.01])
def test_equal_hops_wait_as_long_as_the_closed_form_says(hops, probability):
    resources, path = line([probability] * hops)
    asked_per_s = 1e9 / ATTEMPT_S  # so often that no waiting for the next instant counts
    expected = 1.0 / (mean_attempts_of_all(hops, probability) * ATTEMPT_S)
    assert expect(resources, path, asked_per_s).rate_per_s == pytest.approx(expected, rel=0.006)


def test_hops_that_differ_wait_for_the_slowest_as_two_exponentials_do():
    resources, path = line([0.001, 0.004])
    one, other = 0.001 / ATTEMPT_S, 0.004 / ATTEMPT_S
    expected = 1.0 / (1.0 / one + 1.0 / other - 1.0 / (one + other))
    assert expect(resources, path, 1e9).rate_per_s == pytest.approx(expected, rel=0.005)


def test_pairs_come_at_whole_rounds():
    resources, path = line([0.5])
    assert expect(resources, path, 20.0).rate_per_s == pytest.approx(20.0)
    slow, path = line([0.001])
    late = math.exp(-0.05 / (ATTEMPT_S / 0.001))
    assert expect(slow, path, 20.0).rate_per_s == pytest.approx(20.0 * (1.0 - late), rel=0.002)


def test_swaps_multiply_werner_parameters_and_noise():
    resources, path = line([0.1] * 3)
    assert expect(resources, path, 1.0).fidelity == pytest.approx(chain_fidelity(0.98, 3))
    noisy, path = line([0.1] * 3, gate_reliability=0.97, readout_fidelity=0.99)
    w, bit = werner(0.98).xx ** 3, 0.98
    expected = (1.0 + 2.0 * w * (0.97 * bit) ** 2 + w * (0.97 * bit * bit) ** 2) / 4.0
    assert expect(noisy, path, 1.0).fidelity == pytest.approx(expected)


def test_two_hops_give_what_a_sampled_chain_gives():
    """Of 200000 sampled pairs the rate is known to 0.3 %, five times over."""
    memory = MemoryParameters(depolarising_s=0.5)
    probability = 0.01
    resources, path = line([probability] * 2, memory=memory)
    hop = chain.Hop(
        probability=probability,
        state=werner(0.98),
        cycle_ps=round(ATTEMPT_S * PS_PER_S),
        herald_ps=round(ATTEMPT_S * PS_PER_S),
        travel_ps=0,
    )
    made = chain.run(chain.Chain(hops=(hop, hop), memory=memory), 200_000, stream(1, "routes"))
    got = expect(resources, path, 1e9)
    sampled_per_s = len(made.delivered_ps) / (made.delivered_ps[-1] / PS_PER_S)
    assert got.rate_per_s == pytest.approx(sampled_per_s, rel=0.01)
    mean = float(np.mean(made.fidelity))
    assert got.fidelity <= mean
    assert got.fidelity == pytest.approx(mean, abs=0.003)


def test_nothing_comes_of_a_link_that_heralds_nothing():
    resources, path = line([0.1, 0.0])
    assert expect(resources, path, 10.0).rate_per_s == 0.0


@pytest.mark.parametrize("attempts", [50, 500])
def test_two_hops_with_a_cutoff_come_as_often_as_the_closed_form_says(attempts):
    probability = 0.005
    resources, path = line([probability] * 2)
    # The herald's own travel is part of the cut-off, so that so many attempts are left to wait.
    cutoff_s = (attempts + 1) * ATTEMPT_S
    expected = 1.0 / (mean_attempts_with_cutoff(probability, attempts) * ATTEMPT_S)
    assert expect(resources, path, 1e9, cutoff_s).rate_per_s == pytest.approx(expected, rel=0.02)


def test_a_shorter_cutoff_makes_better_pairs_and_fewer():
    resources, path = line([0.01] * 3, memory=MemoryParameters(depolarising_s=0.05))
    found = [expect(resources, path, 100.0, cutoff_s) for cutoff_s in (math.inf, 0.02, 0.005, 0.001)]
    assert [each.fidelity for each in found] == sorted(each.fidelity for each in found)
    assert [each.rate_per_s for each in found] == sorted((each.rate_per_s for each in found), reverse=True)

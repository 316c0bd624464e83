import math

import numpy as np
import pytest

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream
from qstrata.physics import heralding, waiting

SAMPLES = 1_000_000


def test_two_clicks_go_with_both_arms_and_one_click_with_one():
    assert heralding.barrett_kok(0.3, 0.2).probability == pytest.approx(0.03)
    weak = heralding.single_click(0.01, 1e-3)
    assert weak.probability == pytest.approx(2 * 0.01 * 1e-3, rel=1e-3)
    assert weak.fidelity == pytest.approx(0.99, rel=1e-3)


def test_single_click_counts_what_an_enumeration_of_photons_counts():
    a, eta = 0.2, 0.6
    # One memory bright: one photon arrives. Both: at least one of two arrives, and both stay bright.
    one, both = 2 * a * (1 - a) * eta, a * a * (1 - (1 - eta) ** 2)
    given = heralding.single_click(a, eta)
    assert given.probability == pytest.approx(one + both)
    assert given.fidelity == pytest.approx(one / (one + both))


@pytest.mark.parametrize("arm", [-0.1, 1.1, math.nan])
def test_an_efficiency_outside_its_range_is_refused(arm):
    with pytest.raises(InputError, match="efficiency"):
        heralding.barrett_kok(arm, 0.5)
    with pytest.raises(InputError, match="efficiency"):
        heralding.single_click(0.1, arm)


@pytest.mark.parametrize("probability", [0.0, 1.5])
def test_attempts_of_no_probability_are_refused(probability):
    with pytest.raises(InputError, match="success probability"):
        heralding.attempts_until_success(stream(1), probability, 1)


@pytest.mark.parametrize("probability", [0.7, 0.1, 1e-4])
def test_skipped_attempts_are_geometric(probability):
    drawn = heralding.attempts_until_success(stream(1, "geometric"), probability, SAMPLES)
    deviation = math.sqrt(1 - probability) / probability
    assert drawn.min() >= 1
    assert drawn.mean() == pytest.approx(1 / probability, abs=5 * deviation / math.sqrt(SAMPLES))
    at_once = (drawn == 1).mean()
    error = math.sqrt(probability * (1 - probability) / SAMPLES)
    assert at_once == pytest.approx(probability, abs=5 * error)


def test_certain_success_takes_one_attempt():
    assert heralding.attempts_until_success(stream(1), 1.0, 3).tolist() == [1, 1, 1]


def test_waiting_for_two_links_has_the_worked_value():
    assert waiting.mean_attempts_of_all(2, 0.1) == pytest.approx(14.736842, abs=5e-7)
    assert waiting.mean_attempts_of_all(2, 0.1) == pytest.approx((3 - 0.2) / (0.1 * 1.9))


@pytest.mark.parametrize("links", [1, 3, 8, 20])
def test_waiting_for_all_links_is_the_mean_of_the_largest(links):
    probability = 0.05
    # E[max] as the sum of P(max > t), an independent way to the same number.
    tail = 1 - (1 - 0.95 ** np.arange(5000)) ** links
    assert waiting.mean_attempts_of_all(links, probability) == pytest.approx(tail.sum(), rel=1e-10)


def test_a_cutoff_that_never_cuts_changes_nothing_and_one_attempt_needs_both_at_once():
    assert waiting.mean_attempts_with_cutoff(0.1, 10_000) == pytest.approx(
        waiting.mean_attempts_of_all(2, 0.1)
    )
    assert waiting.mean_attempts_with_cutoff(1.0, 1) == 1.0


def test_waiting_with_a_cutoff_is_that_of_a_run():
    probability, cutoff = 0.1, 5
    random = np.random.default_rng(7)
    found = []
    for _ in range(40_000):
        total = 0
        while True:
            a, b = random.geometric(probability, 2)
            if abs(a - b) <= cutoff:
                found.append(total + max(a, b))
                break
            total += min(a, b) + cutoff
    error = np.std(found) / math.sqrt(len(found))
    assert np.mean(found) == pytest.approx(
        waiting.mean_attempts_with_cutoff(probability, cutoff), abs=5 * error
    )


@pytest.mark.parametrize("links", [0, 21])
def test_a_number_of_links_beyond_the_closed_form_is_refused(links):
    with pytest.raises(InputError, match="1 to 20"):
        waiting.mean_attempts_of_all(links, 0.5)


def test_a_cutoff_of_no_attempts_is_refused():
    with pytest.raises(InputError, match="at least 1"):
        waiting.mean_attempts_with_cutoff(0.5, 0)

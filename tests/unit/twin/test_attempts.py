"""A pair is what its link was when its photons met, whatever becomes of the link before the herald."""

import numpy as np
import pytest

from qstrata.physics.density import bell_fidelity
from qstrata.physics.pair_link import PairLinkParameters, heralding
from qstrata.twin.attempts import Attempt, LinkAttempts

LINK = PairLinkParameters(protocol="single-click", length_km=10.0, loss_db=2.0, bright_population=0.2)


def aimed() -> tuple[LinkAttempts, Attempt, int]:
    heralds, attempt = LinkAttempts("a-b", LINK, 1), Attempt(0)
    due_ps = heralds.aim(attempt, 0)
    assert due_ps is not None
    return heralds, attempt, due_ps


@pytest.mark.parametrize("change", [(10.0, False, 0.0), (0.0, False, 0.7), (0.0, True, 0.0)])
def test_a_pair_that_is_decided_keeps_the_fidelity_of_its_link_as_it_was(change):
    heralds, attempt, due_ps = aimed()
    before = heralds.state(attempt)
    heralds.change(*change)
    assert heralds.is_decided(attempt, due_ps - 1)
    assert np.array_equal(heralds.state(attempt), before)
    assert bell_fidelity(before, attempt.frame) == pytest.approx(heralding(LINK).fidelity)


def test_a_pair_that_is_attempted_anew_is_one_of_the_link_as_it_is():
    heralds, attempt, _ = aimed()
    heralds.change(10.0, False, 0.5)
    assert not heralds.is_decided(attempt, 0)
    heralds.aim(attempt, 0)
    fidelity = 0.5 * heralding(LINK, 10.0).fidelity + 0.5 * 0.5
    assert bell_fidelity(heralds.state(attempt), attempt.frame) == pytest.approx(fidelity)

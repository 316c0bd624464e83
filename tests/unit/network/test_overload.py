"""Overload is judged from looks in a row, and a step down is given time to show."""

from itertools import pairwise

from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.network.overload import PAUSE_LOOKS, Overload


def looks(*behind_s):
    overload = Overload()
    return [overload.is_over(round(behind * PS_PER_S)) for behind in behind_s]


def test_three_looks_behind_in_a_row_are_overload():
    assert looks(1.0, 2.0, 3.0) == [False, False, True]


def test_a_moment_behind_is_none():
    assert not any(looks(*(5.0, 5.0, 0.0) * 20))
    overload = Overload()
    assert not any(overload.is_over(999 * PS_PER_MS) for _ in range(100))


def test_the_next_step_waits_for_the_relief_of_the_last():
    steps = [index for index, is_over in enumerate(looks(*(9.0,) * 40)) if is_over]
    assert {later - earlier for earlier, later in pairwise(steps)} == {PAUSE_LOOKS}
    assert len(steps) == 4

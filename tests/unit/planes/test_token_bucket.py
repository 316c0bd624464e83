"""A token bucket grants a burst at once and its rate after that, exactly."""

import pytest

from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.planes.token_bucket import OverdrawnError, token_bucket


def test_a_full_bucket_grants_its_burst_at_once_and_no_key_more():
    bucket = token_bucket(2.0, 10, now=0)
    assert bucket.available(0) == 10
    assert bucket.take(10, 0).available(0) == 0
    with pytest.raises(OverdrawnError):
        bucket.take(11, 0)


def test_keys_come_at_the_rate_and_not_a_picosecond_early():
    empty = token_bucket(4.0, 10, now=0, full=False)
    assert empty.available(PS_PER_S // 4 - 1) == 0
    assert empty.available(PS_PER_S // 4) == 1
    assert empty.available(2 * PS_PER_S) == 8


def test_an_idle_bucket_holds_no_more_than_its_burst():
    assert token_bucket(1000.0, 3, now=0, full=False).available(3600 * PS_PER_S) == 3


def test_the_wait_that_is_told_is_the_least_that_suffices():
    bucket = token_bucket(3.0, 10, now=0).take(10, 0)
    wait_ps = bucket.wait_ps(7, PS_PER_MS)
    assert wait_ps is not None
    now = PS_PER_MS + wait_ps
    assert bucket.available(now) == 7
    assert bucket.available(now - 1) == 6
    assert bucket.wait_ps(7, now) == 0


def test_a_bucket_without_a_rate_never_fills():
    assert token_bucket(0.0, 5, now=0, full=False).wait_ps(1, PS_PER_S) is None


def test_a_clock_that_goes_back_earns_nothing_twice():
    later = token_bucket(1.0, 5, now=0, full=False).take(0, 3 * PS_PER_S)
    assert later.available(0) == 3
    back = later.take(1, 0)
    assert back.available(3 * PS_PER_S) == 2
    assert back.available(4 * PS_PER_S) == 3
    assert later.wait_ps(4, 2 * PS_PER_S) == 2 * PS_PER_S


def test_keys_granted_elsewhere_are_owed_first():
    owing = token_bucket(1.0, 5, now=0).charge(8, 0)
    assert owing.available(0) == 0
    assert owing.available(3 * PS_PER_S) == 0
    assert owing.available(4 * PS_PER_S) == 1


def test_a_thousand_thirds_of_a_second_earn_no_less_than_one_wait():
    step_ps = PS_PER_S // 3
    often = token_bucket(0.7, 1000, now=0, full=False)
    for step in range(1, 1001):
        often = often.take(0, step * step_ps)
    assert often == token_bucket(0.7, 1000, now=0, full=False).take(0, 1000 * step_ps)

"""The law of the token bucket: over any window w, at most burst + rate * w keys (RFC 2697, 3)."""

from hypothesis import given
from hypothesis import strategies as st

from qstrata.core.time import PS_PER_S
from qstrata.planes.token_bucket import UKEYS_PER_KEY, token_bucket

RATES = st.integers(1, 10**9)
"""Millionths of a key per second."""
STEPS = st.one_of(st.just(0), st.integers(-2 * PS_PER_S, 5 * PS_PER_S))
"""Clock steps; it may stand still (S10) and go back."""
CALLS = st.lists(st.tuples(STEPS, st.integers(0, 60)), min_size=1, max_size=40)


@given(rate=RATES, burst=st.integers(1, 50), calls=CALLS, full=st.booleans())
def test_no_window_grants_more_than_burst_and_rate(
    rate: int, burst: int, calls: list[tuple[int, int]], full: bool
) -> None:
    bucket = token_bucket(rate / UKEYS_PER_KEY, burst, 0, full=full)
    now, latest, granted = 0, 0, [(0, 0)]
    for step, wanted in calls:
        now = max(0, now + step)
        latest = max(latest, now)
        held = bucket.available(now)
        assert 0 <= held <= burst
        keys = min(wanted, held)
        bucket = bucket.take(keys, now)
        assert bucket.available(now) == held - keys
        granted.append((latest, keys))
    for first in range(len(granted)):
        total = 0
        for until_ps, keys in granted[first:]:
            total += keys
            window_ps = until_ps - granted[first][0]
            assert total * UKEYS_PER_KEY * PS_PER_S <= burst * UKEYS_PER_KEY * PS_PER_S + rate * window_ps


@given(rate=RATES, burst=st.integers(1, 50), steps=st.lists(st.integers(0, PS_PER_S), max_size=60))
def test_looking_often_earns_what_looking_once_does(rate: int, burst: int, steps: list[int]) -> None:
    once = often = token_bucket(rate / UKEYS_PER_KEY, burst, 0, full=False)
    now = 0
    for step in steps:
        now += step
        often = often.take(0, now)
    assert often == once.take(0, now)


@given(rate=RATES, burst=st.integers(1, 50), taken=st.integers(0, 50), wanted=st.integers(1, 50))
def test_the_wait_that_is_told_is_enough_and_not_too_long(
    rate: int, burst: int, taken: int, wanted: int
) -> None:
    bucket = token_bucket(rate / UKEYS_PER_KEY, burst, 0).take(min(taken, burst), 0)
    keys = min(wanted, burst)
    wait_ps = bucket.wait_ps(keys, 0)
    assert wait_ps is not None
    assert bucket.available(wait_ps) >= keys
    assert wait_ps == 0 or bucket.available(wait_ps - 1) < keys

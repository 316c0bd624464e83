"""Credit follows the scarcest link of the path, shared evenly, and never starves a start."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qstrata.planes.credit import (
    BATCH_KEYS,
    START_KEYS_PER_S,
    credit,
    fair_share_bps,
    is_outdated,
    link_forecast_bps,
)


def test_a_session_gets_an_even_share_of_the_scarcest_link():
    assert fair_share_bps([(10_000.0, 1), (12_000.0, 3), (9_000.0, 2)]) == 4_000.0


def test_a_path_without_links_sustains_nothing():
    assert fair_share_bps([]) == 0.0


def test_both_kmes_together_get_the_rate_of_the_path_for_a_minute():
    granted = credit(25_600.0, 256)
    assert granted.rate_keys_per_s == 50.0
    assert granted.total_keys == 3000


def test_an_unknown_rate_still_starts_a_session():
    granted = credit(0.0, 256)
    assert granted.rate_keys_per_s == START_KEYS_PER_S
    assert granted.total_keys >= BATCH_KEYS


@given(st.floats(0, 1e9), st.sampled_from([64, 256, 1024]))
def test_a_grant_is_at_least_a_batch_and_lasts_a_minute_at_its_own_rate(rate_bps, size_bits):
    granted = credit(rate_bps, size_bits)
    assert granted.total_keys >= BATCH_KEYS
    assert granted.total_keys >= 60 * granted.rate_keys_per_s


def test_pooled_key_raises_the_forecast():
    assert link_forecast_bps(1000.0, 50_000) == 6000.0
    assert link_forecast_bps(0.0, 0) == 0.0


@pytest.mark.parametrize(
    ("granted", "now", "outdated"), [(100.0, 201.0, True), (100.0, 49.0, True), (100.0, 150.0, False)]
)
def test_credit_follows_a_forecast_that_doubled_or_halved(granted, now, outdated):
    assert is_outdated(granted, now) is outdated

"""Durations as people type them."""

import pytest

from qstrata.core.durations import duration_ps
from qstrata.core.time import PS_PER_MS, PS_PER_S


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("6h", 21_600), ("1d", 86_400), ("1h30m", 5_400), ("1d2h3m4s", 93_784)],
)
def test_units_are_days_hours_minutes_and_seconds(text, seconds):
    assert duration_ps(text) == seconds * PS_PER_S


def test_fractions_are_exact():
    assert duration_ps("0.1s") == 100 * PS_PER_MS
    assert duration_ps("1.5m") == 90 * PS_PER_S


@pytest.mark.parametrize("text", ["", "0s", "10", "10x", "-1s", "1m1h", "1 h", "h", "1e3s"])
def test_what_is_no_duration_is_told_with_the_forms_there_are(text):
    with pytest.raises(ValueError, match="give 90s, 15m, 6h, 1d or 1h30m"):
        duration_ps(text)

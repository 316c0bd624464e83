"""Durations in words."""

import pytest

from qstrata.cli.durations import spoken


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250 ms"), (1.5, "1.5 s"), (600, "10 min"), (21_600, "6 h 00 min"), (180_000, "2 d 2 h")],
)
def test_durations_are_told_in_the_unit_of_their_size(seconds, text):
    assert spoken(seconds) == text

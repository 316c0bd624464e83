"""The watch over what a relay refuses."""

from qstrata.core.time import PS_PER_S
from qstrata.strata.forwarding.telemetry.repeats import EXPECTED, WINDOW_PS, RepeatWatch


def told(*samples: tuple[int, int]) -> list[str]:
    watch = RepeatWatch()
    return [watch.take(refused, second * PS_PER_S) for second, refused in samples]


def test_what_reconnects_repeat_is_no_alarm_and_more_is_told_with_its_number():
    assert told((0, 0), (1, EXPECTED)) == ["", ""]
    assert told((0, 0), (1, EXPECTED + 1))[-1].startswith(f"{EXPECTED + 1} batches refused")


def test_alarm_ends_a_window_after_the_last_refusal():
    window_s = WINDOW_PS // PS_PER_S
    last = told((0, 0), (1, 9), (window_s, 9), (window_s + 1, 9), (window_s + 2, 9))
    assert [bool(finding) for finding in last] == [False, True, True, False, False]


def test_a_relay_that_starts_again_counts_anew():
    assert told((0, 50), (1, 0), (2, EXPECTED)) == ["", "", ""]


def test_refusals_long_apart_do_not_add_up():
    hour_s = 3600
    assert not any(told(*((n * hour_s, n) for n in range(100))))

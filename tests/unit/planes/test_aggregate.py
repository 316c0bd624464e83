"""Rates slide over the last blocks, alarms stand until every source has cleared them."""

from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import Counts, zero
from qstrata.planes.aggregate import AlarmBoard, DistilledBlock, KeyRate, key_basis_qber, per_second

MINUTE = 60 * PS_PER_S


def test_the_rate_is_bits_over_seconds_of_the_last_blocks():
    rate = KeyRate()
    for number in (1, 2):
        rate = rate.with_block(DistilledBlock(number, 6000, MINUTE, number * MINUTE))
    assert rate.blocks == 2
    assert rate.rate_bps(2 * MINUTE + PS_PER_S) == 100.0


def test_a_block_that_both_ends_report_counts_once():
    rate = (
        KeyRate()
        .with_block(DistilledBlock(1, 6000, MINUTE, 0))
        .with_block(DistilledBlock(1, 6000, MINUTE, 5))
    )
    assert rate.blocks == 1
    assert rate.rate_bps(0) == 100.0


def test_the_rate_of_a_link_that_has_stopped_falls():
    rate = KeyRate().with_block(DistilledBlock(1, 6000, MINUTE, 0))
    assert rate.rate_bps(MINUTE) == 100.0
    assert rate.rate_bps(4 * MINUTE) == 25.0


def test_no_block_makes_no_rate():
    assert KeyRate().rate_bps(MINUTE) == 0.0


def test_only_the_last_blocks_count():
    rate = KeyRate().with_block(DistilledBlock(0, 10**9, MINUTE, 0))
    for number in range(1, 9):
        rate = rate.with_block(DistilledBlock(number, 600, MINUTE, number * MINUTE))
    assert rate.rate_bps(8 * MINUTE) == 10.0


def test_the_error_rate_is_that_of_the_key_basis():
    counts = Counts(sent=(9, 9, 9), n=((60, 30, 10), (50, 0, 0)), m=((3, 1, 1), (50, 0, 0)), detections=200)
    assert key_basis_qber(counts) == 0.05
    assert key_basis_qber(zero()) is None
    assert per_second(200, 2 * PS_PER_S) == 100.0
    assert per_second(1, 0) == 0.0


def test_an_alarm_keeps_its_first_instant_and_stands_until_each_source_clears_it():
    board = AlarmBoard()
    board.raised("a", "a-b", "fibre/a-b", "dark", 10)
    board.raised("b", "a-b", "fibre/a-b", "dark too", 20)
    board.raised("a", "a-b", "fibre/a-b", "still dark", 30)
    assert [(alarm.finding, alarm.raised_ps) for alarm in board.standing()] == [("still dark", 10)]
    board.cleared("a", "a-b", "fibre/a-b")
    assert [alarm.finding for alarm in board.standing()] == ["dark too"]
    board.cleared("b", "a-b")
    assert board.standing() == ()

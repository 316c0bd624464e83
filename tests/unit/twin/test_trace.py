"""The engine `trace:FILE`: blocks are told as they were recorded, and evenly within their time."""

import math
from functools import reduce

import msgspec
import pytest

from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import Counts
from qstrata.physics.profiles import profile
from qstrata.physics.protocols.cv import CV_QKD
from qstrata.physics.quadratures import NO_QUADRATURES, Quadratures
from qstrata.physics.tallies import add
from qstrata.twin.contract import LinkTask
from qstrata.twin.trace import RecordedBlock, Trace, trace_engine

LINK = profile().link_parameters(6.0)
CLICKS = Counts(
    sent=(300, 500, 201), n=((40, 7, 0), (9, 1, 0)), m=((2, 1, 0), (1, 0, 0)), detections=101, clicks_z=70
)
SUMS = Quadratures(
    symbols=1000, key_values=1400, tested_values=600, sent_squares=2400, products=-700, measured_squares=999
)


def trace(*tallies, seconds=(3, 4), at_end="stop", **changes):
    blocks = (
        RecordedBlock(duration_ps=length * PS_PER_S, tally=tally, **changes)
        for length, tally in zip(seconds, tallies, strict=False)
    )
    return Trace(name="t.jsonl", protocol="x", pulse_rate_hz=1.0, at_end=at_end, blocks=tuple(blocks))


def made(recorded, parameters=LINK, first_block=1):
    task = LinkTask(
        link="a-b",
        parameters=parameters,
        length_km=24.2,
        block_ps=60 * PS_PER_S,
        period_ps=PS_PER_S,
        first_block=first_block,
        seed=7,
        key_bits=lambda block: stream(7, "bits", block),
    )
    engine = trace_engine(recorded)(task)
    engine.begin(0)
    return engine


def until_closed(engine):
    windows = [engine.advance(engine.next_ps)]
    while windows[-1].total is None and not windows[-1].finding:
        windows.append(engine.advance(engine.next_ps))
    return windows


@pytest.mark.parametrize(
    ("tally", "parameters"), [(CLICKS, LINK), (SUMS, CV_QKD.profile().link_parameters(6.0))]
)
def test_windows_of_a_block_add_up_to_what_was_recorded(tally, parameters):
    engine = made(trace(tally, tally), parameters)
    for number, seconds in ((1, 3), (2, 4)):
        windows = until_closed(engine)
        assert windows[-1].total == tally
        assert reduce(add, [window.counts for window in windows]) == tally
        assert {window.block for window in windows} == {number}
        assert len(windows) in (seconds, seconds + 1)


def test_a_second_of_a_block_has_its_share():
    engine = made(trace(CLICKS))
    engine.advance(engine.next_ps)
    counts = engine.advance(engine.next_ps).counts
    assert abs(counts.detections - 101 / 3) < 1.0
    assert counts.n[0][0] >= counts.m[0][0]


def test_blocks_last_as_long_as_they_did():
    engine = made(trace(CLICKS, CLICKS))
    until_closed(engine)
    begun_ps = 3 * PS_PER_S
    assert begun_ps < engine.next_ps <= begun_ps + PS_PER_S
    ends = []
    while engine.block == 2:
        ends.append(engine.next_ps)
        engine.advance(engine.next_ps)
    assert ends[-1] == 7 * PS_PER_S


def test_after_its_last_block_a_trace_says_that_it_has_ended_or_begins_again():
    once, again = made(trace(CLICKS)), made(trace(CLICKS, at_end="repeat"))
    for engine in (once, again):
        until_closed(engine)
    assert until_closed(once)[-1].finding == "the trace t.jsonl has ended after 1 blocks"
    assert once.block == 2
    assert until_closed(again)[-1].total == CLICKS


def test_a_network_that_comes_up_again_goes_on_in_its_traces():
    other = msgspec.structs.replace(CLICKS, detections=102)
    assert until_closed(made(trace(CLICKS, other), first_block=2))[-1].total == other


def test_devices_that_distilled_tell_how_much_key_they_had():
    assert until_closed(made(trace(CLICKS, distilled_bits=64)))[-1].distilled_bits == 64


def test_a_dark_fibre_gives_nothing_and_the_block_begins_anew_with_light():
    engine = made(trace(CLICKS))
    engine.advance(engine.next_ps)
    engine.change(msgspec.structs.replace(LINK, loss_db=math.inf), engine.next_ps)
    window = engine.advance(engine.next_ps)
    assert (window.counts.detections, window.total, window.finding) == (0, None, "")
    lit_ps = engine.next_ps
    engine.change(LINK, lit_ps)
    windows = until_closed(engine)
    assert reduce(add, [window.counts for window in windows]) == CLICKS


def test_other_faults_leave_what_was_recorded():
    engine = made(trace(CLICKS))
    engine.advance(engine.next_ps)
    before_ps = engine.next_ps
    engine.change(msgspec.structs.replace(LINK, loss_db=9.0), before_ps - 1)
    assert engine.next_ps == before_ps
    assert until_closed(engine)[-1].total == CLICKS


def test_key_is_drawn_for_each_block():
    engine = made(trace(CLICKS))
    assert engine.bits(1).bytes(8) == stream(7, "bits", 1).bytes(8)
    assert made(trace(NO_QUADRATURES)).work() is None

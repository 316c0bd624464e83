"""The world changes while it runs: other links go on, changed ones start anew, no block comes twice."""

import pytest

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.device import BlockClosed, NothingToRead, Read, SignalReport, Tick
from qstrata.physics.fibre import propagation_delay_ps
from tests.unit.twin.harness import (
    ALICE,
    BOB,
    World,
    agent,
    inject,
    link_plan,
    reported,
    running,
    switch_on,
    termination,
    twin_plan,
)


def closed(world, owner=BOB):
    return [message.block for message in world.received(owner, BlockClosed)]


def test_a_link_that_is_alike_goes_on_as_if_nothing_had_been():
    alone, beside = running(until_s=60), running(until_s=15)
    beside.adopt(twin_plan(link_plan("a", "b"), seed=1))
    beside.run_until(60 * PS_PER_S)
    assert reported(beside) == reported(alone)
    assert closed(beside) == closed(alone) == [1, 2, 3, 4, 5]


def test_a_link_with_another_loss_loses_the_block_under_way_and_numbers_onward():
    world = running(until_s=25)
    assert closed(world) == [1, 2]
    world.adopt(twin_plan(link_plan("a", "b", loss_db=20.0), seed=1))
    (answer,) = world.tell(BOB, Read("read", 2, 8))
    assert isinstance(answer, NothingToRead)
    world.run_until(46 * PS_PER_S)
    assert closed(world) == [1, 2, 4, 5]
    before, after = (
        [counts.detections for block, counts in reported(world) if block in blocks]
        for blocks in ((1, 2), (4, 5))
    )
    assert max(after) < min(before) / 10


def test_results_of_a_longer_link_take_longer():
    world = running(until_s=5)
    world.adopt(twin_plan(link_plan("a", "b", length_km=200.0), seed=1))
    world.run_until(30 * PS_PER_S)
    first = next(at for at, _, to, message in world.sent if to == BOB and isinstance(message, BlockClosed))
    assert first >= 15 * PS_PER_S + 2 * propagation_delay_ps(200.0)


def test_provisioned_key_stays_readable_on_a_link_that_changes():
    world = running(link_plan("a", "b", initial_key_bits=64), until_s=5)
    world.adopt(twin_plan(link_plan("a", "b", loss_db=9.0, initial_key_bits=64), seed=1))
    alice, bob = (world.tell(owner, Read("read", 0, 64))[0].bits for owner in (ALICE, BOB))
    assert alice == bob


def test_a_fault_stays_on_a_link_that_changes():
    world = running(until_s=5)
    inject(world, "loss", amount=60.0)
    world.adopt(twin_plan(link_plan("a", "b", loss_db=7.0), seed=1))
    world.run_until(12 * PS_PER_S)
    assert reported(world)[-1][1].detections < reported(world)[0][1].detections / 100


def test_a_removed_link_says_nothing_more_and_comes_back_with_later_blocks():
    world = World(twin_plan(link_plan("a", "b", initial_key_bits=64), link_plan("b", "c"), seed=1))
    switch_on(world)
    world.run_until(25 * PS_PER_S)
    inject(world, "cut")
    known = len(world.sent)
    world.adopt(twin_plan(link_plan("b", "c"), seed=1))
    world.run_until(50 * PS_PER_S)
    assert not [row for row in world.sent[known:] if row[2] in (ALICE, BOB)]
    assert "a-b" in inject(world, "cut").error
    world.adopt(twin_plan(link_plan("b", "c"), link_plan("a", "b", initial_key_bits=64), seed=1))
    switch_on(world)
    world.run_until(75 * PS_PER_S)
    assert closed(world)[-2:] == [4, 5]
    assert 0 not in closed(world)[1:]


def test_monitors_that_watch_are_told_of_another_loss_and_of_added_links_when_they_ask():
    world = World(twin_plan(link_plan("a", "b", loss_db=6.0), link_plan("b", "c"), seed=1))
    world.tell(termination("a"), Tick("tick", 0))
    known = len(world.sent)
    world.adopt(twin_plan(link_plan("a", "b", loss_db=8.0), link_plan("b", "c"), seed=1))
    told = {message.bearer: message.loss_db for _, _, _, message in world.sent[known:]}
    assert told == {"fibre/a-b": 8.0, "a-b/distillation": 0.0, "a-b/relay": 0.0}
    assert {type(message) for _, _, _, message in world.sent[known:]} == {SignalReport}


def test_a_world_that_cannot_be_is_refused_and_changes_nothing():
    world = running(until_s=5)
    with pytest.raises(InputError, match="shorter than the report period"):
        world.adopt(twin_plan(link_plan("a", "b", block_ps=1), seed=1))
    world.run_until(12 * PS_PER_S)
    assert closed(world) == [1]
    assert agent("a", "a-b") == ALICE

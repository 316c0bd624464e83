"""A machine that does not keep up emulates less detail, one step at a time, and says so."""

from functools import reduce

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.device import BlockClosed, CountsReport, DeviceFault
from qstrata.physics.counts import add, zero
from tests.unit.twin.harness import ALICE, BOB, World, link_plan, reported, switch_on, twin_plan


def eased(world, why="1.5 s behind"):
    known = len(world.sent)
    world._perform(world.twin.ease(why, world.now))
    return [message for _, _, _, message in world.sent[known:]]


def running(**changes):
    world = World(twin_plan(link_plan("a", "b", **changes)))
    switch_on(world)
    world.run_until(int(4.3 * PS_PER_S))
    return world


def test_reports_come_half_as_often_and_both_agents_are_told():
    world = running()
    finding = "reports every 2 s: 1.5 s behind"
    assert eased(world) == [DeviceFault("a-b", "coarse", True, finding)] * 2
    known = len(reported(world))
    world.run_until(34 * PS_PER_S)
    assert 15 <= len(reported(world)) - known <= 19
    for block in world.received(BOB, BlockClosed):
        parts = [counts for number, counts in reported(world) if number == block.block]
        assert reduce(add, parts, zero()) == block.counts


def test_below_the_coarsest_step_nothing_changes():
    world = running()
    eased(world)
    assert eased(world) == []


def test_links_bit_by_bit_go_on_as_counts_first():
    world = running(level="clicks")
    told = eased(world)
    assert told == [DeviceFault("a-b", "coarse", True, "emulated at level `counts`: 1.5 s behind")] * 2
    world.run_until(25 * PS_PER_S)
    for owner in (ALICE, BOB):
        closed = world.received(owner, BlockClosed)
        assert [block.raw for block in closed] == [False] * len(closed)
        assert closed[0].block >= 2
    assert len(world.received(BOB, CountsReport)) > 20
    assert eased(world)[0].finding == "reports every 2 s: 1.5 s behind"


def refined(world):
    known = len(world.sent)
    world._perform(world.twin.refine(world.now))
    return [message for _, _, _, message in world.sent[known:]]


def test_steps_are_taken_back_in_turn_and_both_agents_are_told():
    world = running(level="clicks")
    eased(world)
    eased(world)
    assert world.twin.is_eased
    finding = "emulated at level `counts`: 1.5 s behind"
    assert refined(world) == [DeviceFault("a-b", "coarse", True, finding)] * 2
    assert refined(world) == [DeviceFault("a-b", "coarse", False, "")] * 2
    assert not world.twin.is_eased
    assert refined(world) == []
    world.run_until(25 * PS_PER_S)
    numbers = [block.block for block in world.received(BOB, BlockClosed)]
    assert numbers == sorted(set(numbers))
    assert all(block.raw for block in world.received(BOB, BlockClosed))


def test_reports_come_as_often_as_before_once_there_is_room():
    world = running()
    eased(world)
    world.run_until(10 * PS_PER_S)
    assert refined(world) == [DeviceFault("a-b", "coarse", False, "")] * 2
    known = len(reported(world))
    world.run_until(40 * PS_PER_S)
    assert 29 <= len(reported(world)) - known <= 35

from functools import reduce
from itertools import pairwise

import pytest

from qstrata.core.address import Address, End
from qstrata.core.errors import InternalError
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.messages.device import (
    Bits,
    BlockClosed,
    CountsReport,
    Discard,
    Measure,
    NothingToRead,
    PrepareAndSend,
    Read,
    Started,
    Tick,
)
from qstrata.physics.counts import add, zero
from qstrata.physics.fibre import propagation_delay_ps
from qstrata.twin.blocks import HELD_BLOCKS
from tests.unit.twin.harness import (
    ALICE,
    BOB,
    PULSES_PER_S,
    World,
    heal,
    inject,
    link_plan,
    reported,
    running,
    switch_on,
    twin_plan,
)


def test_nothing_is_counted_until_both_ends_are_on():
    world = World(twin_plan(link_plan("a", "b")))
    world.tell(ALICE, Tick("t", PS_PER_S))
    assert world.tell(ALICE, PrepareAndSend("s")) == [Started("s")]
    world.run_until(20 * PS_PER_S)
    assert reported(world, ALICE) == []
    world.tell(BOB, Measure("s"))
    world.run_until(23 * PS_PER_S)
    assert len(reported(world, ALICE)) in (1, 2)


def test_both_ends_are_told_the_same_counts_every_second_and_the_same_blocks():
    world = running()
    assert len(reported(world)) >= 23
    assert reported(world) == reported(world, ALICE)
    assert all(counts.pulses == PULSES_PER_S for _, counts in reported(world))
    closed = world.received(BOB, BlockClosed)
    assert [block.block for block in closed] == [1, 2]
    assert closed == world.received(ALICE, BlockClosed)


def test_the_reports_of_a_block_add_up_to_it_across_a_change_of_loss():
    world = World(twin_plan(link_plan("a", "b")))
    switch_on(world)
    world.run_until(int(6.3 * PS_PER_S))
    inject(world, "loss", amount=2.5)
    world.run_until(int(8.9 * PS_PER_S))
    heal(world, "loss")
    world.run_until(25 * PS_PER_S)
    for block in world.received(BOB, BlockClosed):
        parts = [counts for number, counts in reported(world) if number == block.block]
        assert reduce(add, parts, zero()) == block.counts


def test_results_come_when_light_and_processing_have_had_their_time():
    world = running(processing_ps=50 * PS_PER_MS)
    flight = propagation_delay_ps(20.0)
    reports = [at for at, _, to, message in world.sent if to == BOB and isinstance(message, CountsReport)]
    blocks = [at for at, _, to, message in world.sent if to == BOB and isinstance(message, BlockClosed)]
    assert {later - earlier for earlier, later in pairwise(reports)} == {PS_PER_S}
    assert reports[0] >= PS_PER_S + 2 * flight
    assert blocks == [reports[9] + 50 * PS_PER_MS, reports[19] + 50 * PS_PER_MS]


def test_only_those_who_asked_are_told_every_second():
    world = World(twin_plan(link_plan("a", "b")))
    world.tell(ALICE, PrepareAndSend("s"))
    world.tell(BOB, Measure("s"))
    world.tell(BOB, Tick("t", PS_PER_S))
    world.run_until(5 * PS_PER_S)
    assert reported(world, ALICE) == []
    assert len(reported(world, BOB)) >= 3


def test_links_do_not_report_in_the_same_instant():
    world = World(twin_plan(link_plan("a", "b"), link_plan("b", "c")))
    switch_on(world)
    switch_on(world, "b", "c")
    world.run_until(10 * PS_PER_S)
    instants = {
        link: {at for at, _, _, message in world.sent if getattr(message, "link", "") == link}
        for link in ("a-b", "b-c")
    }
    assert instants["a-b"].isdisjoint(instants["b-c"])


# --- randomness ---


def test_a_seed_decides_every_draw():
    assert reported(running(seed=1)) == reported(running(seed=1))
    assert all(a != b for a, b in zip(reported(running(seed=1)), reported(running(seed=2)), strict=True))


def test_another_link_moves_nobody_elses_draws():
    alone = running()
    crowd = World(twin_plan(link_plan("0", "1"), link_plan("a", "b"), link_plan("b", "c")))
    for ends in (("b", "c"), ("a", "b"), ("0", "1")):
        switch_on(crowd, *ends)
    crowd.run_until(25 * PS_PER_S)
    assert reported(alone) == reported(crowd)
    assert alone.received(BOB, BlockClosed) == crowd.received(BOB, BlockClosed)
    assert alone.tell(BOB, Read("r", 1, 128)) == crowd.tell(BOB, Read("r", 1, 128))


def test_without_a_seed_the_given_entropy_decides():
    worlds = [World(twin_plan(link_plan("a", "b"), seed=None), stream(5, "entropy", n)) for n in (0, 0, 1)]
    for world in worlds:
        switch_on(world)
        world.run_until(13 * PS_PER_S)
    one, same, other = ((reported(world), world.tell(BOB, Read("r", 1, 128))) for world in worlds)
    assert one == same
    assert one[0][0] != other[0][0]
    assert one[1] != other[1]


def test_without_a_seed_and_entropy_two_worlds_differ():
    worlds = [running(seed=None), running(seed=None)]
    assert reported(worlds[0]) != reported(worlds[1])


# --- reading and discarding ---


def test_both_ends_read_equal_bits_of_a_closed_block():
    world = running()
    (alices,) = world.tell(ALICE, Read("r1", 1, 1000))
    (bobs,) = world.tell(BOB, Read("r2", 1, 1000))
    assert isinstance(alices, Bits)
    assert (alices.block, len(alices.bits)) == (1, 125)
    assert alices.bits == bobs.bits
    assert world.tell(ALICE, Read("r1", 1, 1000)) == [alices]
    assert world.tell(ALICE, Read("r3", 2, 1000))[0].bits != alices.bits


def test_a_block_cannot_be_read_before_it_is_announced():
    world = running(until_s=0)
    while not world.received(BOB, BlockClosed):
        assert world.tell(BOB, Read("r", 1, 8)) == [NothingToRead("r", 1)]
        world.run_until(world.now + PS_PER_S)
    assert isinstance(world.tell(BOB, Read("r", 1, 8))[0], Bits)


def test_more_than_the_sifted_bits_cannot_be_read():
    world = running()
    sifted = sum(world.received(BOB, BlockClosed)[0].counts.n[0])
    assert isinstance(world.tell(BOB, Read("r", 1, sifted))[0], Bits)
    assert world.tell(BOB, Read("r", 1, sifted + 1)) == [NothingToRead("r", 1)]


def test_a_discarded_block_is_gone_here_and_stays_there():
    world = running()
    assert world.tell(ALICE, Discard("d", 1)) == []
    assert world.tell(ALICE, Read("r", 1, 8)) == [NothingToRead("r", 1)]
    assert isinstance(world.tell(BOB, Read("r", 1, 8))[0], Bits)


def test_beyond_the_bound_the_oldest_block_is_lost_at_both_ends():
    world = running(link_plan("a", "b", block_ps=PS_PER_S), until_s=HELD_BLOCKS + 3)
    held = [block.block for block in world.tell(BOB, Measure("again"))[1:]]
    assert len(held) == HELD_BLOCKS
    for owner in (ALICE, BOB):
        assert world.tell(owner, Read("r", held[0] - 1, 8)) == [NothingToRead("r", held[0] - 1)]


# --- idempotent instructions ---


def test_a_start_that_comes_twice_is_answered_twice_and_done_once():
    plain, doubled = running(until_s=8), running(until_s=8)
    assert doubled.tell(BOB, Measure("start")) == [Started("start")]
    assert doubled.tell(BOB, Measure("another")) == [Started("another")]
    for world in (plain, doubled):
        world.run_until(25 * PS_PER_S)
    assert reported(plain) == reported(doubled)


def test_an_agent_that_starts_again_is_told_every_block_that_is_still_held():
    world = running()
    world.tell(BOB, Discard("d", 1))
    assert world.tell(BOB, Measure("after a restart")) == [
        Started("after a restart"),
        *world.received(BOB, BlockClosed)[1:2],
    ]


def test_a_stopped_link_counts_nothing_and_keeps_its_blocks():
    world = running()
    told = len(reported(world))
    world.tell(ALICE, Discard("stop", -1))
    world.run_until(50 * PS_PER_S)
    assert len(reported(world)) <= told + 1
    assert isinstance(world.tell(BOB, Read("r", 1, 8))[0], Bits)


def test_an_old_start_or_stop_that_comes_again_changes_nothing():
    world = running()
    world.tell(ALICE, Discard("stop", -1))
    world.tell(ALICE, PrepareAndSend("start"))
    told = len(reported(world))
    world.run_until(50 * PS_PER_S)
    assert len(reported(world)) <= told + 1
    world.tell(ALICE, PrepareAndSend("second start"))
    world.tell(ALICE, Discard("stop", -1))
    told = len(reported(world))
    world.run_until(100 * PS_PER_S)
    assert len(reported(world)) >= told + 48


def test_a_block_that_was_interrupted_goes_on_and_still_adds_up():
    world = running(until_s=14)
    world.tell(BOB, Discard("stop", -1))
    world.run_until(20 * PS_PER_S)
    world.tell(BOB, Measure("on"))
    world.run_until(40 * PS_PER_S)
    (block,) = [block for block in world.received(ALICE, BlockClosed) if block.block == 2]
    parts = [counts for number, counts in reported(world) if number == 2]
    assert reduce(add, parts, zero()) == block.counts
    assert block.counts.pulses == 10 * PULSES_PER_S


def test_an_instruction_for_the_other_end_or_from_a_stranger_is_an_error():
    world = World(twin_plan(link_plan("a", "b")))
    with pytest.raises(InternalError, match="other end"):
        world.tell(ALICE, Measure("m"))
    with pytest.raises(InternalError, match="owns no link device"):
        world.tell(Address(End.FORWARDING_RES, "madqci", "a", "agent.x-y"), PrepareAndSend("s"))


# --- provisioned bits ---


def test_a_provisioned_block_is_there_at_the_first_start():
    world = World(twin_plan(link_plan("a", "b", initial_key_bits=2048)))
    given = BlockClosed("a-b", 0, zero(), 2048)
    assert world.tell(ALICE, PrepareAndSend("s")) == [Started("s"), given]
    assert world.tell(BOB, Measure("s")) == [Started("s"), given]
    (alices,), (bobs,) = (world.tell(owner, Read("r", 0, 2048)) for owner in (ALICE, BOB))
    assert len(alices.bits) == 256
    assert alices.bits == bobs.bits
    assert world.tell(ALICE, Read("r", 0, 2049)) == [NothingToRead("r", 0)]


def test_provisioned_bits_are_given_once():
    world = World(twin_plan(link_plan("a", "b", initial_key_bits=2048)))
    switch_on(world)
    world.tell(ALICE, Discard("d", 0))
    assert world.tell(ALICE, PrepareAndSend("restarted")) == [Started("restarted")]

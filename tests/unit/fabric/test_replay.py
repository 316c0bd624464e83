"""Somebody on a channel records messages and sends earlier ones again."""

import pytest

from qstrata.core.effects import SetBearer
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.memory import OVERHEARD_KEPT
from qstrata.fabric.messages.east_west import BlockTaken, Relay
from qstrata.fabric.messages.service_control import KmeHello
from qstrata.fabric.messages.transfer import TransferHeader


def send(wire, *blocks):
    for block in blocks:
        wire.hop(BlockTaken("a-b", block))


def blocks(wire):
    wire.queue.run_until(wire.queue.now + 1000)
    return [message.block for _, _, message in wire.got]


def replay(wire, share):
    wire.bearers.apply(SetBearer(wire.channel, replayed=share))


def test_each_message_is_followed_by_an_earlier_one_and_every_message_still_comes_in_order(wire):
    replay(wire, 1.0)
    send(wire, *range(100))
    got = blocks(wire)
    assert got[::2] == list(range(100))
    for place, again in enumerate(got[1::2]):
        assert place - OVERHEARD_KEPT < again <= place
    assert len(set(got[1::2])) > 50
    assert sorted(wire.outcomes()) == ["replayed"] * 100 + ["sent"] * 100


@pytest.mark.parametrize(("share", "again"), [(0.0, 0), (0.1, 10), (0.5, 50)])
def test_so_many_are_replayed_as_the_share_says(wire, share, again):
    replay(wire, share)
    send(wire, *range(101))
    assert len(blocks(wire)) == 101 + again


def test_nothing_of_before_is_known_to_him_nor_of_an_earlier_time(wire):
    send(wire, 1, 2, 3)
    replay(wire, 1.0)
    send(wire, 4)
    replay(wire, 0.0)
    send(wire, 5)
    replay(wire, 1.0)
    send(wire, 6)
    assert blocks(wire) == [1, 2, 3, 4, 4, 5, 6, 6]


def test_messages_on_other_bearers_and_within_a_site_come_once(wire):
    replay(wire, 1.0)
    wire.send(wire.kme_a, wire.ctl, KmeHello("a"))
    wire.queue.run_until(100)
    assert len(wire.got) == 1


def test_what_was_masked_comes_again_whole_though_its_receiver_has_taken_it(wire):
    replay(wire, 1.0)
    header = TransferHeader("t1", 1, "s", "a", 0, ("k",), 256, 0, 0)
    message = Relay("a-b", header, (), bytes(range(32)))
    wire.hop(message)
    wire.queue.run_until(100)
    assert [got.ciphertext for _, _, got in wire.got] == [bytes(range(32))] * 2
    assert not isinstance(message.ciphertext, KeyMaterial)


def test_a_channel_that_is_cut_carries_no_replays(wire):
    replay(wire, 1.0)
    send(wire, 1)
    wire.bearers.apply(SetBearer(wire.channel, intact=False))
    send(wire, 2)
    assert blocks(wire) == []

"""A row of relays: keys arrive, pads are spent once, both ends of a link agree on what became of them."""

import pytest

from qstrata.core.effects import Send
from qstrata.core.errors import InternalError
from qstrata.core.secrets import KeyMaterial, xor
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.east_west import BlockGiven, BlockLost, BlockWanted, HandOverDone
from qstrata.fabric.messages.forwarding_control import InstallTable, TraceTransfer, TransferTraced
from qstrata.fabric.messages.transfer import Placed, Placement, TransferRefused, TransferSettled
from qstrata.planes import places
from qstrata.store.records import BlockBits, BlockState
from qstrata.strata.forwarding.resource.station import RelayFigures
from tests.unit.strata.forwarding.relay_rig import DOMAIN, Row

KEY = bytes(range(100, 132))
PADS = {"a-b": bytes(range(64)), "b-c": bytes(range(128, 192))}


@pytest.fixture
def row() -> Row:
    row = Row()
    for link, bits in PADS.items():
        row.hand_over(link, 0, bits)
        row.hand_over(link, 1, bits[::-1])
    return row


def test_a_key_crosses_two_hops_each_masked_with_its_own_pad(row: Row) -> None:
    transfer = row.request(0, KEY)
    (handed,) = row.place()
    assert handed.bits == KeyMaterial(KEY)
    assert [message.ciphertext for message in row.relayed] == [
        xor(KEY, PADS["a-b"][:32]),
        xor(KEY, PADS["b-c"][:32]),
    ]
    (settled,) = row.kmes["a"].take(TransferSettled)
    assert (settled.transfer, settled.placed) == (transfer, True)


def test_both_ends_of_each_link_book_the_same(row: Row) -> None:
    row.request(0, KEY)
    row.place()
    row.run(25)
    for link, (one, other) in {"a-b": ("a", "b"), "b-c": ("b", "c")}.items():
        assert row.account(one, link) == row.account(other, link) == (256, 256, 0)


def test_pad_bits_are_spent_once(row: Row) -> None:
    row.request(0, KEY)
    row.request(1, KEY)
    used = [(s.link, s.number, s.offset) for m in row.relayed for s in m.segments]
    assert len(set(used)) == len(used) == 4


def test_a_spent_offset_is_durable_before_ciphertext_leaves(row: Row) -> None:
    row.commits.on_commit = lambda node, changes: "lose"
    row.commits.crash = row.crash
    row.request(0, KEY)
    assert not row.relayed


def test_what_was_in_flight_in_a_crash_is_burnt_at_both_ends(row: Row) -> None:
    row.request(0, KEY)
    row.crash("a")
    row.place()
    row.restart("a")
    row.request(1, KEY)
    row.place()
    row.run(25)
    starts = [s.offset for m in row.relayed for s in m.segments if s.link == "a-b"]
    assert starts == [0, 256]
    assert row.account("a", "a-b") == row.account("b", "a-b") == (512, 256, 256)


def test_a_batch_whose_answer_is_lost_counts_as_destroyed_at_both_ends(row: Row) -> None:
    row.request(0, KEY)
    assert row.kmes["c"].take(Placement)
    row.run(25)
    assert row.account("a", "a-b") == row.account("b", "a-b") == (256, 0, 256)


def test_too_little_key_refuses_before_anything_is_spent(row: Row) -> None:
    row.request(0, bytes(1024))
    (refused,) = row.kmes["a"].take(TransferRefused)
    assert refused.reason == "too little key on link a-b"
    row.run(25)
    assert row.account("a", "a-b") == (0, 0, 0)


def test_a_path_that_is_not_in_the_table_is_refused(row: Row) -> None:
    row.tell(row.controller, "a", InstallTable(2, ()))
    row.request(0, KEY)
    (refused,) = row.kmes["a"].take(TransferRefused)
    assert "path" in refused.reason


def test_an_older_table_changes_nothing(row: Row) -> None:
    row.tell(row.controller, "a", InstallTable(0, ()))
    row.request(0, KEY)
    assert row.place()


def test_a_dark_relay_channel_refuses_without_spending(row: Row) -> None:
    row.light("a", "a-b", False)
    row.request(0, KEY)
    (refused,) = row.kmes["a"].take(TransferRefused)
    assert "a-b" in refused.reason
    row.light("a", "a-b", True)
    row.request(1, KEY)
    assert row.place()


def test_an_intermediate_relay_waits_for_key_and_goes_on() -> None:
    row = Row()
    row.hand_over("a-b", 0, PADS["a-b"])
    row.request(0, KEY)
    assert not row.place()
    row.hand_over("b-c", 0, PADS["b-c"])
    row.run(1)
    assert [message.header.sequence for message in row.place()] == [0]
    assert [settled.placed for settled in row.kmes["a"].take(TransferSettled)] == [True]


def test_an_intermediate_relay_that_gets_no_key_in_time_says_so() -> None:
    row = Row()
    row.hand_over("a-b", 0, PADS["a-b"])
    row.request(0, KEY, timeout_s=2)
    row.run(5)
    (settled,) = row.kmes["a"].take(TransferSettled)
    assert (settled.placed, settled.reason) == (False, "too little key on link b-c")


def test_one_end_with_all_the_demand_gets_the_blocks_of_the_other(row: Row) -> None:
    for sequence in range(4):
        row.request(sequence, KEY, timeout_s=60)
        row.run(25)
        row.place()
    numbers = {s.number for m in row.relayed for s in m.segments if s.link == "a-b"}
    assert numbers == {0, 1}


def test_a_block_that_was_given_twice_is_not_lost_in_a_crash(row: Row) -> None:
    """The second hand-over comes while the first is being made durable, which the crash then prevents."""
    row.hand_over("a-b", 2, KEY)
    row.run(2)

    def say(site: str, peer: str, message: Message, seconds: float) -> None:
        handle = row.fabric.port(places.relay(DOMAIN, site)).bind(places.relay(DOMAIN, peer), "a-b/relay")
        row.host.perform(site, [Send(handle, message)], row.queue.now)
        row.run(seconds)

    say("b", "a", BlockWanted("a-b"), 0.0004)
    (given,) = (number for number, b in row.relays["a"].station.pools["a-b"].blocks.items() if b.giving)
    say("a", "b", BlockGiven("a-b", given), 0.0001)
    row.crash("b")
    row.run(0.1)
    row.restart("b")
    owners = {r.owner for r in row.store.load("b") if isinstance(r, BlockState) and r.number == given}
    assert owners == {"b"}


def test_a_block_that_the_other_end_will_never_hold_is_destroyed(row: Row) -> None:
    row.hand_over("a-b", 2, bytes(64), only="a")
    row.tell(row.agents[("b", "a-b")], "b", BlockLost("a-b", 2))
    row.run(5)
    assert not [r for r in row.store.load("a") if isinstance(r, BlockBits) and r.number == 2]
    assert row.account("a", "a-b")[2] == 512


def test_a_block_is_not_spent_before_both_ends_hold_it() -> None:
    row = Row()
    row.hand_over("a-b", 0, bytes(64), only="a")
    row.request(0, KEY)
    assert row.kmes["a"].take(TransferRefused)
    row.hand_over("a-b", 0, bytes(64), only="b")
    row.run(3)
    row.request(1, KEY)
    assert len(row.relayed) == 1


def test_unequal_bits_at_the_two_ends_are_never_used() -> None:
    row = Row()
    row.hand_over("a-b", 0, bytes(64), only="a")
    row.hand_over("a-b", 0, bytes(63) + b"\x01", only="b")
    row.run(5)
    row.request(0, KEY)
    assert not row.relayed
    assert not [r for site in "ab" for r in row.store.load(site) if isinstance(r, BlockBits)]


def test_a_full_pool_lets_blocks_go_at_both_ends() -> None:
    row = Row(RelayFigures(pool_max_bits=1024))
    for number in range(4):
        row.hand_over("a-b", number, bytes([number]) * 64)
    row.run(5)
    held = [{r.number for r in row.store.load(site) if isinstance(r, BlockBits)} for site in "ab"]
    assert held == [{0, 1}, {0, 1}]


def test_a_block_that_never_fits_is_destroyed_and_booked_at_both_ends_and_its_agents_are_told_the_cure() -> (
    None
):
    row = Row(RelayFigures(pool_max_bits=1024))
    for _ in range(2):
        row.hand_over("a-b", 1, bytes(range(256)))
    row.run(5)
    for site in "ab":
        assert [(said.block, said.refused) for said in row.agents[(site, "a-b")].take(HandOverDone)] == [
            (1, "block 1 of link a-b has 2048 bits of key, and its pool takes 1024: give a shorter block-s")
        ] * 2
        assert row.account(site, "a-b") == (2048, 0, 2048)
        assert not [r for r in row.store.load(site) if isinstance(r, BlockBits)]
        pool = row.relays[site].station.pools["a-b"]
        assert (pool.generated, pool.available(), pool.unconfirmed(), pool.spent()) == (
            2048,
            0,
            0,
            (0, 0, 2048),
        )
    row.crash("a")
    row.restart("a")
    row.run(25)
    row.hand_over("a-b", 2, bytes(128))
    for site in "ab":
        pool = row.relays[site].station.pools["a-b"]
        assert (pool.generated, pool.available(), pool.spent()) == (3072, 1024, (0, 0, 2048))


def test_the_bits_of_a_used_up_block_are_gone(row: Row) -> None:
    held = [row.relays[site].station.pools["a-b"].blocks[0].bits for site in "ab"]
    row.request(0, bytes(64))
    row.place()
    row.run(25)
    for bits in held:
        assert bits is not None
        with pytest.raises(InternalError, match="wiped"):
            bits.reveal()
    for site in "ab":
        assert not [r for r in row.store.load(site) if isinstance(r, BlockBits) and r.key == "a-b/0"]


def test_a_refusal_of_the_far_kme_destroys_the_pads_on_the_whole_path(row: Row) -> None:
    transfer = row.request(0, KEY)
    row.kmes["c"].take(Placement)
    row.tell(row.kmes["c"], "c", Placed(transfer, False, "the session is not open"))
    (settled,) = row.kmes["a"].take(TransferSettled)
    assert (settled.placed, settled.reason) == (False, "the session is not open")
    row.run(25)
    assert row.account("a", "a-b") == row.account("b", "a-b") == (256, 0, 256)


def test_a_relay_knows_the_lineage_of_a_transfer_also_after_a_restart(row: Row) -> None:
    transfer = row.request(0, KEY)
    row.place()
    row.crash("b")
    row.restart("b")
    row.tell(row.controller, "b", TraceTransfer(1, transfer))
    (traced,) = row.controller.take(TransferTraced)
    assert (traced.found, traced.path) == (True, 5)
    assert [s.link for s in (*traced.incoming, *traced.outgoing)] == ["a-b", "b-c"]
    assert {block.bearer for block in traced.blocks} == {"fibre/a-b", "fibre/b-c"}

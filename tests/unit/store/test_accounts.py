import pytest

from qstrata.core.errors import InternalError
from qstrata.store.accounts import Account, LinkAccount, SessionAccount, link_account, session_account
from qstrata.store.records import (
    BatchRecord,
    BatchState,
    BlockState,
    KeyRecord,
    KeyState,
    KeyTotals,
    PoolTotals,
)


def block(
    number: int, length: int, position: int = 0, relayed: int = 0, destroyed: int = 0, *, given: bool = False
):
    return BlockState(
        link="a-b", number=number, length=length, owner="a", position=position, relayed=relayed,
        destroyed=destroyed, provisioned=given, digest="d", bearer="fibre/a-b", made_ps=0,
    )  # fmt: skip


def key(
    sequence: int, state: KeyState = KeyState.POOLED, *, own: bool = True, size_bits: int = 256
) -> KeyRecord:
    return KeyRecord(
        key_id=f"{sequence}/{own}/{state}", session="s", sequence=sequence, own=own, size_bits=size_bits,
        valid_until_ps=0, state=state, bits=None,
    )  # fmt: skip


def batch(sequence: int, state: BatchState) -> BatchRecord:
    return BatchRecord(session="s", sequence=sequence, key_ids=(), state=state)


def test_link_bits_stand_where_their_block_says():
    blocks = [
        block(1, 1000, 600, 300, 100),
        block(2, 500),
        block(3, 300, 300, 0, 300),
        block(4, 50, 10, 10, given=True),
    ]
    account = link_account(blocks)
    assert account == LinkAccount(
        generated=1800, provisioned=50, available=940, in_flight=200, relayed=310, destroyed=400
    )
    assert account.balanced


def test_blocks_folded_into_totals_stay_in_the_account():
    blocks = [block(1, 1000, 1000, 900, 100), block(2, 500, 500, 0, 500, given=True), block(3, 80, 16)]
    totals = PoolTotals(link="a-b", generated=1000, provisioned=500, relayed=900, destroyed=600)
    assert link_account(blocks[2:], totals) == link_account(blocks)


def test_link_bits_that_the_other_end_has_not_confirmed_are_reserved():
    account = link_account([block(1, 1000), block(2, 500)], unconfirmed={2})
    assert (account.available, account.reserved) == (1000, 500)
    assert account.balanced


def test_a_lost_block_shows_against_an_independent_count():
    blocks = [block(1, 1000), block(2, 500, given=True)]
    assert link_account(blocks, generated=1000, provisioned=500).balanced
    assert not link_account(blocks[:1], generated=1000, provisioned=500).balanced
    assert not link_account(blocks[1:], generated=1000, provisioned=500).balanced


@pytest.mark.parametrize("wrong", [block(1, 100, 101), block(1, 100, 50, 40, 11)])
def test_a_block_that_gave_more_than_it_had_is_an_error(wrong: BlockState):
    with pytest.raises(InternalError, match="a-b/1"):
        link_account([wrong])


def test_an_own_key_is_as_far_as_its_batch():
    batches = [batch(1, BatchState.RESERVED), batch(2, BatchState.READY), batch(3, BatchState.VOID)]
    account = session_account([key(1, size_bits=1), key(2, size_bits=2), key(3, size_bits=4)], batches)
    assert account == SessionAccount(generated=7, in_flight=1, available=2, destroyed=4)
    assert account.balanced


def test_a_key_of_the_peer_is_available_whatever_own_batch_has_its_number():
    account = session_account([key(1, own=False)], [batch(1, BatchState.RESERVED)])
    assert account == SessionAccount(generated=256, available=256)


@pytest.mark.parametrize(
    ("state", "term"),
    [
        (KeyState.DELIVERED_IN_PART, "reserved"),
        (KeyState.DELIVERED, "delivered"),
        (KeyState.DESTROYED, "destroyed"),
        (KeyState.EXPIRED, "expired"),
        (KeyState.QUARANTINED, "quarantined"),
    ],
)
def test_a_key_that_left_the_pool_is_where_its_state_says(state: KeyState, term: str):
    account = session_account([key(1, state), key(1, state, own=False)], [batch(1, BatchState.READY)])
    assert account == SessionAccount(generated=512, **{term: 512})
    assert account.balanced


def test_keys_folded_into_totals_stay_in_the_account():
    ended = [
        key(n, state) for n, state in enumerate((KeyState.DELIVERED, KeyState.DESTROYED, KeyState.EXPIRED))
    ]
    totals = KeyTotals(session="s", delivered=256, destroyed=256, expired=256)
    assert session_account([], [], totals) == session_account(ended, [])


def test_a_pooled_own_key_without_its_batch_unbalances_the_account():
    assert not session_account([key(1)], [batch(2, BatchState.READY)]).balanced


def test_every_state_has_a_term():
    keys = [key(1, state, own=own) for state in KeyState for own in (True, False)]
    for state in BatchState:
        assert session_account(keys, [batch(1, state)]).balanced


def test_an_account_is_balanced_only_without_negative_terms():
    assert Account(generated=3, available=1, expired=2).balanced
    assert not Account(generated=3, available=4, expired=-1).balanced
    assert not Account(generated=3, provisioned=1, available=3).balanced

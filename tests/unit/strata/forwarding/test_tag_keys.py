import pytest

from qstrata.core.address import Address, End
from qstrata.core.effects import Commit, Drop, Put, Send
from qstrata.core.errors import InternalError
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.east_west import HandOver, TagKeyWanted
from qstrata.physics.postprocessing.authentication import KEY_BITS
from qstrata.store.accounts import link_account
from qstrata.store.records import TagKey
from qstrata.strata.forwarding.resource.tag_keys import GIVEN_REMEMBERED, TagKeys

AGENT = Address(End.FORWARDING_RES, "lab", "a", "agent.a-b")
SIZE = KEY_BITS // 8
BITS = bytes(range(256))


class StationOf:
    """What the keys need of a station: the handle of the agent."""

    def local(self, end, name):
        return (end, name)


@pytest.fixture
def tags():
    return TagKeys(StationOf(), [])


def apart(tags, number=1, keys=2, provisioned=False, link="a-b"):
    message = HandOver(link, number, KeyMaterial(BITS), f"fibre/{link}", 0, provisioned, keys)
    return tags.set_apart(message)


def answer(effects):
    """Return what is sent, and what is durable before it is."""
    (effect,) = effects
    if isinstance(effect, Commit):
        (sent,) = effect.then(0)
        return sent.message, effect.changes
    assert isinstance(effect, Send)
    return effect.message, ()


def want(tags, block, key="", link="a-b"):
    return answer(tags.wanted(TagKeyWanted(link, block, key), AGENT, 0))


def test_the_first_bits_of_a_block_are_set_apart_and_booked_as_authentication(tags):
    rest, rows = apart(tags)
    assert rest.reveal() == BITS[2 * SIZE :]
    assert [row.record.bits.reveal() for row in rows[:2]] == [BITS[:SIZE], BITS[SIZE : 2 * SIZE]]
    assert all(isinstance(row, Put) for row in rows)
    account = link_account([], tags=tags.totals("a-b"))
    assert account.authentication == account.generated == 2 * KEY_BITS
    assert account.balanced
    apart(tags, 0, 3, provisioned=True)
    account = link_account([], tags=tags.totals("a-b"))
    assert (account.provisioned, account.authentication) == (3 * KEY_BITS, 5 * KEY_BITS)
    assert account.balanced


def test_a_block_that_sets_nothing_apart_stays_whole(tags):
    rest, rows = apart(tags, keys=0)
    assert rest.reveal() == BITS
    assert rows == ()


def test_a_key_leaves_the_ledger_before_it_is_given_and_is_given_to_one_block(tags):
    apart(tags)
    given, changes = want(tags, 5)
    assert changes == (Drop(TagKey.kind, "a-b/1/0"),)
    assert (given.key, given.bits.reveal(), given.left) == ("a-b/1/0", BITS[:SIZE], 1)
    again, changes = want(tags, 5)
    assert (again.key, changes) == ("a-b/1/0", ())
    other, _ = want(tags, 6)
    assert other.key == "a-b/1/1"
    none, _ = want(tags, 7)
    assert (none.key, len(none.bits)) == ("", 0)


def test_the_key_that_the_peer_names_is_given(tags):
    apart(tags)
    assert want(tags, 5, "a-b/1/1")[0].bits.reveal() == BITS[SIZE : 2 * SIZE]
    assert want(tags, 6, "a-b/1/1")[0].key == ""


def test_a_restarted_relay_has_the_keys_that_were_not_given(tags):
    _, rows = apart(tags)
    want(tags, 5)
    kept = [row.record for row in rows if row.record.key != "a-b/1/0"]
    again = TagKeys(StationOf(), kept)
    assert again.totals("a-b").generated == 2 * KEY_BITS
    assert want(again, 6)[0].key == "a-b/1/1"


def test_the_key_of_a_finished_block_is_wiped(tags):
    apart(tags)
    given, _ = want(tags, 5)
    tags.forget("a-b", 5)
    with pytest.raises(InternalError, match="taken or wiped"):
        given.bits.reveal()
    assert want(tags, 5)[0].key == "a-b/1/1"


def test_a_key_asked_for_again_is_given_once_it_has_left_the_ledger(tags):
    apart(tags)
    wanted = TagKeyWanted("a-b", 5, "")
    (leaving,) = tags.wanted(wanted, AGENT, 0)
    assert tags.wanted(wanted, AGENT, 0) == []
    (sent,) = leaving.then(0)
    assert tags.wanted(wanted, AGENT, 0) == [sent]


def test_a_key_whose_block_is_lost_while_it_leaves_the_ledger_is_given_to_nobody(tags):
    apart(tags)
    (leaving,) = tags.wanted(TagKeyWanted("a-b", 5, ""), AGENT, 0)
    tags.forget("a-b", 5)
    assert leaving.then(0) == []


def test_a_key_that_gives_way_to_another_of_its_block_is_wiped(tags):
    apart(tags)
    first, _ = want(tags, 5)
    want(tags, 5, "a-b/1/1")
    with pytest.raises(InternalError, match="taken or wiped"):
        first.bits.reveal()


def test_blocks_of_other_links_cost_a_block_nothing(tags):
    apart(tags)
    given, _ = want(tags, 5)
    for number in range(100):
        link = f"c{number % 4}-d"
        apart(tags, number, 1, link=link)
        assert want(tags, number, link=link)[0].key == f"{link}/{number}/0"
    assert want(tags, 5) == (given, ())
    assert given.bits.reveal() == BITS[:SIZE]


def test_a_link_remembers_what_its_last_blocks_were_given_and_no_more(tags):
    given = []
    for number in range(GIVEN_REMEMBERED + 1):
        apart(tags, number, 1)
        given.append(want(tags, number)[0])
    with pytest.raises(InternalError, match="taken or wiped"):
        given[0].bits.reveal()
    assert all(each.bits.reveal() for each in given[1:])


def test_what_blocks_of_a_link_were_given_is_wiped_with_the_link(tags):
    apart(tags)
    apart(tags, link="c-d")
    given, other = want(tags, 5)[0], want(tags, 5, link="c-d")[0]
    tags.end("a-b")
    with pytest.raises(InternalError, match="taken or wiped"):
        given.bits.reveal()
    assert other.bits.reveal() == BITS[:SIZE]

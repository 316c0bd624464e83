"""Memory devices beside key links in one twin: who is answered by what, and what another plan changes."""

import msgspec
import pytest

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.qubits import CreatePair, Done, Heralded, PrepareQubit, Refusal, Refused
from tests.unit.twin.harness import World, link_plan, running, switch_on, twin_plan
from tests.unit.twin.pair_harness import memory, owner, pair_link

ENDS = {"memories": (memory("a"), memory("b")), "pair_links": (pair_link("a", "b"),)}


def pairs_plan(*links, **changes):
    entangled = msgspec.structs.replace(ENDS["pair_links"][0], name="a-b/pairs", fibre="fibre/pairs")
    return twin_plan(*links, memories=ENDS["memories"], pair_links=(entangled,), **changes)


def entangle(world):
    for site in "ab":
        world.tell(owner(site), CreatePair("c", "a-b/pairs", 0))


def test_key_links_and_pairs_run_side_by_side_and_move_none_of_each_others_draws():
    alone = running(link_plan("a", "b"))
    world = World(pairs_plan(link_plan("a", "b")))
    switch_on(world)
    entangle(world)
    world.run_until(25 * PS_PER_S)
    assert len(world.received(owner("a"), Heralded)) == 1
    key_traffic = [entry for entry in world.sent if not isinstance(entry[-1], Heralded)]
    assert key_traffic == alone.sent


def test_a_plan_that_changes_no_memory_leaves_its_qubits():
    plan = pairs_plan(link_plan("a", "b"))
    world = World(plan)
    assert world.tell(owner("a"), PrepareQubit("p", 1)) == [Done("p")]
    world.adopt(pairs_plan(link_plan("a", "b", loss_db=9.0)))
    (answer,) = world.tell(owner("a"), PrepareQubit("q", 1))
    assert answer == Refused("q", Refusal.CELL_TAKEN)


def test_a_plan_with_other_memories_begins_with_empty_ones_and_old_attempts_tell_nothing():
    plan = pairs_plan(link_plan("a", "b"))
    world = World(plan)
    world.tell(owner("a"), PrepareQubit("p", 1))
    entangle(world)
    world.adopt(msgspec.structs.replace(plan, memories=(memory("a", cells=3), memory("b"))))
    assert world.tell(owner("a"), PrepareQubit("q", 1)) == [Done("q")]
    world.run_until(PS_PER_S)
    assert world.received(owner("a"), Heralded) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a-b"},
        {"fibre": "fibre/a-b"},
    ],
)
def test_a_pair_link_shares_neither_name_nor_fibre_with_a_key_link(changes):
    link = msgspec.structs.replace(pairs_plan().pair_links[0], **changes)
    with pytest.raises(InputError, match="twice"):
        World(twin_plan(link_plan("a", "b"), memories=ENDS["memories"], pair_links=(link,)))

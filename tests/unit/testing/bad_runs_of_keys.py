"""Runs that break a rule of keys or of their clients, each with that rule."""

from collections.abc import Callable

import msgspec

from qstrata.fabric.log import Answered, BlockHeld, NodeEvent
from qstrata.store.records import KeyState
from qstrata.testing.history import Outcome
from tests.unit.testing.story import BATCH, BLOCK, KEY, LINK, SESSION, Story


def enc_answered_twice(story: Story) -> None:
    story.whole()
    story.note(Answered("north", "A", "enc", "k1"))


def dec_answered_twice_to_one_sae(story: Story) -> None:
    story.whole()
    story.note(Answered("south", "B", "dec", "k1"))


def delivery_mark_forgotten(story: Story) -> None:
    story.whole()
    story.put("south", KEY, own=False, state=KeyState.DELIVERED)


def answered_before_durable(story: Story) -> None:
    story.pooled()
    story.answer("north", "A", "enc")
    story.mark("north", "A", own=True)


def answered_with_a_mark_for_another_sae(story: Story) -> None:
    story.pooled()
    story.mark("north", "C", own=True)
    story.answer("north", "A", "enc")


def key_left_before_durable(story: Story) -> None:
    story.pooled()
    story.send("T1", "service.res/d/north/kme", "KeysDelivered", 7, "k1")
    story.mark("north", "A", own=True)
    story.note(Answered("north", "A", "enc", "k1"))


def key_left_twice(story: Story) -> None:
    story.whole()
    story.send("T1", "service.res/d/south/kme", "KeysDelivered", 8, "k0 k1")


def enc_at_the_wrong_side(story: Story) -> None:
    story.pooled()
    story.mark("south", "B", own=False)
    story.answer("south", "B", "enc")


def dec_at_the_wrong_side(story: Story) -> None:
    story.pooled()
    story.put("north", SESSION)
    story.mark("north", "A", own=True)
    story.answer("north", "A", "dec")


def key_differs_between_the_ends(story: Story) -> None:
    story.held("north", 1, digest="d1")
    story.held("south", 0, digest="d2")


def key_drawn_at_both_ends(story: Story) -> None:
    story.held("north", 1)
    story.held("south", 1)


def key_drawn_nowhere(story: Story) -> None:
    story.held("south", 0)


def block_differs_between_the_ends(story: Story) -> None:
    story.blocks()
    story.note(BlockHeld("south", LINK, 0, 1000, 0, "b1"))


def block_row_differs_between_the_ends(story: Story) -> None:
    story.blocks()
    story.put("south", BLOCK, length=999)


def answered_after_its_end(story: Story) -> None:
    story.pooled()
    story.now = 10_001
    story.mark("north", "A", own=True)
    story.answer("north", "A", "enc")


def dead_key_answered(story: Story) -> None:
    story.pooled()
    story.put("north", KEY, state=KeyState.DESTROYED, delivered_to=("A",))
    story.answer("north", "A", "enc")


def expired_key_revived_by_a_restart(story: Story) -> None:
    story.pooled()
    story.put("south", KEY, own=False, state=KeyState.EXPIRED)
    story.note(NodeEvent("south", "crash"))
    story.put("south", KEY, own=False)


def dropped_key_revived(story: Story) -> None:
    story.pooled()
    for site in ("north", "south"):
        story.drop(site, "key", "k1")
    story.put("south", KEY, own=False)


def client_got_what_was_never_answered(story: Story) -> None:
    story.pooled()
    story.call("A", "B", "enc")


def client_got_a_key_twice(story: Story) -> None:
    story.whole()
    story.call("A", "B", "enc", at=300)


def clients_differ(story: Story) -> None:
    story.pooled()
    story.enc()
    story.dec()
    story.calls[-1] = msgspec.structs.replace(story.calls[-1], digests=("d2",))


def clients_agree_on_what_no_kme_holds(story: Story) -> None:
    story.whole()
    story.calls = [msgspec.structs.replace(call, digests=("d2",)) for call in story.calls]


def void_key_kept_by_the_far_end(story: Story) -> None:
    story.pooled()
    story.put("north", BATCH)
    story.put("north", KEY, state=KeyState.DESTROYED)
    story.drop("north", "batch", BATCH.key)


def third_sae_got_the_key(story: Story) -> None:
    story.pooled()
    story.enc()
    story.mark("south", "C", own=False)
    story.answer("south", "C", "dec")
    story.call("C", "A", "dec")


def acknowledged_key_was_lost(story: Story) -> None:
    story.pooled()
    story.enc()
    story.call("B", "A", "dec", Outcome.REFUSED, at=200)


def slave_got_its_copy_twice(story: Story) -> None:
    story.several()
    story.fetch("C")
    story.note(Answered("south", "C", "dec", "k1"))


def copy_left_twice(story: Story) -> None:
    story.several()
    story.fetch("C")
    story.send("T1", "service.res/d/south/kme", "KeysDelivered", 8, "k1")


def copies_differ(story: Story) -> None:
    story.held("north", 1)
    story.held("north", 1, digest="d2", session="s2")


def copy_placed_for_whom_it_was_not_drawn(story: Story) -> None:
    story.several()
    story.held("south", 0, session="s4")


def unnamed_sae_got_a_copy(story: Story) -> None:
    story.several()
    story.copy("south", "s2", "E", own=False)
    story.answer("south", "E", "dec")
    story.call("E", "A", "dec")


def slave_got_the_key_as_another_masters(story: Story) -> None:
    story.several()
    story.copy("south", "s2", "C", own=False)
    story.answer("south", "C", "dec")
    story.call("C", "B", "dec")


def master_answered_before_all_copies_are_marked(story: Story) -> None:
    for session in ("s1", "s2"):
        story.held("north", 1, session=session)
        story.copy("north", session, own=True)
    story.copy("north", "s1", "A", own=True)
    story.answer("north", "A", "enc")


def copy_of_a_slave_was_lost(story: Story) -> None:
    story.several()
    story.fetch("B")
    story.call("C", "A", "dec", Outcome.REFUSED, at=400)


def void_copy_kept_by_the_far_end(story: Story) -> None:
    story.several()
    story.put("north", BATCH, session="s2")
    story.drop("north", "batch", "s2/0")


def expired_copy_revived(story: Story) -> None:
    story.several()
    story.put("south", KEY, session="s2", shared=True, own=False, state=KeyState.EXPIRED)
    story.copy("south", "s2", own=False)


def probe_left_twice_before_durable(story: Story) -> None:
    story.put("north", SESSION, peer="A", peer_site="north")
    story.held("north", 1)
    story.put("north", KEY, state=KeyState.DELIVERED_IN_PART, delivered_to=("A",))
    story.answer("north", "A", "enc")
    story.answer("north", "A", "dec")


RUNS: list[tuple[str, Callable[[Story], None]]] = [
    ("key-once", enc_answered_twice),
    ("key-once", dec_answered_twice_to_one_sae),
    ("key-once", delivery_mark_forgotten),
    ("sync-before-answer", answered_before_durable),
    ("sync-before-answer", answered_with_a_mark_for_another_sae),
    ("sync-before-answer", key_left_before_durable),
    ("sync-before-answer", key_left_twice),
    ("sides", enc_at_the_wrong_side),
    ("sides", dec_at_the_wrong_side),
    ("equal-ends", key_differs_between_the_ends),
    ("equal-ends", key_drawn_at_both_ends),
    ("equal-ends", key_drawn_nowhere),
    ("equal-ends", void_key_kept_by_the_far_end),
    ("equal-ends", block_differs_between_the_ends),
    ("equal-ends", block_row_differs_between_the_ends),
    ("expired", answered_after_its_end),
    ("expired", dead_key_answered),
    ("expired", expired_key_revived_by_a_restart),
    ("expired", dropped_key_revived),
    ("histories-agree", client_got_what_was_never_answered),
    ("histories-agree", client_got_a_key_twice),
    ("equal-clients", clients_differ),
    ("equal-clients", clients_agree_on_what_no_kme_holds),
    ("right-pair", third_sae_got_the_key),
    ("nothing-lost", acknowledged_key_was_lost),
    ("key-once", slave_got_its_copy_twice),
    ("sync-before-answer", copy_left_twice),
    ("sync-before-answer", master_answered_before_all_copies_are_marked),
    ("sync-before-answer", probe_left_twice_before_durable),
    ("equal-ends", copies_differ),
    ("equal-ends", copy_placed_for_whom_it_was_not_drawn),
    ("equal-ends", void_copy_kept_by_the_far_end),
    ("expired", expired_copy_revived),
    ("right-pair", unnamed_sae_got_a_copy),
    ("right-pair", slave_got_the_key_as_another_masters),
    ("nothing-lost", copy_of_a_slave_was_lost),
]

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
]

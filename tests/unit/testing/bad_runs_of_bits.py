"""Runs that break a rule of link bits or of the fabric, each with that rule."""

from collections.abc import Callable

from qstrata.fabric.log import NodeEvent, Sampled, Scanned, Settled
from tests.unit.testing.story import BLOCK, LINK, Story


def pad_bits_used_twice(story: Story) -> None:
    story.pooled()
    story.mask(offset=128, length=128, of="t2")


def pad_bits_used_twice_inside_a_larger_run(story: Story) -> None:
    story.blocks()
    story.put("north", BLOCK, position=1000)
    story.mask(offset=300, length=100)
    story.mask(offset=500, length=100, of="t2")
    story.mask(offset=200, length=700, of="t3")


def unmasked_with_other_bits(story: Story) -> None:
    story.blocks()
    story.carried()
    story.pad("south", "unmask", digest="p1")


def unmasked_for_another_transfer(story: Story) -> None:
    story.blocks()
    story.carried()
    story.pad("south", "unmask", of="t2")


def unmasked_again_after_it_was_followed(story: Story) -> None:
    story.pooled()
    story.pad("south", "unmask")


def unmasked_where_it_was_masked(story: Story) -> None:
    story.pooled()
    story.pad("north", "unmask")


def masked_before_durable(story: Story) -> None:
    story.blocks()
    story.mask()
    story.put("north", BLOCK, position=256)


def masked_beyond_what_is_durable(story: Story) -> None:
    story.blocks()
    story.put("north", BLOCK, position=255)
    story.mask()


def masked_with_a_durable_mark_of_the_other_site_only(story: Story) -> None:
    story.blocks()
    story.put("south", BLOCK, position=256)
    story.mask()


def sent_before_masked(story: Story) -> None:
    story.blocks()
    story.put("north", BLOCK, position=256)
    story.relay()
    story.mask()


def sent_without_a_mask(story: Story) -> None:
    story.blocks()
    story.leg()
    story.relay()


def sent_without_a_mask_before_its_leg(story: Story) -> None:
    story.relay()
    story.leg()


def sent_twice(story: Story) -> None:
    story.pooled()
    story.relay()


def gap_allocated_again_after_a_crash(story: Story) -> None:
    story.blocks()
    story.put("north", BLOCK, position=512)
    story.mask(length=256)
    story.note(NodeEvent("north", "crash"))
    story.mask(offset=256, of="t2")


def gap_allocated_again_after_a_kill(story: Story) -> None:
    story.blocks()
    story.put("north", BLOCK, position=512)
    story.mask(length=256)
    story.restart_the_process()
    story.mask(offset=256, of="t2")


def position_lost_by_a_crash(story: Story) -> None:
    story.pooled()
    story.note(NodeEvent("south", "crash"))
    story.put("south", BLOCK, position=0)


def gap_not_burnt_after_a_crash(story: Story) -> None:
    story.pooled()
    story.note(NodeEvent("north", "crash"))
    story.put("north", BLOCK, position=256, relayed=128)
    story.note(Settled("north", LINK, 0, 256, 128, 0))


def masked_by_the_follower(story: Story) -> None:
    story.blocks()
    story.put("south", BLOCK, position=256)
    story.mask("south")


def masked_by_both_ends(story: Story) -> None:
    story.pooled()
    story.put("south", BLOCK, owner="south", position=512)
    story.mask("south", offset=256, of="t2")


def owner_changed_twice(story: Story) -> None:
    story.blocks()
    story.put("north", BLOCK, owner="south")
    story.put("north", BLOCK, owner="north")


def secret_on_a_control_arrow(story: Story) -> None:
    story.note(Scanned("F1", "service.res/d/north/kme", "service.ctl/d/control/controller", "KmeHello"))


def account_loses_bits(story: Story) -> None:
    story.note(Sampled("north", LINK, 1000, 0, 700, 0, 0, 299, 0, 0, 0, 0, 0))


def account_is_negative(story: Story) -> None:
    story.note(Sampled("north", LINK, 1000, 0, 1100, 0, -100, 0, 0, 0, 0, 0, 0))


def block_settles_more_than_it_allocated(story: Story) -> None:
    story.put("north", BLOCK, position=100, relayed=60, destroyed=41)


def block_allocates_more_than_it_has(story: Story) -> None:
    story.put("north", BLOCK, position=1001)


def block_goes_back(story: Story) -> None:
    story.put("north", BLOCK, position=200, relayed=100)
    story.put("north", BLOCK, position=200, relayed=99)


def dropped_block_comes_back(story: Story) -> None:
    story.blocks()
    story.drop("north", "block", f"{LINK}/0")
    story.put("north", BLOCK)


def watermarks_differ(story: Story) -> None:
    story.put("north", BLOCK, position=256, relayed=256)
    story.note(Settled("north", LINK, 0, 256, 256, 0))
    story.note(Settled("south", LINK, 0, 256, 156, 100))


def watermark_not_durable_at_its_site(story: Story) -> None:
    story.put("south", BLOCK, position=256, relayed=100, destroyed=156)
    story.note(Settled("south", LINK, 0, 256, 256, 0))


def watermark_ahead_of_its_owner(story: Story) -> None:
    story.put("north", BLOCK, position=256, relayed=100)
    story.note(Settled("south", LINK, 0, 256, 101, 0))


def refused_message(story: Story) -> None:
    story.send("F1", "service.res/d/north/kme", "KmeHello", outcome="refused")


RUNS: list[tuple[str, Callable[[Story], None]]] = [
    ("pad-once", pad_bits_used_twice),
    ("pad-once", pad_bits_used_twice_inside_a_larger_run),
    ("pad-once", unmasked_with_other_bits),
    ("pad-once", unmasked_for_another_transfer),
    ("pad-once", unmasked_again_after_it_was_followed),
    ("pad-once", unmasked_where_it_was_masked),
    ("spent-before-sent", masked_before_durable),
    ("spent-before-sent", masked_beyond_what_is_durable),
    ("spent-before-sent", masked_with_a_durable_mark_of_the_other_site_only),
    ("spent-before-sent", sent_before_masked),
    ("spent-before-sent", sent_without_a_mask),
    ("spent-before-sent", sent_without_a_mask_before_its_leg),
    ("spent-before-sent", sent_twice),
    ("spent-gap", gap_allocated_again_after_a_crash),
    ("spent-gap", gap_allocated_again_after_a_kill),
    ("spent-gap", position_lost_by_a_crash),
    ("spent-gap", gap_not_burnt_after_a_crash),
    ("one-owner", masked_by_the_follower),
    ("one-owner", masked_by_both_ends),
    ("one-owner", owner_changed_twice),
    ("never-arrows", secret_on_a_control_arrow),
    ("conservation", account_loses_bits),
    ("conservation", account_is_negative),
    ("conservation", block_settles_more_than_it_allocated),
    ("conservation", block_allocates_more_than_it_has),
    ("conservation", block_goes_back),
    ("conservation", dropped_block_comes_back),
    ("settled-watermarks", watermarks_differ),
    ("settled-watermarks", watermark_not_durable_at_its_site),
    ("settled-watermarks", watermark_ahead_of_its_owner),
    ("refusals", refused_message),
]

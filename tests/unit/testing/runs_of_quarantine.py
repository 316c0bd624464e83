"""Runs with a quarantine: good ones, and those that break its rules, each with that rule."""

from collections.abc import Callable

from qstrata.fabric.log import BlockHeld, NodeEvent, PadUsed
from qstrata.store.records import KeyState
from qstrata.testing.history import Outcome
from tests.unit.testing.story import BLOCK, KEY, LINK, Story


def order_keys(story: Story, site: str, exposed: str = "") -> None:
    """Order a KME to set the keys of the one transfer aside, and let it say that it has."""
    story.send("F1", "service.ctl/d/control/controller", "QuarantineKeys", LINK, 5, "s1/north/0")
    if not exposed:
        story.put(site, KEY, own=site == "north", state=KeyState.QUARANTINED)
    story.send("F1", f"service.res/d/{site}/kme", "KeysQuarantined", LINK, 5, exposed)


def order_blocks(story: Story, last: int = 3) -> None:
    story.send("F2", "forwarding.ctl/d/control/controller", "QuarantineBlocks", LINK, 4, 0, last)
    story.send("F2", "forwarding.res/d/north/relay", "BlocksQuarantined", LINK, 4, 744)


def clean_given_key_is_named_and_its_copy_set_aside(story: Story) -> None:
    story.pooled()
    story.enc()
    order_keys(story, "north", exposed="k1")
    order_keys(story, "south")
    story.now += 100
    story.call("B", "A", "dec", Outcome.REFUSED)


def clean_blocks_beyond_the_window_mask_on(story: Story) -> None:
    story.blocks()
    order_blocks(story)
    for site in ("north", "south"):
        story.note(BlockHeld(site, LINK, 4, 1000, 0, "b4"))
        story.put(site, BLOCK, number=4, digest="b4")
    story.put("north", BLOCK, number=4, digest="b4", position=256)
    story.leg()
    story.note(PadUsed("north", LINK, 4, 0, 256, "mask", "t1", "p0"))


def clean_block_that_comes_after_a_restart(story: Story) -> None:
    order_blocks(story)
    story.note(NodeEvent("north", "start"))
    story.blocks()
    story.carry()


def key_given_after_it_was_set_aside(story: Story) -> None:
    story.pooled()
    story.send("F1", "service.ctl/d/control/controller", "QuarantineKeys", LINK, 5, "s1/north/0")
    story.send("F1", "service.res/d/south/kme", "KeysQuarantined", LINK, 5, "")
    story.enc()
    story.dec()


def block_masks_after_it_was_set_aside(story: Story) -> None:
    story.blocks()
    order_blocks(story)
    story.carry()


def block_masks_that_came_after_it_was_set_aside(story: Story) -> None:
    order_blocks(story)
    story.blocks()
    story.carry()


def given_key_not_named(story: Story) -> None:
    story.whole()
    story.send("F1", "service.ctl/d/control/controller", "QuarantineKeys", LINK, 5, "s1/north/0")
    story.send("F1", "service.res/d/north/kme", "KeysQuarantined", LINK, 5, "k2 k3")


HEAD = "forwarding.res/d/north/repeater.c1"


def mark(story: Story, suspected: bool) -> None:
    story.send("F2", HEAD, "CircuitMarked", "c1", 7, suspected)


def choose(story: Story, pair: str, tested: bool, sender: str = HEAD) -> None:
    story.send("T5", sender, "PairChoice", "c1", pair, tested)


def clean_marked_circuit_keeps_no_pair_until_it_is_marked_so_no_more(story: Story) -> None:
    choose(story, "l/1", tested=False)
    mark(story, suspected=True)
    choose(story, "l/2", tested=True)
    # A station between passes the head's word on.
    choose(story, "l/1", tested=False, sender="forwarding.res/d/south/repeater.c1")
    mark(story, suspected=False)
    choose(story, "l/3", tested=False)
    mark(story, suspected=True)
    story.note(NodeEvent("north", "start"))
    choose(story, "l/4", tested=False)


def pair_of_a_marked_circuit_is_kept(story: Story) -> None:
    mark(story, suspected=True)
    choose(story, "l/2", tested=False)


CLEAN: list[Callable[[Story], None]] = [
    clean_given_key_is_named_and_its_copy_set_aside,
    clean_blocks_beyond_the_window_mask_on,
    clean_block_that_comes_after_a_restart,
    clean_marked_circuit_keeps_no_pair_until_it_is_marked_so_no_more,
]
RUNS: list[tuple[str, Callable[[Story], None]]] = [
    ("set-aside", key_given_after_it_was_set_aside),
    ("set-aside", block_masks_after_it_was_set_aside),
    ("set-aside", block_masks_that_came_after_it_was_set_aside),
    ("exposed-named", given_key_not_named),
    ("suspect-kept", pair_of_a_marked_circuit_is_kept),
]

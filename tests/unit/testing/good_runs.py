"""Runs that break no rule, though they look as if they might."""

from qstrata.fabric.log import NodeEvent, Settled
from qstrata.store.records import KeyState
from qstrata.testing.history import Outcome
from tests.unit.testing.story import BATCH, BLOCK, KEY, LINK, SESSION, Story


def clean_crash(story: Story) -> None:
    story.blocks()
    story.carry()
    story.note(NodeEvent("north", "crash"))
    story.note(NodeEvent("north", "start"))
    story.put("north", BLOCK, position=256, destroyed=256)
    story.put("north", BLOCK, position=512, destroyed=256)
    story.mask(offset=256, of="t2")


def clean_mark_of_what_a_crash_burnt(story: Story) -> None:
    story.blocks()
    story.carry()
    story.note(NodeEvent("north", "crash"))
    story.put("north", BLOCK, position=512, destroyed=256)
    for site in ("south", "north"):
        story.note(Settled(site, LINK, 0, 512, 0, 256))


def clean_void_batch(story: Story) -> None:
    story.pooled()
    story.put("north", BATCH)
    for site in ("north", "south"):
        story.put(site, KEY, own=site == "north", state=KeyState.DESTROYED)
    story.drop("north", "batch", BATCH.key)


def clean_ownership_change(story: Story) -> None:
    story.blocks()
    for site in ("north", "south"):
        story.put(site, BLOCK, owner="south")
    story.put("south", BLOCK, owner="south", position=256)
    story.pad("south", "mask")
    story.pad("north", "unmask")


def clean_local_session(story: Story) -> None:
    story.put("north", SESSION, peer_site="north")
    story.held("north", 1)
    story.put("north", KEY)
    story.put("north", KEY, state=KeyState.DELIVERED_IN_PART, delivered_to=("A",))
    story.answer("north", "A", "enc")
    story.put("north", KEY, state=KeyState.DELIVERED, delivered_to=("A", "B"))
    story.answer("north", "B", "dec")


def clean_watermarks(story: Story) -> None:
    story.pooled()
    story.put("north", BLOCK, position=256, relayed=128)
    story.note(Settled("south", LINK, 0, 256, 128, 0))
    story.put("north", BLOCK, position=256, relayed=128, destroyed=128)
    story.put("south", BLOCK, position=256, relayed=128, destroyed=128)
    story.note(Settled("south", LINK, 0, 256, 128, 128))
    story.note(Settled("north", LINK, 0, 256, 128, 0))
    story.note(Settled("north", LINK, 0, 256, 128, 128))


def clean_void_notice(story: Story) -> None:
    story.relay("t-void")


def clean_refused_dec_of_a_second_try(story: Story) -> None:
    story.whole()
    story.now += 100
    story.call("B", "A", "dec", Outcome.REFUSED)


def clean_refused_dec_after_a_lost_answer(story: Story) -> None:
    story.pooled()
    story.enc()
    story.call("B", "A", "dec", Outcome.UNKNOWN, at=200)
    story.call("B", "A", "dec", Outcome.REFUSED, at=300)


def clean_refused_dec_of_an_expired_key(story: Story) -> None:
    story.pooled()
    story.enc()
    story.call("B", "A", "dec", Outcome.REFUSED, at=10_001)


def clean_refused_dec_by_a_third_sae(story: Story) -> None:
    story.pooled()
    story.enc()
    story.call("C", "A", "dec", Outcome.REFUSED, at=200)


def clean_refused_dec_of_a_closed_session(story: Story) -> None:
    story.pooled()
    story.enc()
    story.put("south", SESSION, closed=True)
    story.call("B", "A", "dec", Outcome.REFUSED, at=200)


def clean_unavailable_dec(story: Story) -> None:
    story.pooled()
    story.enc()
    story.call("B", "A", "dec", Outcome.UNAVAILABLE, at=200)


def clean_dropped_rows(story: Story) -> None:
    story.whole()
    for site in ("north", "south"):
        story.drop(site, "key", "k1")
        story.put(site, BLOCK, position=1000, destroyed=1000)
        story.drop(site, "block", f"{LINK}/0")


def clean_repeated_relay_by_the_fabric(story: Story) -> None:
    story.pooled()
    story.send("T5", "forwarding.res/d/north/relay", "Relay", "t1", LINK, outcome="again")
    story.send("T1", "service.res/d/north/kme", "KeysDelivered", 7, "k1", outcome="bearer-down")


def clean_expiry_after_a_durable_delivery(story: Story) -> None:
    story.pooled()
    story.mark("north", "A", own=True)
    story.put("north", KEY, state=KeyState.EXPIRED, delivered_to=("A",))
    story.answer("north", "A", "enc")


def clean_several_slaves(story: Story) -> None:
    story.several()
    for sae in ("D", "C", "B"):
        story.fetch(sae)


def clean_fold_of_one_copy_before_the_others(story: Story) -> None:
    story.several()
    story.fetch("B")
    for site in ("north", "south"):
        story.drop(site, "key", "k1/s1")
    story.fetch("C")
    story.fetch("D")


def clean_void_batch_of_one_copy(story: Story) -> None:
    for session in ("s1", "s2"):
        story.held("north", 1, session=session)
        story.copy("north", session, own=True)
        story.held("south", 0, session=session)
        story.copy("south", session, own=False)
    for site in ("north", "south"):
        story.put(site, KEY, shared=True, own=site == "north", state=KeyState.DESTROYED)
    story.put("north", BATCH)
    story.drop("north", "batch", BATCH.key)


def clean_probe_of_an_sae_with_itself(story: Story) -> None:
    story.put("north", SESSION, peer="A", peer_site="north")
    story.held("north", 1)
    story.put("north", KEY)
    story.put("north", KEY, state=KeyState.DELIVERED_IN_PART, delivered_to=("A",))
    story.answer("north", "A", "enc")
    story.call("A", "A", "enc")
    story.put("north", KEY, state=KeyState.DELIVERED, delivered_to=("A", "A"))
    story.answer("north", "A", "dec")
    story.call("A", "A", "dec")


CLEAN = [
    clean_several_slaves,
    clean_fold_of_one_copy_before_the_others,
    clean_void_batch_of_one_copy,
    clean_probe_of_an_sae_with_itself,
    clean_expiry_after_a_durable_delivery,
    Story.whole,
    clean_crash,
    clean_mark_of_what_a_crash_burnt,
    clean_void_batch,
    clean_ownership_change,
    clean_local_session,
    clean_watermarks,
    clean_void_notice,
    clean_refused_dec_of_a_second_try,
    clean_refused_dec_after_a_lost_answer,
    clean_refused_dec_of_an_expired_key,
    clean_refused_dec_by_a_third_sae,
    clean_refused_dec_of_a_closed_session,
    clean_unavailable_dec,
    clean_dropped_rows,
    clean_repeated_relay_by_the_fabric,
]

"""What may be traced, and how the story of a key is told."""

import pytest

from qstrata.core.errors import InputError
from qstrata.core.service_unit import ServiceUnitId
from qstrata.core.time import PS_PER_S, EpochAnchor
from qstrata.fabric.messages.forwarding_control import TransferTraced
from qstrata.fabric.messages.service_control import KeyTrace
from qstrata.network.tracing import NEWEST_KEYS, own_bits, subject, told, trace_view, transfers
from qstrata.store.records import Segment

UNIT = (
    "urn:qkd:madqci:aquiles:sae?=nonce=aa\n"
    "urn:qkd:madqci:quintin:sae?=nonce=bb\n"
    "urn:qkd:lifecycle?=size=256&valid-until=1800000000"
)
KEY_ID = "4cbfcf62-ceb4-42ca-9852-d3fba79d484a"
ANCHOR = EpochAnchor(1_800_000_000)


def key(
    key_id: str = KEY_ID,
    site: str = "quintin",
    transfer: str = "t1",
    until_s: int = 60,
    session: str = "s",
) -> KeyTrace:
    return KeyTrace(
        key_id=key_id,
        session=session,
        unit=UNIT,
        site=site,
        own=site == "quintin",
        size_bits=256,
        state="delivered",
        valid_until_ps=until_s * PS_PER_S,
        delivered_to=("urn:qkd:madqci:quintin:sae",),
        transfer=transfer if site == "quintin" else "",
    )


def leg(site: str, incoming: str = "", outgoing: str = "", at_ps: int = 0) -> TransferTraced:
    def pads(link: str) -> tuple[Segment, ...]:
        return (Segment(link, 1, 0, 256),) if link else ()

    return TransferTraced(
        request=1,
        site=site,
        found=True,
        path=7,
        at_ps=at_ps,
        incoming=pads(incoming),
        outgoing=pads(outgoing),
        blocks=(),
    )


def test_key_id_and_digest_are_taken_as_they_are() -> None:
    assert subject(f" {KEY_ID.upper()}\n") == KEY_ID
    assert subject("1507fbb1474a1ac4") == "1507fbb1474a1ac4"


@pytest.mark.parametrize("separator", ["\n", " ", "\r\n"])
def test_identifier_of_a_unit_stands_for_its_digest_in_any_order(separator: str) -> None:
    lines = UNIT.split("\n")
    assert subject(separator.join(reversed(lines))) == ServiceUnitId.parse(UNIT).digest


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("urn:qkd:madqci:quintin:sae", "whole identifier"),
        ("", "no key id"),
        ("nonsense", "copy one from"),
        ("urn:qkd:madqci:quintin:sae urn:qkd:madqci:aquiles:sae", "lifecycle"),
    ],
)
def test_other_texts_are_refused_with_a_hint(wanted: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        subject(wanted)


def test_hops_stand_in_the_order_of_the_path() -> None:
    legs = [
        leg("c", incoming="b-c", at_ps=5),
        leg("b", "a-b", "b-c", at_ps=5),
        leg("a", outgoing="a-b", at_ps=5),
    ]
    view = trace_view(KEY_ID, [key(), key(site="aquiles")], {"t1": legs}, ANCHOR)
    (story,) = view.stories
    assert [hop.site for hop in story.hops] == ["a", "b", "c"]
    assert [(end.site, end.own) for end in story.ends] == [("quintin", True), ("aquiles", False)]
    assert story.valid_until == "2027-01-15T08:01:00Z"


def test_copies_of_a_key_for_several_slaves_have_a_story_each() -> None:
    legs = {"t1": [leg("a", outgoing="a-b")], "t2": [leg("a", outgoing="a-c")]}
    keys = [key(), key(session="z", transfer="t2"), key(site="aquiles"), key(site="quijote", session="z")]
    stories = trace_view(KEY_ID, keys, legs, ANCHOR).stories
    assert [(s.session, s.transfer, [end.site for end in s.ends]) for s in stories] == [
        ("s", "t1", ["quintin", "aquiles"]),
        ("z", "t2", ["quintin", "quijote"]),
    ]


def test_a_lost_leg_does_not_hide_the_others() -> None:
    legs = [leg("c", incoming="b-c", at_ps=9), leg("a", outgoing="a-b", at_ps=5)]
    (story,) = trace_view(KEY_ID, [key()], {"t1": legs}, ANCHOR).stories
    assert [hop.site for hop in story.hops] == ["a", "c"]


def test_a_key_that_never_left_its_kme_has_no_hops() -> None:
    keys = [key(transfer="")]
    assert transfers(keys) == ()
    (story,) = trace_view(KEY_ID, keys, {}, ANCHOR).stories
    assert (story.transfer, story.hops) == ("", ())


def test_keys_of_one_transfer_ask_for_it_once() -> None:
    assert transfers([key("a"), key("b"), key("c", transfer="t2")]) == ("t1", "t2")


def test_only_the_newest_keys_of_a_unit_are_told_at_all_their_ends() -> None:
    keys = [key(str(n), site, until_s=n) for site in ("quintin", "aquiles") for n in range(NEWEST_KEYS + 5)]
    found = told(keys)
    assert {each.key_id for each in found} == {str(n) for n in range(5, NEWEST_KEYS + 5)}
    assert len(found) == 2 * NEWEST_KEYS


def test_a_key_shows_the_pad_bits_that_masked_it_and_no_others() -> None:
    batch = (Segment("a-b", 1, 800, 400), Segment("a-b", 3, 0, 624))
    assert own_bits(batch, 256, 256) == (Segment("a-b", 1, 1056, 144), Segment("a-b", 3, 0, 112))
    assert own_bits(batch, 0, 256) == (Segment("a-b", 1, 800, 256),)
    assert own_bits(batch, 512, 512) == (Segment("a-b", 3, 112, 512),)
    assert own_bits((), 0, 256) == ()

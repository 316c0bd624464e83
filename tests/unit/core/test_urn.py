"""URNs: the syntax and equivalence vectors of RFC 8141, prefixes, parameters, longest-prefix look-up."""

import itertools

import msgspec
import pytest

from qstrata.core.errors import InputError
from qstrata.core.urn import MAX_URN_LENGTH, Urn, longest_prefix

# RFC 8141, section 3.2, the published examples in their classes: within one equal, across two different.
EQUIVALENCE_CLASSES = [
    [
        "urn:example:a123,z456",
        "URN:example:a123,z456",
        "urn:EXAMPLE:a123,z456",
        "urn:example:a123,z456?+abc",
        "urn:example:a123,z456?=xyz",
        "urn:example:a123,z456#789",
    ],
    ["urn:example:a123,z456/foo"],
    ["urn:example:a123,z456/bar"],
    ["urn:example:a123,z456/baz"],
    ["urn:example:a123%2Cz456", "URN:EXAMPLE:a123%2cz456"],
    ["urn:example:A123,z456"],
    ["urn:example:a123,Z456"],
    ["urn:example:%D0%B0123,z456"],
]
SPELLINGS = [(number, text) for number, texts in enumerate(EQUIVALENCE_CLASSES) for text in texts]

# text -> (nid, nss, r, q, f)
VALID = {
    "urn:example:1/406/47452/2": ("example", "1/406/47452/2", None, None, None),
    "urn:example:foo-bar-baz-qux?+CCResolve:cc=uk": (
        "example",
        "foo-bar-baz-qux",
        "CCResolve:cc=uk",
        None,
        None,
    ),
    "urn:example:weather?=op=map&lat=39.56&lon=-104.85&datetime=1969-07-21T02:56:15Z": (
        "example",
        "weather",
        None,
        "op=map&lat=39.56&lon=-104.85&datetime=1969-07-21T02:56:15Z",
        None,
    ),
    "urn:example:foo-bar-baz-qux#somepart": ("example", "foo-bar-baz-qux", None, None, "somepart"),
    "urn:example:a?+r?=q#f": ("example", "a", "r", "q", "f"),
    "urn:example:a?=q?+r": ("example", "a", None, "q?+r", None),
    "urn:example:a//b": ("example", "a//b", None, None, None),
    "urn:example:a#": ("example", "a", None, None, ""),
    f"urn:{'n' * 32}:a": ("n" * 32, "a", None, None, None),
    "URN:eXample:a%2f?+a?b/c?=d?=e#f?/g": ("eXample", "a%2f", "a?b/c", "d?=e", "f?/g"),
    "urn:ab:-._~!$&'()*+,;=:@/": ("ab", "-._~!$&'()*+,;=:@/", None, None, None),
    "urn:example:a?+r??=q": ("example", "a", "r?", "q", None),
}

# text -> (position of the fault, a word of the reason)
INVALID = {
    "urn:a:b": (4, "namespace id"),
    "urn:-ab:c": (4, "namespace id"),
    "urn:ab-:c": (4, "namespace id"),
    f"urn:{'n' * 33}:a": (4, "namespace id"),
    "urn::a": (4, "namespace id"),
    "urn:example": (4, "namespace id"),
    "urn:example:": (12, "namespace-specific string"),
    "urn:example:/a": (12, "'/'"),
    "urn:example:a?b": (13, r"'\?' may only open"),
    "urn:example:a?+": (15, "r-component"),
    "urn:example:a?=": (15, "q-component"),
    "urn:example:a?=?x": (15, "q-component"),
    "urn:example:a?+?=q": (15, "r-component"),
    "urn:example:a?+/r": (15, "r-component"),
    "urn:example:%zz": (12, "two hex digits"),
    "urn:example:a%2": (13, "two hex digits"),
    "urn:example:a b": (13, "' '"),
    "urn:example:a\n": (13, r"'\\n'"),
    "urn:example:aé": (13, "'é'"),
    "urn:example:a#b#c": (15, "'#'"),
    "urn:éxample:a": (4, "namespace id"),
    "": (0, "urn:"),
    "example:a": (0, "urn:"),
    " urn:example:a": (0, "urn:"),
    f"urn:example:{'a' * MAX_URN_LENGTH}": (MAX_URN_LENGTH, str(MAX_URN_LENGTH)),
}


@pytest.mark.parametrize("pair", list(itertools.product(SPELLINGS, repeat=2)))
def test_equivalence_follows_the_published_classes(pair):
    (left_class, left), (right_class, right) = pair
    assert Urn.parse(left).equivalent(Urn.parse(right)) == (left_class == right_class)


@pytest.mark.parametrize("text", VALID)
def test_valid_urn_splits_into_its_components(text):
    urn = Urn.parse(text)
    assert (urn.nid, urn.nss, urn.r, urn.q, urn.f) == VALID[text]


@pytest.mark.parametrize("text", [*VALID, *(text for _, text in SPELLINGS)])
def test_text_is_kept_byte_for_byte(text):
    assert str(Urn.parse(text)) == text


@pytest.mark.parametrize("text", INVALID)
def test_invalid_urn_is_refused_with_position_and_reason(text):
    position, reason = INVALID[text]
    with pytest.raises(InputError, match=f"position {position}: .*{reason}"):
        Urn.parse(text)


def test_a_very_long_faulty_text_is_quoted_in_part():
    with pytest.raises(InputError) as refused:
        Urn.parse("urn:example:" + "a" * 1900 + " ")
    assert len(str(refused.value)) < 300


def test_the_longest_allowed_text_is_read():
    text = "urn:example:".ljust(MAX_URN_LENGTH, "a")
    assert str(Urn.parse(text)) == text


def test_equality_is_on_the_text_and_equivalence_on_the_name():
    one, two = Urn.parse("urn:qkd:a?=nonce=1"), Urn.parse("urn:qkd:a?=nonce=2")
    assert one != two
    assert one.equivalent(two)
    assert one == Urn.parse("urn:qkd:a?=nonce=1")
    assert len({one, two, Urn.parse(one.text)}) == 2


def test_urns_sort_by_their_text_whether_components_are_there_or_not():
    texts = ["urn:qkd:b", "urn:qkd:a?=q", "urn:qkd:a", "urn:qkd:a?+r?=q#f", "urn:qkd:a#"]
    assert [urn.text for urn in sorted(map(Urn.parse, texts))] == sorted(texts)


def test_name_has_lower_case_scheme_and_nid_and_upper_case_hex():
    assert Urn.parse("URN:QKD:MadQCI:a%2cb?+r?=q=%2c#f").name == "urn:qkd:MadQCI:a%2Cb"


def test_segments_are_the_canonical_nss_between_colons():
    assert Urn.parse("urn:qkd:quditto:emulator:a%2f::b/c?=x:y").segments == (
        "quditto",
        "emulator",
        "a%2F",
        "",
        "b/c",
    )


@pytest.mark.parametrize(
    ("name", "prefix", "below"),
    [
        ("urn:qkd:madqci:ccips", "urn:qkd:madqci", True),
        ("urn:qkd:madqci:ccips?=nonce=1", "URN:QKD:madqci?=anything#f", True),
        ("urn:qkd:madqci", "urn:qkd:madqci", True),
        ("urn:qkd:a%2cb:c", "urn:qkd:a%2Cb", True),
        ("urn:qkd:madqci2:ccips", "urn:qkd:madqci", False),
        ("urn:qkd:madqci", "urn:qkd:madqci:ccips", False),
        ("urn:qkd:MADQCI:ccips", "urn:qkd:madqci", False),
        ("urn:etsi:madqci:ccips", "urn:qkd:madqci", False),
        ("urn:qkd:madqci/ccips", "urn:qkd:madqci", False),
        ("urn:qkd:a:b", "urn:qkd:a:", False),
    ],
)
def test_prefix_counts_in_whole_segments_of_the_canonical_name(name, prefix, below):
    assert Urn.parse(name).starts_with(Urn.parse(prefix)) is below


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("urn:qkd:a", ()),
        ("urn:qkd:a?=token", (("token", None),)),
        ("urn:qkd:a?=z=1&a=2&z=3", (("z", "1"), ("a", "2"), ("z", "3"))),
        ("urn:qkd:a?=k=v=w&k=", (("k", "v=w"), ("k", ""))),
        ("urn:qkd:a?=a&&=b", (("a", None), ("", None), ("", "b"))),
        ("urn:qkd:a?=x-new=%2c/?", (("x-new", "%2c/?"),)),
    ],
)
def test_parameters_are_read_in_order_and_written_back_unchanged(text, pairs):
    urn = Urn.parse(text)
    assert urn.q_pairs == pairs
    assert urn.with_q(pairs) == urn


def test_replacing_parameters_keeps_every_other_byte():
    urn = Urn.parse("URN:Qkd:a%2c?+res?=old=1#part")
    assert str(urn.with_q([("size", "256"), ("bare", None)])) == "URN:Qkd:a%2c?+res?=size=256&bare#part"
    assert str(urn.with_q([])) == "URN:Qkd:a%2c?+res#part"
    assert str(Urn.parse("urn:qkd:a#").with_q([("n", "1")])) == "urn:qkd:a?=n=1#"


@pytest.mark.parametrize(
    "pair",
    [
        ("a&b", "1"),
        ("a=b", "1"),
        ("a#b", "1"),
        ("a", "1&2"),
        ("a", "1#2"),
        ("a", "1 2"),
        ("é", None),
        ("", None),
        ("/a", "1"),
        ("?a", "1"),
        ("a", "%2"),
    ],
)
def test_parameter_that_a_q_component_cannot_hold_is_refused(pair):
    with pytest.raises(InputError):
        Urn.parse("urn:qkd:a").with_q([pair])


def test_a_decoded_message_holds_only_well_formed_names():
    urn = Urn.parse("URN:qkd:a?=nonce=1")
    assert msgspec.json.decode(msgspec.json.encode(urn), type=Urn) == urn
    with pytest.raises(InputError, match="position 4"):
        msgspec.json.decode(b'{"text": "urn:a:b"}', type=Urn)


ROUTES = {
    "urn:qkd": "default",
    "urn:qkd:madqci": "madrid",
    "urn:qkd:madqci:ccips:lab": "lab",
    "urn:qkd:a%2Cb": "comma",
}


@pytest.mark.parametrize(
    ("name", "hop"),
    [
        ("urn:qkd:madqci", "madrid"),
        ("urn:qkd:madqci:ccips?=nonce=1", "madrid"),
        ("urn:qkd:madqci:ccips:lab:x", "lab"),
        ("urn:qkd:madqci2", "default"),
        ("URN:QKD:a%2cb:x", "comma"),
        ("urn:etsi:madqci", None),
    ],
)
def test_the_longest_matching_prefix_gives_the_route(name, hop):
    assert longest_prefix(ROUTES, Urn.parse(name)) == hop


def test_a_false_value_in_the_table_still_hides_a_shorter_prefix():
    assert longest_prefix({"urn:qkd:a": 1, "urn:qkd:a:b": 0}, Urn.parse("urn:qkd:a:b:c")) == 0

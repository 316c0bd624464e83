"""Service-unit identifiers: the draft's example, canonical form, lifecycle, pairing tokens, SAE names."""

import hashlib
import itertools
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from qstrata.core.errors import InputError
from qstrata.core.service_unit import (
    MAX_ENDPOINTS,
    Lifecycle,
    ServiceUnitId,
    key_size_bits,
    pairing_token,
    sae_id,
    with_nonce,
)
from qstrata.core.urn import Urn

CCIPS = "urn:qkd:madqci:ccips?=nonce=177923"
CONTROLLER = "urn:qkd:quditto:emulator:ipsec:controller?=nid=af33017"
LIFECYCLE = "urn:qkd:lifecycle?=size=256&valid-until=1750708945"
EXAMPLE = f"{CCIPS}\n{CONTROLLER}\n{LIFECYCLE}"
DRAFTS = Path(__file__).parents[3].parent / "shared" / "draft"


def epoch_s(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())


def unit(*endpoints: str, lifecycle: str = LIFECYCLE) -> ServiceUnitId:
    return ServiceUnitId.of(map(Urn.parse, endpoints), Lifecycle.parse(lifecycle))


# --- the identifier -------------------------------------------------------------------------------------


def test_the_drafts_example_round_trips_byte_for_byte():
    assert ServiceUnitId.parse(EXAMPLE).text == EXAMPLE
    assert str(ServiceUnitId.parse(EXAMPLE)) == EXAMPLE


def test_the_example_printed_in_the_draft_itself_round_trips():
    sources = sorted(DRAFTS.glob("000_*.txt"))
    if not sources:
        pytest.skip("the text of the draft is not beside the project")
    lines = sources[0].read_text(encoding="utf-8").splitlines()
    start = lines.index(CCIPS)
    printed = "\n".join(lines[start : start + 3])
    assert ServiceUnitId.parse(printed).text == printed


def test_each_urn_of_the_drafts_example_keeps_its_bytes():
    for line in EXAMPLE.split("\n"):
        assert str(Urn.parse(line)) == line
    assert str(Lifecycle.parse(LIFECYCLE)) == LIFECYCLE


def test_a_final_newline_is_allowed_and_not_part_of_the_identifier():
    assert ServiceUnitId.parse(EXAMPLE + "\n").text == EXAMPLE


@pytest.mark.parametrize("lines", list(itertools.permutations(EXAMPLE.split("\n"))))
def test_the_identifier_has_no_direction(lines):
    other = ServiceUnitId.parse("\n".join(lines))
    assert other == ServiceUnitId.parse(EXAMPLE)
    assert other.text == EXAMPLE
    assert other.digest == ServiceUnitId.parse(EXAMPLE).digest


def test_both_ends_make_the_same_identifier():
    assert unit(CCIPS, CONTROLLER) == unit(CONTROLLER, CCIPS)
    assert hash(unit(CCIPS, CONTROLLER)) == hash(unit(CONTROLLER, CCIPS))


@pytest.mark.parametrize(
    "spelling",
    [
        (CCIPS.replace("urn:qkd", "URN:Qkd"), CONTROLLER, LIFECYCLE),
        (CCIPS, CONTROLLER, "URN:QKD:lifecycle?=valid-until=1750708945&size=256"),
    ],
)
def test_spellings_of_the_same_parts_are_one_unit(spelling):
    assert ServiceUnitId.parse("\n".join(spelling)) == ServiceUnitId.parse(EXAMPLE)


def test_hex_case_and_parameter_order_of_an_endpoint_do_not_matter():
    assert unit(CCIPS, "urn:qkd:a%2cb?=nonce=%3c&alg=x") == unit(CCIPS, "urn:qkd:a%2Cb?=alg=x&nonce=%3C")


@pytest.mark.parametrize(
    "other",
    [
        unit(CCIPS.replace("177923", "177924"), CONTROLLER),
        unit(CCIPS.replace("nonce", "nid"), CONTROLLER),
        unit(CCIPS + "&alg=aes", CONTROLLER),
        unit(CCIPS.replace("ccips", "CCIPS"), CONTROLLER),
        unit("urn:qkd:madqci:ccips", CONTROLLER),
        unit(CCIPS, CONTROLLER, CONTROLLER),
        unit(CCIPS, CONTROLLER, lifecycle=LIFECYCLE.replace("256", "512")),
        unit(CCIPS, CONTROLLER, lifecycle=LIFECYCLE.replace("945", "946")),
        unit(CCIPS, CONTROLLER, lifecycle=LIFECYCLE + "&x=1"),
        unit(CCIPS, CONTROLLER, lifecycle=LIFECYCLE.replace("valid-until", "ttl")),
    ],
)
def test_any_different_part_is_another_unit(other):
    example = ServiceUnitId.parse(EXAMPLE)
    assert other != example
    assert other.text != example.text
    assert other.digest != example.digest


def test_the_same_endpoint_may_stand_twice_and_more_than_two_are_possible():
    assert unit(CCIPS, CCIPS).text == f"{CCIPS}\n{CCIPS}\n{LIFECYCLE}"
    three = unit(CONTROLLER, "urn:qkd:third?=nonce=3", CCIPS)
    assert three.text == f"{CCIPS}\n{CONTROLLER}\nurn:qkd:third?=nonce=3\n{LIFECYCLE}"
    assert ServiceUnitId.parse(three.text) == three


@pytest.mark.parametrize("count", [0, 1, MAX_ENDPOINTS + 1])
def test_too_few_or_too_many_endpoints_are_refused_with_the_bound(count):
    with pytest.raises(InputError, match=f"2 to {MAX_ENDPOINTS} endpoints, not {count}"):
        unit(*[CCIPS] * count)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{CCIPS}\n{CONTROLLER}", "one urn:qkd:lifecycle line, not 0"),
        (f"{CCIPS}\n{LIFECYCLE}\n{CONTROLLER}\n{LIFECYCLE}", "line, not 2"),
        (f"{CCIPS}\n\n{CONTROLLER}\n{LIFECYCLE}", "position 0"),
        (EXAMPLE.replace("\n", "\r\n"), r"'\\r'"),
        (f"{CCIPS}\n{LIFECYCLE}", "endpoints, not 1"),
        ("", "position 0"),
    ],
)
def test_text_that_is_not_a_unit_is_refused(text, reason):
    with pytest.raises(InputError, match=reason):
        ServiceUnitId.parse(text)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("urn:etsi:madqci:ccips?=nonce=1", "not in the namespace 'qkd'"),
        ("urn:qkd:lifecycle:ccips?=nonce=1", "reserved root"),
        ("urn:qkd:a?+res?=nonce=1", "r- or f-component"),
        ("urn:qkd:a?=nonce=1#part", "r- or f-component"),
        ("urn:qkd:a#", "r- or f-component"),
        ("urn:qkd:a?+nonce=1", "pairing token in the r-component"),
        ("urn:qkd:a#nid=1", "pairing token in the f-component"),
    ],
)
def test_endpoint_that_no_unit_may_have_is_refused(endpoint, reason):
    with pytest.raises(InputError, match=reason):
        unit(endpoint, CCIPS)


def test_the_namespace_is_configurable():
    text = EXAMPLE.replace("urn:qkd:", "urn:x-lab:")
    assert ServiceUnitId.parse(text, nid="X-Lab").text == text
    with pytest.raises(InputError, match="urn:qkd:lifecycle"):
        ServiceUnitId.parse(text)


def test_digest_is_a_keyless_blake2b_of_the_text():
    expected = hashlib.blake2b(EXAMPLE.encode(), digest_size=8).hexdigest()
    assert ServiceUnitId.parse(EXAMPLE).digest == expected
    assert len(expected) == 16


def test_a_decoded_message_holds_the_canonical_identifier():
    example = ServiceUnitId.parse(EXAMPLE)
    sent = {
        "endpoints": [{"text": CONTROLLER}, {"text": CCIPS}],
        "lifecycle": {"size": 256, "valid_until": 1750708945, "nid": "QKD"},
    }
    assert msgspec.json.decode(msgspec.json.encode(sent), type=ServiceUnitId) == example
    assert msgspec.json.decode(msgspec.json.encode(example), type=ServiceUnitId) == example


def test_keys_that_cannot_come_first_in_a_q_component_still_round_trip():
    odd = unit("urn:qkd:a?=z=1&/b=2&?c", CCIPS)
    assert "urn:qkd:a?=z=1&/b=2&?c" in odd.text
    assert ServiceUnitId.parse(odd.text) == odd


# --- the lifecycle --------------------------------------------------------------------------------------


def test_lifecycle_of_the_draft_is_read():
    lifecycle = Lifecycle.parse(LIFECYCLE)
    assert (lifecycle.size, lifecycle.valid_until, lifecycle.ttl) == (256, 1750708945, None)
    assert lifecycle == Lifecycle(size=256, valid_until=1750708945)


def test_unknown_parameters_survive():
    text = "urn:qkd:lifecycle?=alg=aes-256&mandatory&size=256&ttl=60&x=1&x=0"
    lifecycle = Lifecycle.parse(text)
    assert lifecycle.other == (("alg", "aes-256"), ("mandatory", None), ("x", "1"), ("x", "0"))
    assert str(lifecycle) == text
    assert lifecycle.resolve(0).other == lifecycle.other


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("urn:qkd:lifecycle", "no size"),
        ("urn:qkd:lifecycle?=valid-until=1750708945", "no size"),
        ("urn:qkd:lifecycle?=size=256", "exactly one"),
        ("urn:qkd:lifecycle?=size=256&ttl=1&valid-until=2", "exactly one"),
        ("urn:qkd:lifecycle?=size=256&size=256&ttl=1", "'size' more than once"),
        ("urn:qkd:lifecycle?=size=256&ttl=1&ttl=2", "'ttl' more than once"),
        ("urn:qkd:lifecycle?=size=0&ttl=1", "size=0"),
        ("urn:qkd:lifecycle?=size=-8&ttl=1", "size=-8"),
        ("urn:qkd:lifecycle?=size=0256&ttl=1", "size=0256"),
        ("urn:qkd:lifecycle?=size=256.0&ttl=1", "size=256.0"),
        ("urn:qkd:lifecycle?=size&ttl=1", "size= is not"),
        ("urn:qkd:lifecycle?=size=256&ttl=1000000000000000", "1 to 15 digits"),
        ("urn:qkd:lifecycle?=size=256&valid-until=soon", "valid-until=soon"),
        ("urn:qkd:lifecycle?=size=256&ttl=1&nonce=7", "'nonce'.*endpoint"),
        ("urn:qkd:lifecycle?=size=256&ttl=1&nid=7", "'nid'.*endpoint"),
        ("urn:qkd:lifecycle?+nonce=7?=size=256&ttl=1", "r- or f-component"),
        ("urn:qkd:lifecycle?=size=256&ttl=1#nonce=7", "r- or f-component"),
        ("urn:qkd:lifecycle:x?=size=256&ttl=1", "not a lifecycle"),
        ("urn:qkd:Lifecycle?=size=256&ttl=1", "not a lifecycle"),
        ("urn:etsi:lifecycle?=size=256&ttl=1", "not a lifecycle"),
    ],
)
def test_faulty_lifecycle_is_refused_by_name(text, reason):
    with pytest.raises(InputError, match=reason):
        Lifecycle.parse(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 0, "ttl": 1},
        {"size": -8, "ttl": 1},
        {"size": 256, "ttl": 10**15},
        {"size": 256, "valid_until": 0},
        {"size": 256, "ttl": 1, "other": (("a b", "1"),)},
        {"size": 256, "ttl": 1, "other": (("size", "1"),)},
        {"size": 256, "ttl": 1, "nid": "q"},
    ],
)
def test_lifecycle_made_in_code_obeys_the_same_rules(fields):
    with pytest.raises(InputError):
        Lifecycle(**fields)


def test_a_ttl_becomes_a_valid_until_when_the_unit_opens():
    opened = Lifecycle.parse("urn:qkd:lifecycle?=size=256&ttl=3600").resolve(1750705345)
    assert str(opened) == LIFECYCLE
    assert opened.resolve(99) == opened


def test_the_drafts_example_is_expired_in_2026_and_was_valid_before_its_instant():
    lifecycle = ServiceUnitId.parse(EXAMPLE).lifecycle
    assert lifecycle.is_expired(epoch_s(2026, 1, 1))
    assert not lifecycle.is_expired(epoch_s(2025, 6, 23, 20, 2, 24))
    assert lifecycle.is_expired(epoch_s(2025, 6, 23, 20, 2, 25))


def test_expiry_of_an_unresolved_ttl_cannot_be_asked():
    with pytest.raises(InputError, match="resolve it"):
        Lifecycle(size=256, ttl=60).is_expired(0)


def test_key_size_is_a_positive_multiple_of_eight_bits():
    assert key_size_bits(256) == 256
    for size in (0, -8, 1, 255, 257):
        with pytest.raises(InputError, match="multiple of 8"):
            key_size_bits(size)


# --- pairing tokens and SAE names -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "token"),
    [
        (CCIPS, "177923"),
        (CONTROLLER, "af33017"),
        ("urn:qkd:a", None),
        ("urn:qkd:a?=alg=x", None),
        ("urn:qkd:a?=alg=x&nonce=a=b", "a=b"),
        ("urn:qkd:a?+res=1?=nonce=1#frag", "1"),
    ],
)
def test_nonce_and_nid_are_both_read_as_the_pairing_token(endpoint, token):
    assert pairing_token(Urn.parse(endpoint)) == token


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("urn:qkd:a?+nonce=1", "r-component"),
        ("urn:qkd:a?+x=1&nid=1", "r-component"),
        ("urn:qkd:a#nonce=1", "f-component"),
        ("urn:qkd:a?=nonce=1&nid=1", "2 pairing tokens"),
        ("urn:qkd:a?=nonce=1&nonce=1", "2 pairing tokens"),
        ("urn:qkd:a?=nonce=", "empty"),
        ("urn:qkd:a?=nonce", "empty"),
    ],
)
def test_misplaced_doubled_or_empty_token_is_refused(endpoint, reason):
    with pytest.raises(InputError, match=reason):
        pairing_token(Urn.parse(endpoint))


def test_a_new_token_is_written_as_nonce_and_replaces_the_old_one():
    assert str(with_nonce(Urn.parse("urn:qkd:a"), "5")) == "urn:qkd:a?=nonce=5"
    assert str(with_nonce(Urn.parse(CONTROLLER), "5")) == CONTROLLER.replace("nid=af33017", "nonce=5")
    assert str(with_nonce(Urn.parse("urn:qkd:a?=nid=1&z=2"), "5")) == "urn:qkd:a?=nonce=5&z=2"


@pytest.mark.parametrize("token", ["", "a&b", "a#b", "a b"])
def test_token_that_no_nonce_can_be_is_refused(token):
    with pytest.raises(InputError):
        with_nonce(Urn.parse("urn:qkd:a"), token)


def test_an_sae_is_known_outside_by_its_canonical_name():
    assert sae_id(Urn.parse("URN:QKD:madqci:ccips%2f?=nonce=177923")) == "urn:qkd:madqci:ccips%2F"


def test_an_sae_id_has_at_most_64_characters():
    assert len(sae_id(Urn.parse("urn:qkd:".ljust(64, "a") + "?=nonce=12345678"))) == 64
    with pytest.raises(InputError, match="65 characters, an SAE id at most 64"):
        sae_id(Urn.parse("urn:qkd:".ljust(65, "a")))


@pytest.mark.parametrize("name", ["urn:qkd:lifecycle", "urn:qkd:lifecycle:x"])
def test_the_reserved_root_cannot_name_an_sae(name):
    with pytest.raises(InputError, match="reserved"):
        sae_id(Urn.parse(name))

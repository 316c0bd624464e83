"""Properties of service-unit identifiers: one canonical form, no direction, no two units alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qstrata.core.service_unit import Lifecycle, ServiceUnitId, pairing_token, with_nonce
from qstrata.core.urn import Urn

WORDS = st.text(alphabet="abcXYZ019-._~/?", min_size=1, max_size=6)
NAMES = st.lists(st.text(alphabet="abcXYZ019", min_size=1, max_size=6), min_size=1, max_size=4).map(":".join)
EXTRA = st.tuples(WORDS.map("x".__add__) | WORDS.map("/".__add__), st.none() | WORDS)
NUMBERS = st.integers(1, 10**15 - 1)


@st.composite
def endpoints(draw):
    pairs = [("nonce", draw(WORDS)), *draw(st.lists(EXTRA, max_size=3))]
    return Urn.parse(f"urn:qkd:{draw(NAMES)}").with_q(pairs)


@st.composite
def lifecycles(draw):
    life = draw(st.sampled_from(["valid_until", "ttl"]))
    return Lifecycle(
        size=draw(NUMBERS), other=tuple(draw(st.lists(EXTRA, max_size=3))), **{life: draw(NUMBERS)}
    )


UNITS = st.builds(ServiceUnitId.of, st.lists(endpoints(), min_size=2, max_size=5), lifecycles())


@given(UNITS)
def test_text_reads_back_as_the_same_unit_and_the_same_text(unit):
    assert ServiceUnitId.parse(unit.text) == unit
    assert ServiceUnitId.parse(unit.text).text == unit.text


@given(UNITS, st.randoms(use_true_random=False))
def test_order_of_endpoints_and_parameters_never_matters(unit, shuffler):
    shuffled = []
    for endpoint in unit.endpoints:
        # Repeats of one key keep their order, which may carry meaning; those that cannot lead stay behind.
        keys = sorted({key for key, _ in endpoint.q_pairs})
        shuffler.shuffle(keys)
        keys.sort(key=lambda key: key.startswith("/"))
        pairs = [pair for key in keys for pair in endpoint.q_pairs if pair[0] == key]
        shuffled.append(endpoint.with_q(pairs))
    shuffler.shuffle(shuffled)
    again = ServiceUnitId.of(shuffled, unit.lifecycle)
    assert again == unit
    assert again.digest == unit.digest


@given(UNITS, UNITS)
def test_units_are_equal_exactly_when_their_texts_are(left, right):
    assert (left == right) == (left.text == right.text)
    assert (left.digest == right.digest) == (left == right)


@given(lifecycles())
def test_lifecycle_reads_back_from_its_text(lifecycle):
    assert Lifecycle.parse(str(lifecycle)) == lifecycle


@given(st.integers(1, 10**9), st.integers(0, 10**12), st.integers(-5, 5))
def test_a_unit_lives_exactly_its_ttl(ttl, opened, offset):
    lifecycle = Lifecycle(size=256, ttl=ttl).resolve(opened)
    assert lifecycle.is_expired(opened + ttl + offset) == (offset >= 0)


@given(endpoints(), WORDS)
def test_a_new_nonce_is_read_back_and_leaves_name_and_other_parameters_alone(endpoint, token):
    made = with_nonce(endpoint, token)
    assert pairing_token(made) == token
    assert made.equivalent(endpoint)
    assert made.q_pairs[1:] == endpoint.q_pairs[1:]


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.campaign)])
def test_many_pairings_of_the_same_applications_stay_apart(count):
    lifecycle = Lifecycle(size=256, valid_until=4102444800)
    near = Urn.parse("urn:qkd:a:x?=nonce=0")
    digests = {
        ServiceUnitId.of((near, Urn.parse(f"urn:qkd:b:y?=nonce={number:x}")), lifecycle).digest
        for number in range(count)
    }
    assert len(digests) == count

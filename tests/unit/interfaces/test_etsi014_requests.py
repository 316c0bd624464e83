"""Whatever bytes come in, a request is read or refused, and secrets are not shown."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.delivery import DeliveredKey, Fault, KeysDelivered, RequestRefused
from qstrata.interfaces.etsi014.client import (
    BadRequestError,
    NoAnswerError,
    UnauthorizedError,
    UnavailableError,
    path_of,
    read_keys,
)
from qstrata.interfaces.etsi014.handler import keys_answer, refusal_answer
from qstrata.interfaces.etsi014.http import HttpRequest, RejectedError
from qstrata.interfaces.etsi014.requests import GetKey, read_request, sae_name
from qstrata.interfaces.etsi014.types import KeyEntry, Limits

VERBS = st.sampled_from(["status", "enc_keys", "dec_keys"])
METHODS = st.sampled_from(["GET", "POST"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["number", "size", "key_IDs", "key_ID", "extension_mandatory", "x"]), inner
        )
    ),
    max_leaves=8,
)


def read_or_refuse(request):
    try:
        wanted = read_request(request, Limits())
    except RejectedError as rejected:
        answer = rejected.answer()
        assert 400 <= answer.status < 500
        assert json.loads(answer.body)["message"]
        return
    if isinstance(wanted, GetKey):
        assert 1 <= wanted.number <= 128
        assert wanted.size_bits == 0 or (64 <= wanted.size_bits <= 1024 and wanted.size_bits % 8 == 0)


@given(METHODS, st.text(), VERBS, st.text(), st.binary())
@example("POST", "a", "enc_keys", "", b'{"a":"\xed\xa0\x80"}')
@example("GET", "%ed%a0%80", "enc_keys", "", b"")
def test_any_bytes_are_read_or_refused(method, segment, verb, query, body):
    read_or_refuse(HttpRequest(method, f"/api/v1/keys/{segment}/{verb}?{query}", "", body))


@given(VERBS, JSON)
def test_any_json_is_read_or_refused(verb, value):
    read_or_refuse(HttpRequest("POST", f"/api/v1/keys/a/{verb}", "", json.dumps(value).encode()))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_name_of_any_characters_survives_the_path(text):
    name = f"SAE {text}"
    assert sae_name(path_of(name, "status").split("/")[4]) == name


def test_an_answer_with_keys_shows_no_key_and_can_be_wiped():
    bits = bytes(range(200, 232))
    answer = keys_answer(KeysDelivered(1, (DeliveredKey("a", KeyMaterial(bits)),)))
    assert repr(answer) == f"HttpAnswer(200, {len(answer.body)} bytes)"
    answer.wipe()
    assert not any(answer.body)
    assert repr(KeyEntry("a", bytearray(bits))) == "KeyEntry(a)"


def test_a_container_without_keys_is_json_too():
    assert json.loads(keys_answer(KeysDelivered(1, ())).body) == {"keys": []}


@pytest.mark.parametrize("segment", ["urn%3Aqkd%3Aa%3Ab", "urn:qkd:a:b", "URN:Qkd:a:b", "urn:qkd:a:b%23frag"])
def test_spellings_of_one_urn_are_one_name(segment):
    assert sae_name(segment) == "urn:qkd:a:b"


BODIES = [b"", b"<html>", b"[]", b'{"keys":[{"key_ID":"a","key":"?"}]}', b'{"keys":"\xff"}']


@pytest.mark.parametrize("body", BODIES)
def test_an_answer_that_is_not_the_standards_is_an_error_that_cites_none_of_it(body):
    with pytest.raises(NoAnswerError, match="not what ETSI GS QKD 014") as caught:
        read_keys(200, body)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("body", BODIES)
def test_a_refusal_without_a_readable_body_keeps_its_status(body):
    with pytest.raises(UnauthorizedError, match="no reason"):
        read_keys(401, body)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadRequestError), (413, BadRequestError), (401, UnauthorizedError), (503, UnavailableError)],
)
def test_a_refusal_is_an_error_with_its_status_and_text(status, kind):
    with pytest.raises(kind) as caught:
        read_keys(status, b'{"message":"why"}')
    assert (caught.value.status, caught.value.message) == (status, "why")


def test_a_refusal_says_when_to_ask_again_in_whole_seconds_that_are_not_too_few():
    def answer(after_ps):
        return refusal_answer(RequestRefused(1, Fault.UNAVAILABLE, "why", after_ps))

    assert [answer(ps).retry_after_s for ps in (0, 1, 10**12, 10**12 + 1)] == [0, 1, 1, 2]

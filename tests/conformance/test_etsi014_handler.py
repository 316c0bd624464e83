"""ETSI GS QKD 014 V1.1.1, row by row: what an SAE is answered, fixed texts byte for byte."""

import base64
import json
from urllib.parse import quote

import msgspec
import pytest

from qstrata.fabric.messages.delivery import DecKeys, EncKeys
from tests.unit.interfaces.scripted import ALICE, BOB, CAROL, SITE, STRANGER, Site, bits_of

UUID = "550e8400-e29b-41d4-a716-446655440000"
UNKNOWN = "urn:qkd:madqci:nobody"


def path(verb: str, sae: str = BOB) -> str:
    return f"/api/v1/keys/{quote(sae, safe='')}/{verb}"


class Row(msgspec.Struct):
    """One row: the request, its status, and what its message is or begins with."""

    name: str
    method: str
    target: str
    status: int
    message: str = ""
    body: object = None
    sae: str = ALICE
    kind: str = ""
    raw: bytes | None = None

    def payload(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return b"" if self.body is None else json.dumps(self.body).encode()


ENC, DEC = path("enc_keys"), path("dec_keys", ALICE)

DECIDED_BY_THE_HANDLER = [
    Row("size 12", "GET", ENC + "?size=12", 400, "size shall be a multiple of 8"),
    Row("size 12 posted", "POST", ENC, 400, "size shall be a multiple of 8", {"size": 12}),
    Row("size below the least", "GET", ENC + "?size=56", 400, "size shall be from 64 to 1024"),
    Row("size above the most", "POST", ENC, 400, "size shall be from 64 to 1024", {"size": 1032}),
    Row("size 0", "POST", ENC, 400, "size shall be", {"size": 0}),
    Row("size negative", "POST", ENC, 400, "size shall be", {"size": -256}),
    Row("size in words", "GET", ENC + "?size=big", 400, "size shall be an integer"),
    Row("size without a value", "GET", ENC + "?size=", 400, "size shall be an integer"),
    Row("size with a fraction", "POST", ENC, 400, "the body is not the JSON", {"size": 256.5}),
    Row("size as a text", "POST", ENC, 400, "the body is not the JSON", {"size": "256"}),
    Row("size truth value", "POST", ENC, 400, "the body is not the JSON", {"size": True}),
    Row("number above the most", "GET", ENC + "?number=129", 400, "number shall be from 1 to 128"),
    Row("number 0", "POST", ENC, 400, "number shall be from 1 to 128", {"number": 0}),
    Row("number negative", "GET", ENC + "?number=-1", 400, "number shall be from 1 to 128"),
    Row("number with a sign", "GET", ENC + "?number=+1", 400, "number shall be an integer"),
    Row("number of many digits", "GET", ENC + "?number=" + "9" * 5000, 400, "number shall be an integer"),
    Row("number in other digits", "GET", ENC + "?number=%D9%A3", 400, "number shall be an integer"),
    Row("number huge", "POST", ENC, 400, "number shall be from", {"number": 10**30}),
    Row("number twice", "GET", ENC + "?number=1&number=2", 400, "number is given twice"),
    Row("GET with another parameter", "GET", ENC + "?priority=1", 400, "GET takes the parameters"),
    Row("GET with an extension", "GET", ENC + "?extension_optional=[]", 400, "GET takes the parameters"),
    Row(
        "more additional SAEs than are allowed",
        "POST",
        ENC,
        400,
        "additional_slave_SAE_IDs has more than max_SAE_ID_count = 8",
        {"additional_slave_SAE_IDs": [f"{CAROL}-{number}" for number in range(9)]},
    ),
    Row(
        "additional SAE twice, spelt otherwise",
        "POST",
        ENC,
        400,
        "a slave SAE is named twice",
        {"additional_slave_SAE_IDs": [CAROL, CAROL.replace("urn:qkd", "URN:QKD")]},
    ),
    Row(
        "additional SAE in the path too",
        "POST",
        ENC,
        400,
        "a slave SAE is named twice",
        {"additional_slave_SAE_IDs": [BOB]},
    ),
    Row(
        "additional SAE without a name",
        "POST",
        ENC,
        400,
        "an SAE_ID in additional_slave_SAE_IDs is empty",
        {"additional_slave_SAE_IDs": [""]},
    ),
    Row(
        "additional SAE that is no text",
        "POST",
        ENC,
        400,
        "the body is not",
        {"additional_slave_SAE_IDs": [1]},
    ),
    Row(
        "mandatory extension unknown",
        "POST",
        ENC,
        400,
        "not all extension_mandatory parameters are supported",
        {"extension_mandatory": [{"abc_route_type": "direct"}]},
    ),
    Row("mandatory extension no list", "POST", ENC, 400, "the body", {"extension_mandatory": {"a": 1}}),
    Row("body no object", "POST", ENC, 400, "the body is not the JSON", [1]),
    Row("body broken", "POST", ENC, 400, "the body is not the JSON", raw=b'{"number":'),
    Row("body two objects", "POST", ENC, 400, "the body is not the JSON", raw=b"{}{}"),
    Row("body not UTF-8", "POST", ENC, 400, "the body", raw=b'{"extension_mandatory":[{"\xff":1}]}'),
    Row("body nested deeply", "POST", ENC, 400, "the body", raw=b'{"x":' + b"[" * 50_000),
    Row("SAE_ID not UTF-8", "GET", "/api/v1/keys/%FF/enc_keys", 400, "a percent-encoded text"),
    Row("SAE_ID with a loose percent", "GET", "/api/v1/keys/a%zz/enc_keys", 400, "a '%' is not"),
    Row("SAE_ID empty", "GET", "/api/v1/keys//enc_keys", 400, "the SAE_ID in the path is empty"),
    Row("dec GET without id", "GET", DEC, 400, "GET takes exactly one key_ID", sae=BOB),
    Row("dec GET with two ids", "GET", f"{DEC}?key_ID={UUID}&key_ID={UUID}", 400, "GET takes exactly"),
    Row("dec GET with another parameter", "GET", f"{DEC}?key_ID={UUID}&x=1", 400, "GET takes the parameters"),
    Row("dec GET malformed id", "GET", f"{DEC}?key_ID=7", 400, "a key_ID is not a UUID"),
    Row("dec POST without body", "POST", DEC, 400, "the body is not the JSON"),
    Row("dec POST without ids", "POST", DEC, 400, "key_IDs is empty", {"key_IDs": []}),
    Row("dec POST without the member", "POST", DEC, 400, "the body is not the JSON", {}),
    Row("dec POST malformed id", "POST", DEC, 400, "a key_ID is not", {"key_IDs": [{"key_ID": UUID + "0"}]}),
    Row(
        "dec POST id twice, in two spellings",
        "POST",
        DEC,
        400,
        "a key_ID is given twice",
        {"key_IDs": [{"key_ID": UUID}, {"key_ID": UUID.upper()}]},
    ),
    Row("another path", "GET", "/api/v1/keys", 404, "no such resource"),
    Row("another version", "GET", "/api/v2/keys/a/status", 404, "no such resource"),
    Row("another method of the API", "GET", path("keys"), 404, "no such resource"),
    Row("SAE_ID with a plain slash", "GET", "/api/v1/keys/a/b/status", 404, "no such resource"),
    Row("status by POST", "POST", path("status"), 405, "status takes GET"),
    Row("enc_keys by PUT", "PUT", ENC, 405, "enc_keys takes GET, POST"),
    Row("dec_keys by DELETE", "DELETE", DEC, 405, "dec_keys takes GET, POST"),
    Row("body too long", "POST", ENC, 413, "the body is longer than 65536 bytes", raw=b" " * 65537),
    Row("body no JSON by its type", "POST", ENC, 415, "the body shall be JSON", {}, kind="text/xml"),
]

DECIDED_BY_THE_KME = [
    Row("SAE not registered: status", "GET", path("status"), 401, "this SAE is not", sae=STRANGER),
    Row("SAE not registered: enc", "GET", ENC, 401, "this SAE is not registered", sae=STRANGER),
    Row("pair not allowed", "GET", path("enc_keys", CAROL), 401, "these two SAEs may not pair"),
    Row("unknown slave: status", "GET", path("status", UNKNOWN), 400, "the SAE in the path"),
    Row("unknown slave: enc", "POST", path("enc_keys", UNKNOWN), 400, "the SAE in the path", {}),
    Row("too few keys", "GET", ENC + "?number=101", 503, "too few keys are stored"),
    Row(
        "unknown key id",
        "GET",
        f"{DEC}?key_ID={UUID}",
        400,
        "one or more keys specified are not found on KME",
        sae=BOB,
    ),
]


@pytest.mark.parametrize("row", DECIDED_BY_THE_HANDLER, ids=lambda row: row.name)
def test_a_faulty_request_is_refused_before_the_kme_is_asked(row: Row) -> None:
    site = Site()
    answer = site.call(row.method, row.target, row.payload(), row.sae, row.kind)
    assert answer.status == row.status
    assert json.loads(answer.body)["message"].startswith(row.message)
    assert site.kme.asked == []
    assert bool(answer.allow) == (row.status == 405)


@pytest.mark.parametrize("row", DECIDED_BY_THE_KME, ids=lambda row: row.name)
def test_a_refusal_of_the_kme_becomes_the_standards_status_with_a_message(row: Row) -> None:
    site = Site()
    answer = site.call(row.method, row.target, row.payload(), row.sae, row.kind)
    assert answer.status == row.status
    assert json.loads(answer.body)["message"].startswith(row.message)
    assert site.kme.stored == 100


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"size": 12}, "size shall be a multiple of 8"),
        ({"extension_mandatory": [{"x_y": 1}]}, "not all extension_mandatory parameters are supported"),
    ],
)
def test_the_fixed_texts_are_exact(body: object, text: str) -> None:
    answer = Site().call("POST", ENC, json.dumps(body).encode())
    assert json.loads(answer.body)["message"] == text


def test_each_unsupported_mandatory_extension_is_named_in_the_details() -> None:
    body = {"extension_mandatory": [{"abc_route_type": "direct"}, {"abc_hops": {"most": 3}, "x_z": None}]}
    answer = Site().call("POST", ENC, json.dumps(body).encode())
    assert json.loads(answer.body)["details"] == [
        {"extension_mandatory_unsupported": "abc_route_type"},
        {"extension_mandatory_unsupported": "abc_hops"},
        {"extension_mandatory_unsupported": "x_z"},
    ]


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [
        ("GET", "", None),
        ("GET", "?", None),
        ("POST", "", None),
        ("POST", "", {}),
        ("POST", "", {"number": 1}),
        ("POST", "", {"number": None, "size": None, "additional_slave_SAE_IDs": None}),
        ("POST", "", {"additional_slave_SAE_IDs": [], "extension_mandatory": []}),
        ("POST", "", {"extension_optional": [{"x_unknown": 1}]}),
        ("POST", "", {"extension_optional": "anything", "no_such_field": [1, {"a": 2}]}),
    ],
)
def test_an_empty_request_is_one_key_of_the_default_size(method: str, query: str, body: object) -> None:
    site = Site()
    answer = site.call(method, ENC + query, b"" if body is None else json.dumps(body).encode())
    (key,) = json.loads(answer.body)["keys"]
    assert answer.status == 200
    assert base64.b64decode(key["key"]) == bits_of(key["key_ID"], 256)
    (asked,) = site.kme.asked
    assert (asked.sae, asked.peer, asked.number, asked.size_bits) == (ALICE, BOB, 1, 0)


@pytest.mark.parametrize("size", [64, 128, 1024])
def test_get_and_post_give_number_keys_of_size_bits(size: int) -> None:
    site = Site()
    by_get = site.call("GET", f"{ENC}?size={size}&number=3")
    by_post = site.call(
        "POST", ENC, json.dumps({"number": 3, "size": size}).encode(), kind="application/json"
    )
    for answer in (by_get, by_post):
        keys = json.loads(answer.body)["keys"]
        assert [len(base64.b64decode(key["key"])) for key in keys] == [size // 8] * 3
    assert len({key["key_ID"] for a in (by_get, by_post) for key in json.loads(a.body)["keys"]}) == 6


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", ""])
def test_json_is_taken_with_its_type_or_with_none(kind: str) -> None:
    assert Site().call("POST", ENC, b"{}", kind=kind).status == 200


def test_the_container_holds_keys_and_nothing_else() -> None:
    answer = json.loads(Site().call("GET", ENC + "?number=2").body)
    assert list(answer) == ["keys"]
    assert [sorted(key) for key in answer["keys"]] == [["key", "key_ID"]] * 2


def test_the_status_has_the_eleven_members_with_their_types() -> None:
    answer = Site().call("GET", path("status"))
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "source_KME_ID": SITE,
        "target_KME_ID": "norte",
        "master_SAE_ID": ALICE,
        "slave_SAE_ID": BOB,
        "key_size": 256,
        "stored_key_count": 100,
        "max_key_count": 200,
        "max_key_per_request": 128,
        "max_key_size": 1024,
        "min_key_size": 64,
        "max_SAE_ID_count": 8,
    }


def test_the_slave_fetches_the_same_keys_by_id_once() -> None:
    site = Site()
    given = json.loads(site.call("GET", ENC + "?number=3").body)["keys"]
    body = json.dumps({"key_IDs": [{"key_ID": key["key_ID"], "key_ID_extension": {}} for key in given]})
    first = site.call("POST", DEC, body.encode(), BOB)
    again = site.call("POST", DEC, body.encode(), BOB)
    assert json.loads(first.body)["keys"] == given
    assert again.status == 400
    assert json.loads(again.body)["message"] == "one or more keys specified are not found on KME"


def test_an_id_is_found_in_upper_case_and_by_get() -> None:
    site = Site()
    (key,) = json.loads(site.call("GET", ENC).body)["keys"]
    answer = site.call("GET", f"{DEC}?key_ID={key['key_ID'].upper()}", sae=BOB)
    assert json.loads(answer.body)["keys"] == [key]


@pytest.mark.parametrize("sae", [ALICE, CAROL, STRANGER])
def test_an_sae_that_was_not_named_is_unauthorized_and_nothing_is_consumed(sae: str) -> None:
    site = Site()
    (key,) = json.loads(site.call("GET", ENC).body)["keys"]
    target = f"{DEC}?key_ID={key['key_ID']}"
    refused = site.call("GET", target, sae=sae)
    assert refused.status == 401
    assert list(json.loads(refused.body)) == ["message"]
    assert site.call("GET", target, sae=BOB).status == 200


def test_one_unknown_id_fails_the_whole_request_and_consumes_nothing() -> None:
    site = Site()
    (key,) = json.loads(site.call("GET", ENC).body)["keys"]
    both = json.dumps({"key_IDs": [{"key_ID": key["key_ID"]}, {"key_ID": UUID}]}).encode()
    assert site.call("POST", DEC, both, BOB).status == 400
    assert site.call("GET", f"{DEC}?key_ID={key['key_ID']}", sae=BOB).status == 200


def test_the_sae_of_the_path_is_decoded_once_and_compared_as_a_urn() -> None:
    site = Site()
    site.call("GET", "/api/v1/keys/URN%3AQKD%3Amadqci%3Abob/enc_keys")
    site.call("GET", "/api/v1/keys/urn:qkd:madqci:bob/enc_keys")
    site.call("GET", "/api/v1/keys/urn%3Aqkd%3Amadqci%3Abob%253F/enc_keys")
    site.call("GET", "/api/v1/keys/urn%3Aqkd%3Amadqci%3Abob%3F%3Dnonce%3D7/enc_keys")
    peers = [asked.peer for asked in site.kme.asked if isinstance(asked, EncKeys)]
    assert peers == [BOB, BOB, BOB + "%3F", BOB + "?=nonce=7"]


def test_the_query_of_status_does_not_matter() -> None:
    assert Site().call("GET", path("status") + "?verbose=1").status == 200


def test_the_most_keys_of_one_request_fit_into_one_body() -> None:
    site = Site()
    ids = [{"key_ID": f"{number:08x}-0000-4000-8000-000000000000"} for number in range(1024)]
    answer = site.call("POST", DEC, json.dumps({"key_IDs": ids}).encode(), BOB)
    assert answer.status == 400
    (asked,) = site.kme.asked
    assert isinstance(asked, DecKeys)
    assert len(asked.key_ids) == 1024

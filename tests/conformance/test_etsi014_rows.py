"""ETSI GS QKD 014 V1.1.1 at a real KME, one test a row of what the standard fixes and of what it leaves open.

A network in virtual time: relays, key stores and control are those of any network, and so is the handler.
Transport rows, which need TLS, are in `tests/system/test_certificates.py`.
"""

import base64
import binascii
import json
import uuid

import pytest

from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest
from qstrata.store.records import KeyRecord, KeyState
from tests.conformance.kmes import Kmes, asked, keys, path

NOT_FOUND = "one or more keys specified are not found on KME"
SIZE = "size shall be a multiple of 8"
MANDATORY = "not all extension_mandatory parameters are supported"

ALICE, ANNA, BOB, CAROL, DORA = (
    f"urn:qkd:lab:{name}"
    for name in ("left:alice", "left:anna", "right:bob/one", "middle:carol", "right:dora")
)
STRANGER = "urn:qkd:lab:left:mallory"

FILE = f"""
name: rows
domain: lab
nodes:
  - {{name: left, site: [0, 0]}}
  - {{name: middle, site: [1, 0]}}
  - {{name: right, site: [2, 0]}}
links:
  - {{ends: [left, middle], length-km: 20, loss-db: 4, channels: default, initial-key-bits: 800000}}
  - {{ends: [middle, right], length-km: 20, loss-db: 4, channels: default, initial-key-bits: 800000}}
saes:
  - {{name: "{ALICE}", node: left}}
  - {{name: "{ANNA}", node: left}}
  - {{name: "{BOB}", node: right}}
  - {{name: "{CAROL}", node: middle}}
  - {{name: "{DORA}", node: right}}
policy:
  pairs: [["{ALICE}", "{BOB}"], ["{ALICE}", "{CAROL}"], ["{ALICE}", "{ANNA}"]]
defaults:
  limits: {{max-key-per-request: 20, min-key-size-bits: 128, max-key-size-bits: 512, max-sae-ids: 3}}
sessions:
  - {{between: ["{ALICE}", "{BOB}"], key-size-bits: 256, depth-keys: 64}}
  - {{between: ["{ALICE}", "{CAROL}"], ttl-s: 60}}
"""


@pytest.fixture(scope="module")
def kmes() -> Kmes:
    return Kmes(FILE)


ENC, STATUS, DEC = path(BOB, "enc_keys"), path(BOB, "status"), path(ALICE, "dec_keys")


def test_sae_that_is_not_registered_is_401_with_a_message(kmes: Kmes) -> None:
    for method, target in (
        ("GET", STATUS),
        ("GET", ENC),
        ("POST", ENC),
        ("GET", f"{DEC}?key_ID={uuid.UUID(int=7)}"),
    ):
        kmes.refused(401, STRANGER, method, target)


def test_sae_of_another_kme_is_401(kmes: Kmes) -> None:
    answers: list[HttpAnswer] = []
    handler = kmes.sim.assembly.handlers["middle"]
    request = HttpRequest("GET", ENC)
    handler.handle(request, ALICE, lambda answer, now: answers.append(answer), kmes.sim.queue.now)
    kmes.run(1)
    assert answers[0].status == 401


def test_pair_that_policy_does_not_allow_is_401(kmes: Kmes) -> None:
    for verb in ("status", "enc_keys"):
        kmes.refused(401, ALICE, "GET", path(DORA, verb))
        kmes.refused(401, ALICE, "GET", path(ALICE, verb))


def test_status_and_enc_keys_for_an_unknown_slave_are_400(kmes: Kmes) -> None:
    for verb in ("status", "enc_keys"):
        kmes.refused(400, ALICE, "GET", path("urn:qkd:lab:nobody", verb))
        kmes.refused(400, ALICE, "GET", path("some SAE", verb))


def test_status_has_all_eleven_members_of_the_pair_and_the_files_limits(kmes: Kmes) -> None:
    answer = kmes.call(ALICE, "GET", STATUS)
    status = json.loads(answer.body)
    assert 1 <= status.pop("stored_key_count") <= 32
    assert status == {
        "source_KME_ID": "urn:qkd:lab:kme:left",
        "target_KME_ID": "urn:qkd:lab:kme:right",
        "master_SAE_ID": ALICE,
        "slave_SAE_ID": BOB,
        "key_size": 256,
        "max_key_count": 32,  # its half of depth-keys: the other is the slave's to ask for
        "max_key_per_request": 20,
        "max_key_size": 512,
        "min_key_size": 128,
        "max_SAE_ID_count": 3,
    }


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", None), ("POST", {})])
def test_empty_request_is_one_key_of_the_sessions_size(kmes: Kmes, method: str, body: object) -> None:
    kmes.ids()
    given = keys(kmes.call(ALICE, method, ENC, body))
    ((key_id, key),) = given.items()
    assert str(uuid.UUID(key_id)) == key_id
    assert len(binascii.a2b_base64(key, strict_mode=True)) == 256 // 8


def test_get_with_anything_but_number_and_size_is_400(kmes: Kmes) -> None:
    for query in ("additional_slave_SAE_IDs=x", "extension_optional=1", "number=1&foo=2"):
        kmes.refused(400, ALICE, "GET", f"{ENC}?{query}")


def test_size_that_is_no_multiple_of_8_is_400_with_the_fixed_text(kmes: Kmes) -> None:
    assert kmes.refused(400, ALICE, "GET", f"{ENC}?size=129")["message"] == SIZE
    assert kmes.refused(400, ALICE, "POST", ENC, {"size": 257})["message"] == SIZE


@pytest.mark.parametrize("size", [0, -8, 8, 120, 520, 1024, 10**12 * 8])
def test_size_outside_the_files_limits_is_400(kmes: Kmes, size: int) -> None:
    kmes.refused(400, ALICE, "POST", ENC, {"size": size})


@pytest.mark.parametrize("number", [0, -1, 21, 10**9, 10**40])
def test_number_outside_the_files_limits_is_400(kmes: Kmes, number: int) -> None:
    kmes.refused(400, ALICE, "POST", ENC, {"number": number})


@pytest.mark.parametrize("body", [{"number": "1"}, {"number": 1.5}, {"size": True}, {"number": [1]}, [], 1])
def test_what_is_no_integer_is_400(kmes: Kmes, body: object) -> None:
    kmes.refused(400, ALICE, "POST", ENC, body)


@pytest.mark.parametrize("size", [128, 512])
def test_sizes_at_the_files_limits_are_served_to_both(kmes: Kmes, size: int) -> None:
    given = keys(kmes.call(ALICE, "POST", ENC, {"number": 2, "size": size}))
    assert {len(base64.b64decode(key)) * 8 for key in given.values()} == {size}
    assert keys(kmes.call(BOB, "POST", DEC, asked(list(given)))) == given


def test_the_most_keys_of_the_file_are_served_at_once(kmes: Kmes) -> None:
    assert len(set(kmes.ids(20))) == 20


def test_unknown_mandatory_extension_is_400_with_the_fixed_text_and_its_name(kmes: Kmes) -> None:
    error = kmes.refused(400, ALICE, "POST", ENC, {"extension_mandatory": [{"abc_route_type": "direct"}]})
    assert error == {
        "message": MANDATORY,
        "details": [{"extension_mandatory_unsupported": "abc_route_type"}],
    }


def test_unknown_optional_extension_is_ignored(kmes: Kmes) -> None:
    kmes.ids()
    assert (
        len(keys(kmes.call(ALICE, "POST", ENC, {"extension_optional": [{"abc_route_type": "direct"}]}))) == 1
    )


def test_too_few_keys_is_503_with_the_time_when_more_are_expected_and_takes_none() -> None:
    kmes = Kmes(FILE)
    while True:
        before, handed = stored(kmes), kmes.handed_out()
        answer = kmes.call(ALICE, "GET", f"{ENC}?number=20")
        if answer.status != 200:
            break
    message = json.loads(answer.body)["message"]
    assert answer.status == 503
    assert (stored(kmes), kmes.handed_out()) == (before, handed)
    assert f"{before} of 20 keys are stored now" in message
    assert f"in about {answer.retry_after_s} s" in message
    kmes.run(answer.retry_after_s)
    assert kmes.call(ALICE, "GET", f"{ENC}?number=20").status == 200


def stored(kmes: Kmes) -> int:
    return int(json.loads(kmes.call(ALICE, "GET", STATUS).body)["stored_key_count"])


def test_pair_without_a_session_is_503_with_when_to_ask_again_until_its_keys_are_there() -> None:
    kmes = Kmes(FILE)
    answer = kmes.call(ALICE, "GET", path(ANNA, "enc_keys"))
    assert (answer.status, answer.retry_after_s) == (503, 1)
    kmes.run(answer.retry_after_s)
    ((key_id, key),) = keys(kmes.call(ALICE, "GET", path(ANNA, "enc_keys"))).items()
    assert keys(kmes.call(ANNA, "GET", f"{DEC}?key_ID={key_id}")) == {key_id: key}


def test_enc_keys_that_is_answered_is_durable_at_the_master(kmes: Kmes) -> None:
    (key_id,) = kmes.ids()
    rows = kmes.sim.assembly.store.load("left")
    (row,) = [row for row in rows if isinstance(row, KeyRecord) and row.key_id == key_id]
    assert (row.state, row.delivered_to, row.bits) == (KeyState.DELIVERED, (ALICE,), None)


@pytest.mark.parametrize("sae", [ALICE, ANNA, DORA])
def test_dec_keys_by_whoever_was_not_named_is_401_also_for_the_master(kmes: Kmes, sae: str) -> None:
    (key_id,) = kmes.ids()
    kmes.refused(401, sae, "GET", f"{DEC}?key_ID={key_id}")
    assert len(keys(kmes.call(BOB, "GET", f"{DEC}?key_ID={key_id}"))) == 1


def test_dec_keys_at_a_kme_that_never_had_the_key_is_400_with_the_fixed_text(kmes: Kmes) -> None:
    (key_id,) = kmes.ids()
    assert kmes.refused(400, CAROL, "GET", f"{DEC}?key_ID={key_id}")["message"] == NOT_FOUND
    assert len(keys(kmes.call(BOB, "GET", f"{DEC}?key_ID={key_id}"))) == 1


def test_one_key_that_is_not_yours_among_yours_is_401_for_all(kmes: Kmes) -> None:
    mine = kmes.ids(1)
    while kmes.call(ALICE, "GET", path(ANNA, "status")).status != 200:
        kmes.run(1)
    other = kmes.ids(1, ALICE, ANNA)
    kmes.refused(401, ALICE, "POST", path(ANNA, "dec_keys"), asked([*mine, *other]))
    assert len(keys(kmes.call(BOB, "POST", DEC, asked(mine)))) == 1
    assert len(keys(kmes.call(ANNA, "POST", DEC, asked(other)))) == 1


def test_unknown_id_fails_the_whole_request_with_the_fixed_text(kmes: Kmes) -> None:
    ids = kmes.ids(3)
    error = kmes.refused(400, BOB, "POST", DEC, asked([*ids, str(uuid.UUID(int=1))]))
    assert error == {"message": NOT_FOUND}
    assert list(keys(kmes.call(BOB, "POST", DEC, asked(ids)))) == ids


def test_key_that_has_been_fetched_is_400_with_the_fixed_text_and_takes_none_of_the_others(
    kmes: Kmes,
) -> None:
    first, second = kmes.ids(2)
    assert list(keys(kmes.call(BOB, "POST", DEC, asked([first])))) == [first]
    assert kmes.refused(400, BOB, "POST", DEC, asked([first]))["message"] == NOT_FOUND
    assert kmes.refused(400, BOB, "POST", DEC, asked([second, first]))["message"] == NOT_FOUND
    assert list(keys(kmes.call(BOB, "POST", DEC, asked([second])))) == [second]


def test_wrong_master_in_the_path_is_400_with_the_fixed_text(kmes: Kmes) -> None:
    (key_id,) = kmes.ids()
    for master in (CAROL, BOB, "urn:qkd:lab:nobody"):
        error = kmes.refused(400, BOB, "GET", f"{path(master, 'dec_keys')}?key_ID={key_id}")
        assert error["message"] == NOT_FOUND
    assert len(keys(kmes.call(BOB, "GET", f"{DEC}?key_ID={key_id}"))) == 1


def test_expired_key_is_400_with_the_fixed_text() -> None:
    kmes = Kmes(FILE)
    (key_id,) = kmes.ids(1, ALICE, CAROL)
    kmes.run(60)
    assert kmes.refused(400, CAROL, "GET", f"{DEC}?key_ID={key_id}")["message"] == NOT_FOUND


def test_dec_keys_returns_the_same_bits_in_the_order_asked(kmes: Kmes) -> None:
    kmes.ids()
    given = keys(kmes.call(ALICE, "GET", f"{ENC}?number=3"))
    wanted = list(given)[::-1]
    fetched = keys(kmes.call(BOB, "POST", DEC, asked(wanted)))
    assert list(fetched) == wanted
    assert fetched == given


def test_dec_keys_by_get_takes_exactly_one_id_and_no_extension(kmes: Kmes) -> None:
    first, second = kmes.ids(2)
    kmes.refused(400, BOB, "GET", DEC)
    kmes.refused(400, BOB, "GET", f"{DEC}?key_ID={first}&key_ID={second}")
    kmes.refused(400, BOB, "GET", f"{DEC}?key_ID={first}&key_ID_extension=1")
    assert list(keys(kmes.call(BOB, "GET", f"{DEC}?key_ID={first}"))) == [first]


@pytest.mark.parametrize("given", [[], ["7"], ["g" * 36], [str(uuid.UUID(int=2))] * 2, [7], None])
def test_malformed_empty_or_doubled_ids_are_400(kmes: Kmes, given: list[object] | None) -> None:
    body = {"key_IDs": given and [{"key_ID": key_id} for key_id in given]}
    kmes.refused(400, BOB, "POST", DEC, body)


def test_lost_answer_burns_the_right(kmes: Kmes) -> None:
    kmes.ids()
    lost = keys(kmes.call(ALICE, "GET", ENC))
    assert not lost.keys() & set(kmes.ids(10))
    fetched = keys(kmes.call(BOB, "POST", DEC, asked(list(lost))))
    assert fetched == lost
    assert kmes.refused(400, BOB, "POST", DEC, asked(list(lost)))["message"] == NOT_FOUND


def test_name_in_the_path_is_decoded_once_and_compared_as_a_urn(kmes: Kmes) -> None:
    for segment in ("URN%3aQKD%3Alab%3Aright%3Abob%2Fone", "urn:qkd:lab:right:bob%2fone"):
        assert kmes.call(ALICE, "GET", f"/api/v1/keys/{segment}/status").status == 200
    for segment in ("urn%253Aqkd%253Alab%253Aright%253Abob%252Fone", "urn%3Aqkd%3Alab%3Aright%3ABOB%2Fone"):
        kmes.refused(400, ALICE, "GET", f"/api/v1/keys/{segment}/status")


def test_what_is_none_of_the_three_methods_is_404_or_405(kmes: Kmes) -> None:
    kmes.refused(404, ALICE, "GET", "/api/v1/keys")
    kmes.refused(404, ALICE, "GET", "/api/v1/keys/a/b/status")
    kmes.refused(405, ALICE, "POST", STATUS)
    kmes.refused(405, ALICE, "DELETE", ENC)

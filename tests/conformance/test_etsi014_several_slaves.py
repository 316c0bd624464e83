"""ETSI GS QKD 014 V1.1.1, 6.2: additional_slave_SAE_IDs, one test a row; and SAEs that probe their own KME.

Each SAE that is named gets a copy of the same keys under the same ids, once, at its own KME.
"""

import json
from urllib.parse import quote

import pytest

from qstrata.interfaces.etsi014.http import HttpAnswer
from qstrata.testing.checker import check
from tests.conformance.kmes import Kmes, asked, keys, path

NOT_FOUND = "one or more keys specified are not found on KME"
MASTER, NEAR, BOB, BEN, MID, UNNAMED, NOT_MINE = (
    f"urn:qkd:lab:{name}" for name in ("master", "near", "bob", "ben", "mid", "unnamed", "not-mine")
)
FILE = f"""
name: several
domain: lab
nodes:
  - {{name: left, site: [0, 0]}}
  - {{name: middle, site: [1, 0]}}
  - {{name: right, site: [2, 0], kme: {{limits: {{max-sae-ids: 0}}}}}}
links:
  - {{ends: [left, middle], length-km: 20, loss-db: 4, channels: default, initial-key-bits: 800000}}
  - {{ends: [middle, right], length-km: 20, loss-db: 4, channels: default, initial-key-bits: 800000}}
saes:
  - {{name: "{MASTER}", node: left, self-pairing: true}}
  - {{name: "{NEAR}", node: left}}
  - {{name: "{MID}", node: middle}}
  - {{name: "{BOB}", node: right}}
  - {{name: "{BEN}", node: right}}
  - {{name: "{UNNAMED}", node: right}}
  - {{name: "{NOT_MINE}", node: right}}
policy:
  pairs: [["{MASTER}", "{NEAR}"], ["{MASTER}", "{MID}"], ["{MASTER}", "{BOB}"], ["{MASTER}", "{BEN}"],
          ["{MASTER}", "{UNNAMED}"], ["{BOB}", "{NOT_MINE}"], ["{BOB}", "{BEN}"]]
defaults: {{limits: {{max-sae-ids: 4}}}}
sessions:
  - {{between: ["{MASTER}", "{BOB}"], depth-keys: 16}}
  - {{between: ["{MASTER}", "{NEAR}"]}}
  - {{between: ["{MASTER}", "{MID}"]}}
  - {{between: ["{MASTER}", "{BEN}"], key-size-bits: 128}}
"""
ENC, DEC = path(BOB, "enc_keys"), path(MASTER, "dec_keys")


@pytest.fixture(scope="module")
def kmes() -> Kmes:
    return Kmes(FILE)


def body(*others: str, **more: object) -> dict[str, object]:
    return {"additional_slave_SAE_IDs": list(others), **more}


def given(kmes: Kmes, *others: str, peer: str = BOB, **more: object) -> dict[str, str]:
    return keys(kmes.call(MASTER, "POST", path(peer, "enc_keys"), body(*others, **more)))


def fetched(kmes: Kmes, sae: str, ids: object) -> HttpAnswer:
    return kmes.call(sae, "POST", DEC, asked(list(ids)))  # type: ignore[call-overload]


def not_found(kmes: Kmes, sae: str, ids: object) -> None:
    assert kmes.refused(400, sae, "POST", DEC, asked(list(ids)))["message"] == NOT_FOUND  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "others",
    [(MID,), (BEN,), (NEAR,), (NEAR, MID, BEN)],
    ids=["at another KME", "at the same KME", "at the master's KME", "everywhere"],
)
def test_each_named_sae_gets_the_same_keys_under_the_same_ids_once(
    kmes: Kmes, others: tuple[str, ...]
) -> None:
    container = given(kmes, *others, number=3)
    assert len(container) == 3
    for sae in (BOB, *others):
        assert keys(fetched(kmes, sae, container)) == container
    for sae in (BOB, *others):
        not_found(kmes, sae, container)


def test_slave_at_the_masters_kme_in_the_path_and_another_beside_it_get_the_same_keys(kmes: Kmes) -> None:
    container = given(kmes, BOB, peer=NEAR)
    assert keys(fetched(kmes, NEAR, container)) == keys(fetched(kmes, BOB, container)) == container


def test_keys_have_the_size_asked_for_else_that_of_the_slave_in_the_path(kmes: Kmes) -> None:
    for container, size_bits in ((given(kmes, BEN, size=512), 512), (given(kmes, BOB, peer=BEN), 128)):
        assert all(len(key) == -(-size_bits // 24) * 4 for key in container.values())
        assert keys(fetched(kmes, BEN, container)) == container


def test_slaves_fetch_independently_of_each_other(kmes: Kmes) -> None:
    container = given(kmes, BEN, MID, number=2)
    first, second = container
    assert keys(fetched(kmes, BEN, [second])) == {second: container[second]}
    not_found(kmes, BEN, container)
    assert keys(fetched(kmes, BOB, [first, second])) == container
    assert keys(fetched(kmes, BEN, [first])) == {first: container[first]}
    assert keys(fetched(kmes, MID, container)) == container


@pytest.mark.parametrize("sae", [MASTER, UNNAMED, NOT_MINE])
def test_dec_keys_by_the_master_or_by_an_sae_that_was_not_named_is_401(kmes: Kmes, sae: str) -> None:
    container = given(kmes, NEAR, BEN)
    kmes.refused(401, sae, "POST", DEC, asked(list(container)))


def test_key_among_several_that_was_not_made_for_the_sae_is_401_for_all(kmes: Kmes) -> None:
    mine, other = given(kmes, BEN), given(kmes, NEAR)
    kmes.refused(401, BEN, "POST", DEC, asked([*mine, *other]))
    assert keys(fetched(kmes, BEN, mine)) == mine


def test_wrong_master_in_the_path_is_400_for_a_copy_too(kmes: Kmes) -> None:
    container = given(kmes, BEN)
    kmes.refused(400, BEN, "POST", path(NEAR, "dec_keys"), asked(list(container)))
    assert keys(fetched(kmes, BEN, container)) == container


@pytest.mark.parametrize(
    ("status", "others"),
    [
        (400, (NEAR, MID, BEN, UNNAMED, "urn:qkd:lab:more")),
        (400, (MID, MID)),
        (400, (MID, BOB)),
        (400, (MASTER,)),
        (400, ("urn:qkd:lab:nobody",)),
        (400, ("",)),
        (401, (NOT_MINE,)),
        (401, (MID, NOT_MINE)),
    ],
    ids=["too many", "twice", "path too", "master", "unknown", "empty", "not allowed", "one not allowed"],
)
def test_slaves_that_may_not_be_named_refuse_the_whole_request(
    kmes: Kmes, status: int, others: tuple[str, ...]
) -> None:
    kmes.refused(status, MASTER, "POST", ENC, body(*others))


def test_status_tells_max_SAE_ID_count_of_the_file(kmes: Kmes) -> None:
    for sae, peer, most in ((MASTER, BOB, 4), (BOB, MASTER, 0)):
        assert json.loads(kmes.call(sae, "GET", path(peer, "status")).body)["max_SAE_ID_count"] == most


def test_kme_whose_limit_is_0_takes_no_additional_slave(kmes: Kmes) -> None:
    kmes.refused(400, BOB, "POST", path(MASTER, "enc_keys"), body(BEN))


def test_slave_without_a_session_is_503_with_when_to_ask_again_until_it_is_open() -> None:
    kmes = Kmes(FILE)
    answer = kmes.call(MASTER, "POST", ENC, body(UNNAMED, MID))
    waits = 0
    while answer.status == 503:
        waits += answer.retry_after_s
        assert answer.retry_after_s >= 1
        assert waits < 10
        kmes.run(answer.retry_after_s)
        answer = kmes.call(MASTER, "POST", ENC, body(UNNAMED, MID))
    container = keys(answer)
    for sae in (BOB, UNNAMED, MID):
        assert keys(fetched(kmes, sae, container)) == container


def test_slave_that_cannot_be_reached_refuses_all_and_nobody_ever_gets_the_keys() -> None:
    kmes = Kmes(FILE)
    kmes.sim.crash("right")
    error = kmes.refused(503, MASTER, "POST", ENC, body(NEAR, MID))
    assert error["message"]
    kmes.sim.restart("right")
    kmes.run(20)
    container = given(kmes, NEAR, MID)
    for sae in (BOB, NEAR, MID):
        assert keys(fetched(kmes, sae, container)) == container


def test_sae_that_may_pair_with_itself_probes_its_kme_with_one_key_once(kmes: Kmes) -> None:
    probe = path(MASTER, "enc_keys")
    answer = kmes.call(MASTER, "GET", probe)
    assert (answer.status, answer.retry_after_s) == (503, 1)
    kmes.run(answer.retry_after_s)
    container = keys(kmes.call(MASTER, "GET", probe))
    assert keys(kmes.call(MASTER, "POST", DEC, asked(list(container)))) == container
    not_found(kmes, MASTER, container)
    assert json.loads(kmes.call(MASTER, "GET", path(MASTER, "status")).body)["slave_SAE_ID"] == MASTER


def test_sae_that_may_pair_with_itself_may_name_others_beside_it(kmes: Kmes) -> None:
    answer = kmes.call(MASTER, "POST", path(MASTER, "enc_keys"), body(BEN))
    if answer.status == 503:
        kmes.run(answer.retry_after_s)
    container = given(kmes, BEN, peer=MASTER)
    assert keys(fetched(kmes, BEN, container)) == keys(fetched(kmes, MASTER, container)) == container
    not_found(kmes, MASTER, container)


def test_sae_may_not_pair_with_itself_unless_the_file_says_so(kmes: Kmes) -> None:
    for verb in ("status", "enc_keys"):
        kmes.refused(401, BOB, "GET", f"/api/v1/keys/{quote(BOB, safe='')}/{verb}")


def test_checker_finds_nothing_wrong_with_all_that_has_happened(kmes: Kmes) -> None:
    kmes.sim.recorder.flush()
    assert not check(kmes.lines).violations

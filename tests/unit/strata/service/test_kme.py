"""A KME: who gets which key, and once."""

import pytest

from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.delivery import AskStatus, Fault, KeysDelivered, RequestRefused
from qstrata.fabric.messages.service_control import (
    CloseSession,
    GrantCredit,
    KmeHello,
    OpenSession,
    SessionOpened,
)
from qstrata.fabric.messages.transfer import (
    Placed,
    TransferRequest,
    TransferSettled,
)
from qstrata.store.records import KeyRecord, SessionRecord
from qstrata.strata.service.resource.keystore import KmeFigures
from tests.unit.strata.service.kme_rig import ALICE, BOB, CAROL, EVE, FAR, SESSION, SITE, Rig, ids, placement

NOT_FOUND = "one or more keys specified are not found on KME"


def test_a_key_is_handed_out_only_after_the_far_kme_has_it_durably(rig: Rig) -> None:
    rig.grant()
    asked = rig.relay.take(TransferRequest)
    assert asked
    refused = rig.enc()
    assert isinstance(refused, RequestRefused)
    assert refused.fault is Fault.UNAVAILABLE
    rig.tell(rig.relay, TransferSettled(asked[0].transfer, True, ""))
    given = rig.enc()
    assert ids(given)[0] in asked[0].header.key_ids


def test_the_bits_given_to_the_relay_are_those_given_to_the_sae(rig: Rig) -> None:
    rig.grant()
    (asked,) = rig.settle()
    given = rig.enc(len(asked.header.key_ids))
    bits = dict(zip(asked.header.key_ids, range(len(asked.header.key_ids)), strict=True))
    for key in given.keys:
        start = bits[key.key_id] * 32
        assert key.bits == KeyMaterial(asked.bits.reveal(start, start + 32))


def test_a_session_is_said_to_be_open_only_once_it_is_durable(rig: Rig) -> None:
    rig.controller.take(SessionOpened)
    again = OpenSession("other", "unit", CAROL, BOB, FAR, 256, 20, 1000 * PS_PER_S)
    for _ in range(2):
        rig.tell(rig.controller, again, seconds=0)
    assert not rig.controller.take(SessionOpened)
    rig.crash()
    rig.start()
    assert "other" not in rig.kme.store.sessions


def test_credit_for_a_session_that_a_crash_has_lost_is_answered_by_a_hello(rig: Rig) -> None:
    rig.controller.take(KmeHello)
    rig.tell(rig.controller, GrantCredit("other", 1, 7, 1000.0, 1000))
    assert len(rig.controller.take(KmeHello)) == 1


def test_too_few_keys_refuse_the_whole_request_and_consume_nothing(filled: Rig) -> None:
    assert len(filled.enc(1).keys) == 1
    refused = filled.enc(20)
    assert refused.fault is Fault.UNAVAILABLE
    assert len(filled.enc(19).keys) == 19


def test_no_key_is_given_twice_and_not_after_a_restart(filled: Rig) -> None:
    first = ids(filled.enc(5))
    filled.crash()
    filled.start()
    filled.run(0.1)
    second = ids(filled.enc(15))
    assert not set(first) & set(second)
    assert isinstance(filled.enc(1), RequestRefused)


def test_keys_of_the_peer_are_fetched_by_id_once_and_all_or_none(rig: Rig) -> None:
    rig.tell(rig.relay, placement(rig))
    (placed,) = rig.relay.take(Placed)
    assert placed.placed
    assert rig.dec(("key-0-0", "unknown")).message == NOT_FOUND
    assert ids(rig.dec(("key-0-0", "key-0-1"))) == ("key-0-0", "key-0-1")
    again = rig.dec(("key-0-0",))
    assert (again.fault, again.message) == (Fault.BAD_REQUEST, NOT_FOUND)


def test_an_id_asked_for_twice_in_one_request_is_refused(rig: Rig) -> None:
    rig.tell(rig.relay, placement(rig))
    assert rig.dec(("key-0-0", "key-0-0")).message == NOT_FOUND
    assert rig.dec(("key-0-0",)).keys


def test_another_sae_gets_401_for_a_key_that_is_not_its_own_and_consumes_nothing(rig: Rig) -> None:
    rig.tell(rig.relay, placement(rig))
    assert rig.dec(("key-0-0",), sae=CAROL).fault is Fault.UNAUTHORIZED
    assert rig.dec(("key-0-0",), sae=EVE).fault is Fault.UNAUTHORIZED
    assert rig.dec(("key-0-0",), peer=CAROL).message == NOT_FOUND
    assert rig.dec(("key-0-0",)).keys


def test_the_master_itself_gets_401_for_its_own_key(filled: Rig) -> None:
    given = ids(filled.enc())
    assert filled.dec(given).fault is Fault.UNAUTHORIZED


def test_an_answer_waits_for_its_delivery_mark(filled: Rig) -> None:
    filled.commits.on_commit = lambda node, changes: "lose"
    filled.commits.crash = lambda node: filled.crash()
    assert filled.enc() is None


def test_nothing_is_given_after_the_end_of_the_session(rig: Rig) -> None:
    rig.configure()
    rig.tell(rig.controller, OpenSession("short", "unit", ALICE, CAROL, SITE, 256, 10, 5 * PS_PER_S))
    given = rig.enc(2, peer=CAROL)
    rig.run(6)
    assert rig.enc(1, peer=CAROL).fault is Fault.NO_SESSION
    assert rig.dec(ids(given), sae=CAROL, peer=ALICE).message == NOT_FOUND


def test_the_bits_of_an_expired_session_go_also_while_control_is_away() -> None:
    rig = Rig()
    rig.configure(valid_s=5)
    rig.grant()
    rig.settle()
    rig.run(6)
    rows = rig.store.load(SITE)
    assert [row.closed for row in rows if isinstance(row, SessionRecord)] == [True]
    assert {row.bits for row in rows if isinstance(row, KeyRecord)} == {None}


def test_a_closed_session_gives_nothing_and_takes_nothing(filled: Rig) -> None:
    filled.tell(filled.controller, CloseSession(SESSION))
    assert filled.enc().fault is Fault.NO_SESSION
    filled.tell(filled.relay, placement(filled))
    assert [placed.placed for placed in filled.relay.take(Placed)] == [False]


def test_an_sae_that_waits_while_its_session_closes_is_told_so(filled: Rig) -> None:
    assert filled.enc(1, size_bits=512) is None
    (asked,) = filled.relay.take(TransferRequest)
    filled.tell(filled.controller, CloseSession(SESSION))
    filled.tell(filled.relay, TransferSettled(asked.transfer, True, ""))
    (refused,) = filled.application.take(RequestRefused)
    assert refused.fault is Fault.UNAVAILABLE
    assert "closed" in refused.message


def test_keys_that_nobody_fetches_are_stored_up_to_a_bound() -> None:
    rig = Rig(KmeFigures(stored_max=5))
    rig.configure()
    rig.tell(rig.relay, placement(rig, 0, keys=4))
    rig.tell(rig.relay, placement(rig, 1, keys=2))
    assert [placed.placed for placed in rig.relay.take(Placed)] == [True, False]
    assert rig.dec(("key-0-0",), sae=ALICE, peer=BOB).keys
    rig.tell(rig.relay, placement(rig, 2, keys=2))
    assert [placed.placed for placed in rig.relay.take(Placed)] == [True]


@pytest.mark.parametrize("size_bits", [0, 512])
def test_two_saes_of_one_kme_cannot_fill_it_with_keys_that_nobody_fetches(size_bits: int) -> None:
    rig = Rig(KmeFigures(stored_max=8))
    rig.configure()
    rig.tell(rig.controller, OpenSession("local", "unit", ALICE, CAROL, SITE, 256, 4, 1000 * PS_PER_S))
    given: list[str] = []
    for _ in range(10):
        answer = rig.enc(2, size_bits, peer=CAROL)
        if isinstance(answer, RequestRefused):
            assert answer.fault is Fault.UNAVAILABLE
            break
        given += ids(answer)
        rig.run(1)
    else:
        pytest.fail("keys are handed out without bound")
    assert len(given) <= 8
    assert rig.dec(tuple(given), sae=CAROL, peer=ALICE).keys
    rig.run(1)
    assert rig.enc(2, size_bits, peer=CAROL).keys


def test_two_saes_of_one_kme_share_keys_without_a_relay(rig: Rig) -> None:
    rig.tell(rig.controller, OpenSession("local", "unit", ALICE, CAROL, SITE, 256, 10, 1000 * PS_PER_S))
    rig.run(1)
    given = rig.enc(3, peer=CAROL)
    assert rig.dec(ids(given), peer=CAROL).fault is Fault.UNAUTHORIZED
    rig.crash()
    rig.start()
    rig.run(0.1)
    fetched = rig.dec(ids(given), sae=CAROL, peer=ALICE)
    assert [key.bits for key in fetched.keys] == [key.bits for key in given.keys]
    assert rig.dec(ids(given), sae=CAROL, peer=ALICE).message == NOT_FOUND
    assert not rig.relay.got


def test_another_size_is_relayed_on_demand(filled: Rig) -> None:
    assert filled.enc(2, 512) is None
    (asked,) = filled.settle()
    (given,) = filled.application.take(KeysDelivered)
    assert ids(given) == asked.header.key_ids
    assert {key.bits.size_bits for key in given.keys} == {512}


def test_more_keys_than_are_ever_stored_are_relayed_on_demand(filled: Rig) -> None:
    """ETSI GS QKD 014 V1.1.1, 6.1: up to max_key_per_request keys may be asked for at once."""
    assert filled.enc(21) is None
    (asked,) = filled.settle()
    (given,) = filled.application.take(KeysDelivered)
    assert ids(given) == asked.header.key_ids
    assert [key.bits.size_bits for key in given.keys] == [256] * 21


def test_who_may_not_ask_is_told_so(filled: Rig) -> None:
    assert filled.enc(sae=EVE).fault is Fault.UNAUTHORIZED
    assert filled.enc(sae=BOB, peer=ALICE).fault is Fault.UNAUTHORIZED
    assert filled.enc(sae=CAROL, peer=BOB).fault is Fault.UNAUTHORIZED
    assert filled.enc(peer="urn:qkd:dom:nobody").fault is Fault.BAD_REQUEST


def test_an_allowed_pair_without_session_says_so(rig: Rig) -> None:
    assert rig.enc(sae=CAROL, peer=ALICE).fault is Fault.NO_SESSION
    rig.tell(rig.application, AskStatus(99, CAROL, ALICE))
    (status,) = rig.application.got
    assert (status.session, status.stored) == ("", 0)


def test_finished_keys_beyond_the_kept_ones_stay_in_the_account() -> None:
    rig = Rig(KmeFigures(finished_kept=4))
    rig.configure()
    rig.grant()
    rig.settle()
    given = ids(rig.enc(20))
    rig.run(1)
    kept = [r for r in rig.store.load(SITE) if r.kind == "key" and r.key in given]
    (totals,) = (r for r in rig.store.load(SITE) if r.kind == "key-totals")
    assert len(kept) + totals.delivered // 256 == 20  # type: ignore[attr-defined]
    assert len(kept) <= 4

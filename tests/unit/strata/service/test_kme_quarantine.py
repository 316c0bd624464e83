"""A KME sets suspect keys aside, names what it gave, and finds their copies for other slaves."""

from qstrata.fabric.messages.delivery import Fault, KeysDelivered, RequestRefused
from qstrata.fabric.messages.service_control import KeysQuarantined, QuarantineKeys
from qstrata.fabric.messages.transfer import TransferRequest
from qstrata.store.records import KeyRecord, KeyState
from tests.unit.strata.service.kme_rig import ALICE, BOB, FAR, SESSION, SITE, Rig, ids, placement
from tests.unit.strata.service.test_kme_several_slaves import DAVE, WITH_CAROL, WITH_DAVE, ask, opened, settle

LINK = "here-far"


def quarantine(rig: Rig, *transfers: str, serial: int = 1) -> KeysQuarantined:
    rig.tell(rig.controller, QuarantineKeys(serial, LINK, transfers))
    (answer,) = rig.controller.take(KeysQuarantined)
    assert answer.serial == serial
    return answer


def state(rig: Rig, key_id: str) -> KeyState:
    return next(
        row.state for row in rig.store.load(SITE) if isinstance(row, KeyRecord) and row.key_id == key_id
    )


def test_keys_from_the_peer_are_set_aside_once_and_named_again_when_asked_again(rig: Rig) -> None:
    told = placement(rig)
    rig.tell(rig.relay, told)
    suspect = f"{SESSION}/{FAR}/{told.header.sequence}"
    first = quarantine(rig, suspect)
    assert set(first.set_aside) == set(told.header.key_ids)
    assert quarantine(rig, suspect, serial=2).set_aside == first.set_aside
    assert rig.dec((told.header.key_ids[0],), BOB, ALICE).fault is not None
    rig.crash()
    rig.start()
    assert quarantine(rig, suspect, serial=3).set_aside == first.set_aside


def test_keys_that_were_given_are_named_as_exposed(rig: Rig) -> None:
    rig.grant()
    (asked, *_) = rig.settle()
    given = ids(rig.enc(2))
    answer = quarantine(rig, f"{SESSION}/{SITE}/{asked.header.sequence}")
    assert answer.exposed == given
    assert set(answer.set_aside) == set(asked.header.key_ids) - set(given)
    assert {state(rig, key_id) for key_id in answer.set_aside} == {KeyState.QUARANTINED}


def test_a_batch_on_its_way_never_becomes_ready(rig: Rig) -> None:
    rig.grant()
    (asked, *_) = rig.relay.take(TransferRequest)
    assert quarantine(rig, f"{SESSION}/{SITE}/{asked.header.sequence}").exposed == ()
    settle(rig, asked)
    assert {state(rig, key_id) for key_id in asked.header.key_ids} == {KeyState.DESTROYED}


def test_keys_for_several_slaves_are_refused_if_one_copy_became_suspect_on_its_way(rig: Rig) -> None:
    shared = opened(rig)
    ask(shared, DAVE)
    one, other = shared.relay.take(TransferRequest)
    settle(shared, one)
    quarantine(shared, f"{one.header.session}/{SITE}/{one.header.sequence}")
    settle(shared, other)
    assert not shared.application.take(KeysDelivered)
    (refused,) = shared.application.take(RequestRefused)
    assert refused.fault is Fault.UNAVAILABLE


def test_the_copies_of_a_suspect_key_for_other_slaves_are_named(rig: Rig) -> None:
    shared = opened(rig)
    ask(shared, DAVE, "urn:qkd:dom:carol")
    sent = {asked.header.session: asked for asked in shared.settle()}
    (given,) = shared.application.take(KeysDelivered)
    header = sent[SESSION].header
    answer = quarantine(shared, f"{SESSION}/{SITE}/{header.sequence}")
    assert answer.exposed == ids(given)
    assert {copy.partition("/")[0] for copy in answer.copies} == {WITH_DAVE, WITH_CAROL}
    again = quarantine(shared, *answer.copies, serial=2)
    assert set(again.exposed) == set(ids(given))
    assert shared.dec(ids(given), "urn:qkd:dom:carol", ALICE).fault is not None

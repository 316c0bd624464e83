"""A KME: keys for several slaves, a copy in the session with each, all or none."""

import msgspec
import pytest

from qstrata.core.errors import InternalError
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.delivery import EncKeys, Fault, KeysDelivered, RequestRefused
from qstrata.fabric.messages.service_control import (
    CloseSession,
    ConfigureKme,
    GrantCredit,
    KeyTraced,
    OpenSession,
    TraceKey,
)
from qstrata.fabric.messages.transfer import (
    Placed,
    Placement,
    TransferRefused,
    TransferRequest,
    TransferSettled,
)
from qstrata.store.accounts import session_account
from qstrata.store.records import BatchRecord, KeyRecord, KeyState, SaeEntry
from qstrata.strata.service.resource.keystore import KmeFigures
from tests.unit.strata.service.kme_rig import (
    ALICE,
    BOB,
    CAROL,
    DOMAIN,
    FAR,
    SESSION,
    SITE,
    Rig,
    ids,
    placement,
)

DAVE = f"urn:qkd:{DOMAIN}:dave"
WITH_CAROL, WITH_DAVE = "with-carol", "with-dave"
SAES = (
    SaeEntry(ALICE, SITE, (ALICE, BOB, CAROL, DAVE)),
    SaeEntry(CAROL, SITE, (ALICE,)),
    SaeEntry(BOB, FAR, (ALICE,)),
    SaeEntry(DAVE, FAR, (ALICE,)),
)


@pytest.fixture
def shared(rig: Rig) -> Rig:
    return opened(rig)


def opened(rig: Rig) -> Rig:
    """Return a KME at which Alice has sessions with Bob and Dave, far away, and with Carol, here."""
    rig.tell(rig.controller, ConfigureKme(2, SAES))
    until = 1000 * PS_PER_S
    rig.tell(rig.controller, OpenSession(WITH_DAVE, "unit", ALICE, DAVE, FAR, 256, 20, until))
    rig.tell(rig.controller, OpenSession(WITH_CAROL, "unit", ALICE, CAROL, SITE, 256, 20, until))
    rig.grant()
    rig.tell(rig.controller, GrantCredit(WITH_DAVE, 1, 8, 1000.0, 1000))
    rig.settle()
    return rig


def ask(rig: Rig, *also: str, number: int = 2, peer: str = BOB) -> None:
    rig.request += 1
    rig.tell(rig.application, EncKeys(rig.request, ALICE, peer, number, 0, also))


def settle(rig: Rig, asked: TransferRequest, *, placed: bool = True) -> None:
    rig.tell(rig.relay, TransferSettled(asked.transfer, placed, "" if placed else "no bits on link x"))


def refusal(rig: Rig) -> RequestRefused:
    (refused,) = rig.application.take(RequestRefused)
    return refused


def balanced(rig: Rig) -> bool:
    rows = rig.store.load(SITE)
    accounts = [
        session_account(
            (row for row in rows if isinstance(row, KeyRecord) and row.session == session),
            (row for row in rows if isinstance(row, BatchRecord) and row.session == session),
        )
        for session in (SESSION, WITH_DAVE, WITH_CAROL)
    ]
    return all(account.balanced and not account.in_flight for account in accounts)


def live(rig: Rig, key_ids: tuple[str, ...]) -> list[str]:
    rows = [row for row in rig.store.load(SITE) if isinstance(row, KeyRecord) and row.key_id in key_ids]
    return [row.session for row in rows if row.bits is not None]


def test_keys_are_handed_out_only_after_every_far_kme_has_its_copy_durably(shared: Rig) -> None:
    ask(shared, DAVE, CAROL)
    first, second = shared.relay.take(TransferRequest)
    assert {first.header.session, second.header.session} == {SESSION, WITH_DAVE}
    assert first.header.key_ids == second.header.key_ids
    assert first.bits == second.bits
    settle(shared, second)
    assert not shared.application.got
    settle(shared, first)
    (given,) = shared.application.take(KeysDelivered)
    assert ids(given) == first.header.key_ids
    assert b"".join(key.bits.reveal() for key in given.keys) == first.bits.reveal()
    assert live(shared, ids(given)) == [WITH_CAROL] * 2
    assert balanced(shared)


def test_slave_here_fetches_its_copy_once_and_the_master_never(shared: Rig) -> None:
    ask(shared, CAROL)
    shared.settle()
    (given,) = shared.application.take(KeysDelivered)
    assert shared.dec(ids(given)).fault is Fault.UNAUTHORIZED
    fetched = shared.dec(ids(given), CAROL, ALICE)
    assert [key.bits for key in fetched.keys] == [key.bits for key in given.keys]
    shared.crash()
    shared.start()
    assert shared.dec(ids(given), CAROL, ALICE).fault is Fault.BAD_REQUEST
    assert not live(shared, ids(given))


@pytest.mark.parametrize("first_is_placed", [True, False])
def test_copy_that_is_refused_voids_all_and_the_far_kmes_are_told(shared: Rig, first_is_placed: bool) -> None:
    ask(shared, DAVE, CAROL)
    one, other = shared.relay.take(TransferRequest)
    if first_is_placed:
        settle(shared, one)
    settle(shared, other, placed=False)
    refused = refusal(shared)
    assert refused.fault is Fault.UNAVAILABLE
    assert "no bits on link x" in refused.message
    assert refused.retry_after_ps > 0
    if not first_is_placed:
        settle(shared, one)
    assert not shared.application.got
    assert not live(shared, one.header.key_ids)
    assert balanced(shared)
    shared.run(2)
    told = {message.header.session: message.header.void for message in shared.relay.take(TransferRequest)}
    assert told == {each.header.session: (each.header.sequence,) for each in (one, other)}


def test_relay_that_refuses_one_copy_refuses_the_request(shared: Rig) -> None:
    ask(shared, DAVE)
    one, _ = shared.relay.take(TransferRequest)
    shared.tell(shared.relay, TransferRefused(one.transfer, "too little key on link x"))
    assert "too little key on link x" in refusal(shared).message
    assert not live(shared, one.header.key_ids)


def test_copies_without_an_answer_are_void_at_their_deadline(shared: Rig) -> None:
    ask(shared, DAVE)
    one, _ = shared.relay.take(TransferRequest)
    shared.run(KmeFigures().order_timeout_ps / PS_PER_S + 0.1)
    assert "deadline" in refusal(shared).message
    assert not live(shared, one.header.key_ids)
    assert balanced(shared)


def test_crash_between_two_acknowledgements_leaves_no_copy_alive(shared: Rig) -> None:
    ask(shared, DAVE, CAROL)
    one, other = shared.relay.take(TransferRequest)
    settle(shared, one)
    shared.crash()
    shared.start()
    settle(shared, other)
    assert not shared.application.got
    assert not live(shared, one.header.key_ids)
    assert balanced(shared)


def test_session_that_closes_while_its_copy_is_under_way_ends_the_request(shared: Rig) -> None:
    ask(shared, DAVE)
    one, other = shared.relay.take(TransferRequest)
    shared.tell(shared.controller, CloseSession(other.header.session))
    settle(shared, other)
    settle(shared, one)
    assert "closed" in refusal(shared).message
    assert not live(shared, one.header.key_ids)


def test_full_store_of_a_slave_here_refuses_all_and_consumes_nothing() -> None:
    rig = Rig(KmeFigures(stored_max=22))
    rig.configure()
    rig.tell(rig.controller, ConfigureKme(2, SAES))
    rig.tell(rig.controller, OpenSession(WITH_CAROL, "unit", ALICE, CAROL, SITE, 256, 20, 1000 * PS_PER_S))
    rig.grant()
    rig.settle()
    ask(rig, CAROL, number=3)
    assert "wait to be fetched" in refusal(rig).message
    assert not rig.relay.take(TransferRequest)


def test_pair_without_a_session_refuses_all_and_consumes_nothing(rig: Rig) -> None:
    rig.tell(rig.controller, ConfigureKme(2, SAES))
    rig.grant()
    rig.settle()
    ask(rig, DAVE)
    refused = refusal(rig)
    assert refused.fault is Fault.NO_SESSION
    assert DAVE in refused.message
    assert not rig.relay.take(TransferRequest)


def test_lacking_credit_is_asked_for_and_says_when_to_come_again(shared: Rig) -> None:
    until = 1000 * PS_PER_S
    carol = "other"
    shared.tell(shared.controller, OpenSession(carol, "unit", CAROL, BOB, FAR, 256, 20, until))
    shared.tell(
        shared.controller, ConfigureKme(3, (*SAES[:1], SaeEntry(CAROL, SITE, (ALICE, BOB)), *SAES[2:]))
    )
    assert 0 < shared.enc(1, 512, sae=CAROL).retry_after_ps <= 2 * PS_PER_S
    shared.tell(shared.controller, GrantCredit(carol, 1, 9, 1000.0, 20))
    shared.settle()
    refused = shared.enc(1, 512, sae=CAROL)
    assert refused.fault is Fault.UNAVAILABLE
    assert 0 < refused.retry_after_ps <= 2 * PS_PER_S
    assert shared.enc(11, 512, sae=CAROL).retry_after_ps == 0


def test_copies_of_a_far_master_are_fetched_here_by_each_slave_once(rig: Rig) -> None:
    until = 1000 * PS_PER_S
    saes = (SaeEntry(ALICE, SITE, (BOB,)), SaeEntry(CAROL, SITE, (BOB,)), SaeEntry(BOB, FAR, ()))
    rig.tell(rig.controller, ConfigureKme(2, saes))
    rig.tell(rig.controller, OpenSession(WITH_CAROL, "unit", CAROL, BOB, FAR, 256, 20, until))
    for session in (SESSION, WITH_CAROL):
        made = placement(rig)
        header = msgspec.structs.replace(made.header, session=session, shared=True)
        rig.tell(rig.relay, Placement(header, made.bits))
    assert all(placed.placed for placed in rig.relay.take(Placed))
    key_ids = made.header.key_ids
    assert ids(rig.dec(key_ids, CAROL, BOB)) == key_ids
    rig.crash()
    rig.start()
    assert rig.dec(key_ids, CAROL, BOB).fault is Fault.BAD_REQUEST
    assert ids(rig.dec(key_ids, ALICE, BOB)) == key_ids
    assert rig.dec(key_ids, ALICE, BOB).fault is Fault.BAD_REQUEST


def test_each_copy_is_traced_with_its_session(shared: Rig) -> None:
    ask(shared, DAVE, CAROL, number=1)
    shared.settle()
    (given,) = shared.application.take(KeysDelivered)
    shared.tell(shared.controller, TraceKey(1, *ids(given)))
    (traced,) = shared.controller.take(KeyTraced)
    states = {key.session: key.state for key in traced.keys}
    assert states == {SESSION: "delivered", WITH_DAVE: "delivered", WITH_CAROL: "delivered-in-part"}


def test_copies_that_are_folded_away_are_forgotten_and_stay_in_the_account() -> None:
    rig = Rig(KmeFigures(finished_kept=2))
    rig.configure()
    opened(rig)
    for _ in range(5):
        ask(rig, DAVE)
        rig.settle()
        (given,) = rig.application.take(KeysDelivered)
        assert len(ids(given)) == 2
    rows = [row for row in rig.store.load(SITE) if isinstance(row, KeyRecord) and row.shared]
    kept = {row.key_id for row in rows}
    assert {row.session for row in rows} == {SESSION, WITH_DAVE}
    assert len(rows) == 4
    assert set(rig.kme.store.copies) == kept
    assert {key_id for key_id in rig.kme.store.session_of if key_id in kept} == kept
    for session in (SESSION, WITH_DAVE):
        assert rig.kme.store.sessions[session].totals.delivered == 8 * 256
    rig.crash()
    rig.start()
    assert set(rig.kme.store.copies) == kept


def bits_of(rig: Rig, session: str, state: KeyState = KeyState.POOLED) -> list[KeyMaterial]:
    keys = rig.kme.store.sessions[session].keys.values()
    return [key.bits for key in keys if key.bits is not None and key.state is state]


def wiped(bits: list[KeyMaterial]) -> bool:
    for each in bits:
        with pytest.raises(InternalError):
            each.reveal()
    return bool(bits)


def test_kme_keeps_no_bits_of_a_key_in_memory_that_it_has_handed_out(shared: Rig) -> None:
    held = bits_of(shared, SESSION)
    (key,) = shared.enc().keys
    mine = [bits for bits in held if bits == key.bits]
    shared.enc()
    assert len(mine) == 1
    assert wiped(mine)
    shared.dec((shared.enc(peer=CAROL).keys[0].key_id,), CAROL, ALICE)
    shared.run(1)
    assert not shared.kme.store.given


def test_bits_of_a_session_are_wiped_in_memory_once_its_end_is_durable(shared: Rig) -> None:
    bits = [*bits_of(shared, SESSION), *bits_of(shared, WITH_CAROL)]
    for session in (SESSION, WITH_CAROL):
        shared.tell(shared.controller, CloseSession(session), 0.0001)
        assert len(bits[-1]) == 32
    shared.run(0.01)
    assert wiped(bits)


def test_bits_of_a_copy_are_wiped_in_memory_once_the_master_has_the_key(shared: Rig) -> None:
    before = len(bits_of(shared, WITH_DAVE))
    ask(shared, DAVE)
    copies = bits_of(shared, WITH_DAVE)[before:]
    shared.settle()
    (given,) = shared.application.take(KeysDelivered)
    assert given.keys[0].bits.size_bits == 256
    assert wiped(copies)


def test_bits_of_void_copies_are_wiped_in_memory(shared: Rig) -> None:
    before = len(bits_of(shared, WITH_DAVE))
    ask(shared, DAVE)
    _, other = shared.relay.take(TransferRequest)
    copies = bits_of(shared, WITH_DAVE)[before:]
    settle(shared, other, placed=False)
    assert wiped(copies)

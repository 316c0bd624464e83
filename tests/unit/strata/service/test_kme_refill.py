"""The refill of a KME: batches are drawn, placed, void or taken over, under the credit of control."""

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.delivery import Fault, RequestRefused
from qstrata.fabric.messages.service_control import (
    CloseSession,
    CreditWanted,
    GrantCredit,
    OpenSession,
    ReportSessions,
    SessionOpened,
    SessionsReport,
    WithdrawCredit,
)
from qstrata.fabric.messages.transfer import (
    Placed,
    TransferRefused,
    TransferRequest,
    TransferSettled,
)
from qstrata.store.records import BatchRecord
from qstrata.strata.service.resource.keystore import KmeFigures
from tests.unit.strata.service.kme_rig import ALICE, BOB, CAROL, FAR, SESSION, SITE, Rig, placement

NOT_FOUND = "one or more keys specified are not found on KME"


def test_a_batch_that_was_under_way_in_a_crash_is_never_used(rig: Rig) -> None:
    rig.grant()
    (asked,) = rig.relay.take(TransferRequest)
    rig.crash()
    rig.start()
    rig.run(0.1)
    rig.tell(rig.relay, TransferSettled(asked.transfer, True, ""))
    assert isinstance(rig.enc(), RequestRefused)
    rig.grant(serial=2)
    (again,) = rig.settle()
    assert again.header.sequence > asked.header.sequence
    assert asked.header.sequence in again.header.void


def test_a_batch_without_answer_is_void_and_the_far_kme_is_told(rig: Rig) -> None:
    rig.grant(total=10)
    (asked,) = rig.relay.take(TransferRequest)
    rig.run(10)
    rig.tell(rig.relay, TransferSettled(asked.transfer, True, ""))
    assert isinstance(rig.enc(), RequestRefused)
    (void,) = rig.settle()
    assert (void.header.key_ids, void.header.void) == ((), (asked.header.sequence,))
    rig.run(10)
    assert not rig.relay.take(TransferRequest)


def test_a_far_kme_that_stays_silent_leaves_no_more_behind_than_what_it_must_be_told(filled: Rig) -> None:
    """A transfer that only tells which batches are void has nothing to destroy when it fails itself."""
    filled.grant(2, total=100_000)
    filled.enc(20)
    filled.relay.take(TransferRequest)
    filled.run(10)
    (*_, asked) = filled.relay.take(TransferRequest)
    filled.tell(filled.controller, GrantCredit(SESSION, 3, 7, 0.0, 0))
    filled.run(600)
    told = [message for message in filled.relay.take(TransferRequest) if not message.header.key_ids]
    assert len(told) > 10
    assert asked.header.sequence in told[-1].header.void
    assert {len(message.header.void) for message in told[5:]} == {len(told[5].header.void)}


def test_a_refused_transfer_is_asked_again_with_the_same_keys(rig: Rig) -> None:
    rig.grant()
    (asked,) = rig.relay.take(TransferRequest)
    rig.tell(rig.relay, TransferRefused(asked.transfer, "too little key on link here-far"))
    refused = rig.enc()
    assert "too little key on link here-far" in refused.message
    rig.run(1)
    (again,) = rig.relay.take(TransferRequest)
    assert (again.transfer, again.header.key_ids, again.bits) == (
        asked.transfer,
        asked.header.key_ids,
        asked.bits,
    )


def test_refill_stops_at_depth_and_at_the_end_of_the_credit(rig: Rig) -> None:
    rig.grant(total=20)
    assert sum(len(asked.header.key_ids) for asked in rig.settle()) == 20
    rig.run(5)
    assert not rig.relay.take(TransferRequest)
    rig.enc(20)
    rig.run(5)
    assert not rig.relay.take(TransferRequest)
    rig.grant(serial=2, total=20)
    assert rig.relay.take(TransferRequest)


def test_more_credit_is_asked_for_before_half_is_used_up(rig: Rig) -> None:
    rig.grant(total=40)
    rig.settle()
    rig.run(1)
    (wanted, *_) = rig.controller.take(CreditWanted)
    assert wanted.serial == 1


def test_withdrawn_credit_stops_refill_but_not_delivery(filled: Rig) -> None:
    filled.tell(filled.controller, WithdrawCredit(SESSION, 2, "fibre/here-far is cut"))
    assert len(filled.enc(20).keys) == 20
    filled.run(5)
    assert not filled.relay.take(TransferRequest)
    assert "fibre/here-far is cut" in filled.enc().message


def test_a_batch_number_is_taken_once_whatever_comes_again(rig: Rig) -> None:
    rig.tell(rig.relay, placement(rig, sequence=3))
    rig.tell(rig.relay, placement(rig, sequence=3))
    rig.tell(rig.relay, placement(rig, sequence=2))
    assert [placed.placed for placed in rig.relay.take(Placed)] == [True, False, False]


def test_keys_that_their_owner_destroyed_are_destroyed_here(rig: Rig) -> None:
    rig.tell(rig.relay, placement(rig, sequence=0))
    rig.tell(rig.relay, placement(rig, sequence=1, void=(0,)))
    assert rig.dec(("key-0-0",)).message == NOT_FOUND
    assert rig.dec(("key-1-0",)).keys


def test_a_placement_is_durable_before_it_is_acknowledged(rig: Rig) -> None:
    rig.commits.on_commit = lambda node, changes: "lose"
    rig.commits.crash = lambda node: rig.crash()
    rig.tell(rig.relay, placement(rig))
    assert not rig.relay.take(Placed)


def test_a_closed_session_leaves_no_batches_behind(rig: Rig) -> None:
    rig.grant()
    rig.tell(rig.controller, CloseSession(SESSION))
    rig.settle()
    rig.run(10)
    assert not [row for row in rig.store.load(SITE) if isinstance(row, BatchRecord)]


def test_closed_sessions_beyond_the_kept_ones_are_forgotten() -> None:
    rig = Rig(KmeFigures(closed_kept=3))
    rig.configure()
    for name in ("s1", "s2", "s3", "s4", "s5"):
        rig.tell(rig.controller, OpenSession(name, "unit", ALICE, CAROL, SITE, 256, 10, 1000 * PS_PER_S))
        assert len(rig.enc(2, peer=CAROL).keys) == 2
        rig.tell(rig.controller, CloseSession(name))
    rig.run(2)
    named = [row.session for row in rig.store.load(SITE) if hasattr(row, "session")]
    assert set(named) == {SESSION, "s3", "s4", "s5"}
    assert rig.enc(2, peer=CAROL).fault is Fault.NO_SESSION
    rig.crash()
    rig.start()
    assert set(rig.kme.store.sessions) == set(named)


def test_a_controller_that_restarted_is_told_the_sessions(filled: Rig) -> None:
    filled.tell(filled.controller, ReportSessions())
    (report,) = filled.controller.take(SessionsReport)
    (held,) = report.sessions
    assert (held.session, held.peer, held.depth) == (SESSION, BOB, 20)
    filled.tell(filled.controller, OpenSession(SESSION, "unit", ALICE, BOB, FAR, 256, 20, 1000 * PS_PER_S))
    assert filled.controller.take(SessionOpened)
    assert len(filled.enc(20).keys) == 20

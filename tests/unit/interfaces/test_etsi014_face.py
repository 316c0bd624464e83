"""The face pairs answers with requests, whatever is late, doubled or lost."""

from functools import partial

import pytest

from qstrata.core.errors import InternalError
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.delivery import (
    AskStatus,
    DeliveredKey,
    EncKeys,
    Fault,
    KeysDelivered,
    PairStatus,
    RequestRefused,
)
from qstrata.fabric.messages.unit_requests import OpenUnit, UnitAnswer
from qstrata.interfaces.etsi014.face import ANSWER_DEADLINE_PS, MAX_PENDING
from tests.unit.interfaces.scripted import ALICE, BOB, SECOND, Site


def enc(request):
    return EncKeys(request, ALICE, BOB, 1, 0)


def status(request):
    return AskStatus(request, ALICE, BOB)


def asking(site, make, log):
    """Ask through the face; each answer is logged with its instant."""

    def answered(answer, now):
        log.append((answer, now))
        return ()

    site.face.perform(site.face.ask(make, answered, site.queue.now), site.queue.now)


def tell(site, peer, message):
    """Have a scripted peer send a message on its own account."""
    site.tell(peer, message)
    site.run()


def test_each_request_gets_the_answer_with_its_id():
    site, statuses, keys = Site(), [], []
    asking(site, status, statuses)
    asking(site, enc, keys)
    site.run()
    assert [type(answer) for answer, _ in statuses] == [PairStatus]
    assert [type(answer) for answer, _ in keys] == [KeysDelivered]


def test_a_silent_kme_is_unavailable_after_the_deadline_and_not_before():
    site, log = Site(), []
    site.kme.silent = True
    asking(site, enc, log)
    site.run(for_ps=ANSWER_DEADLINE_PS - 1)
    assert log == []
    site.run(for_ps=1)
    ((answer, now),) = log
    assert (answer.fault, now) == (Fault.UNAVAILABLE, ANSWER_DEADLINE_PS)


def test_many_requests_wait_on_one_timer_and_each_for_its_own_deadline():
    site, log = Site(), []
    site.kme.silent = True
    asking(site, enc, log)
    site.run(for_ps=2 * SECOND)
    for _ in range(100):
        asking(site, enc, log)
    site.run()
    assert len(site.queue) == 1
    site.run(for_ps=60 * SECOND)
    instants = [now for _, now in log]
    assert instants == [ANSWER_DEADLINE_PS] + 100 * [ANSWER_DEADLINE_PS + 2 * SECOND]
    assert len(site.queue) == 0


def test_keys_that_come_too_late_are_wiped_and_go_nowhere():
    site, log = Site(), []
    site.kme.silent = True
    asking(site, enc, log)
    site.run(for_ps=ANSWER_DEADLINE_PS)
    late = DeliveredKey("00000000-0000-0000-0000-000000000001", KeyMaterial(b"\x55" * 32))
    message = KeysDelivered(site.kme.asked[0].request, (late,))
    assert site.face.receive(message, site.kme.address, site.queue.now) == ()
    assert len(log) == 1
    with pytest.raises(InternalError, match="taken or wiped"):
        late.bits.reveal()


def test_a_doubled_answer_counts_once():
    site, log = Site(), []
    asking(site, status, log)
    site.run()
    tell(site, site.kme, log[0][0])
    assert len(log) == 1


def test_an_answer_of_another_arrow_with_the_same_id_is_not_taken():
    site, log = Site(), []
    site.kme.silent = True
    asking(site, enc, log)
    site.run()
    request = site.kme.asked[0].request
    tell(site, site.controller, UnitAnswer(request, "session", "unit", "open", ""))
    assert log == []
    tell(site, site.kme, RequestRefused(request, Fault.UNAVAILABLE, "later"))
    assert len(log) == 1


def test_an_answer_to_the_face_before_the_crash_does_not_answer_the_one_after():
    site, log = Site(), []
    site.controller.silent = True
    asking(site, partial(OpenUnit, sae=ALICE, peer=BOB), log)
    site.run(for_ps=SECOND)
    stale = site.controller.asked[0].request
    site.crash_face()
    site.start_face()
    asking(site, partial(OpenUnit, sae=BOB, peer=ALICE), log)
    site.run()
    tell(site, site.controller, UnitAnswer(stale, "session", "unit", "open", ""))
    assert log == []


def test_no_more_than_the_bound_wait_and_the_next_is_told_so_at_once():
    site, log = Site(), []
    site.kme.silent = True
    for _ in range(MAX_PENDING + 1):
        asking(site, enc, log)
    ((answer, now),) = log
    assert (answer.fault, now) == (Fault.UNAVAILABLE, 0)
    assert str(MAX_PENDING) in answer.message

"""Service control under a policy of admission: a unit opens only after forwarding has promised its rate."""

import msgspec
import pytest

from qstrata.fabric.messages.path_requirements import PathLost, RequirePath
from qstrata.fabric.messages.policy import ServiceState
from qstrata.fabric.messages.service_control import GrantCredit, OpenSession
from qstrata.fabric.messages.unit_requests import CloseUnit, OpenUnit, QueryUnit, UnitAnswer
from tests.unit.strata.service.test_service_control import (
    A2,
    CONTROL,
    FORWARDING,
    KME_A,
    MANAGER,
    POLICY,
    TTL_S,
    A,
    B,
    C,
    Service,
    face,
)

STRICT = msgspec.structs.replace(POLICY, admission=True)
SCARCE = "link a-b has 10 bit/s left to promise"


class Scarce(Service):
    """Forwarding control that promises nothing more while `full`."""

    full = False

    def grant(self, session):
        return PathLost(session, SCARCE) if self.full else super().grant(session)


def states(stage):
    return stage.heard(MANAGER, ServiceState)[-1].units


@pytest.fixture
def stage():
    return Scarce().begin(STRICT)


def test_a_unit_opens_after_its_whole_rate_is_promised(stage):
    (first, *_) = stage.heard(FORWARDING, RequirePath)
    assert first.verify
    assert first.rate_bps == 2 * 10.0 * 256
    assert stage.unit().state == "open"
    assert stage.heard(KME_A, GrantCredit)


def test_a_unit_that_is_not_promised_its_rate_is_refused_with_the_reason_and_reaches_no_kme(stage):
    stage.full = True
    before = len(stage.heard(KME_A, OpenSession))
    answer = stage.ask(OpenUnit(1, A2, C))
    assert (answer.state, answer.reason) == ("refused", SCARCE)
    assert len(stage.heard(KME_A, OpenSession)) == before
    shown = next(unit for unit in states(stage) if unit.a == A2)
    assert (shown.state, shown.reason) == ("refused", SCARCE)
    stage.full = False
    assert stage.ask(OpenUnit(2, A2, C)).state in ("negotiated", "open")
    assert not [unit for unit in states(stage) if unit.state == "refused"]


def test_a_request_waits_for_the_promise_and_the_question_is_asked_again(stage):
    stage.lose = {RequirePath}
    for number in (1, 2):
        stage.send(face("a"), CONTROL, OpenUnit(number, A2, C))
    stage.run(3)
    assert stage.heard(face("a"), UnitAnswer) == []
    stage.lose = set()
    stage.run(8)
    assert [answer.request for answer in stage.heard(face("a"), UnitAnswer)] == [1, 2]


def test_a_unit_that_nobody_promised_anything_is_over_at_its_end(stage):
    stage.lose = {RequirePath}
    stage.send(face("a"), CONTROL, OpenUnit(1, A2, C))
    stage.run(TTL_S + 1)
    answer = stage.heard(face("a"), UnitAnswer)[-1]
    assert (answer.state, answer.reason) == ("refused", "forwarding control has not answered")


def test_a_proposed_unit_whose_pair_policy_forbids_meanwhile_is_refused(stage):
    stage.lose = {RequirePath}
    stage.send(face("a"), CONTROL, OpenUnit(1, A2, C))
    stage.run(1)
    stage.send(MANAGER, CONTROL, msgspec.structs.replace(STRICT, pairs=((A, B),)))
    stage.run(1)
    answer = stage.heard(face("a"), UnitAnswer)[-1]
    assert (answer.state, answer.reason) == ("refused", "policy no longer allows the pair")


def test_a_declared_session_that_was_refused_is_tried_again():
    stage = Scarce()
    stage.full = True
    stage.begin(STRICT)
    assert (stage.unit().state, stage.unit().reason) == ("refused", SCARCE)
    stage.full = False
    stage.run(11)
    assert stage.unit().state == "open"


def test_an_open_unit_is_required_again_without_a_new_verdict(stage):
    session = stage.unit().session
    stage.run(11)
    again = stage.heard(FORWARDING, RequirePath)[-1]
    assert (again.session, again.verify) == (session, False)
    assert stage.ask(CloseUnit(1, A, session)).state == "draining"
    assert stage.ask(QueryUnit(2, B, session)).state in ("draining", "closed")

"""A pair without a session: the first request has one opened, and is told to come again."""

import json

import pytest

from qstrata.interfaces.etsi014.face import ANSWER_DEADLINE_PS
from qstrata.interfaces.etsi014.handler import OPENING
from tests.unit.interfaces.scripted import ALICE, BOB, Site

ENC = f"/api/v1/keys/{BOB}/enc_keys"
STATUS = f"/api/v1/keys/{BOB}/status"


@pytest.fixture
def site():
    site = Site()
    site.kme.sessions.clear()
    return site


def message(answer):
    return json.loads(answer.body)["message"]


@pytest.mark.parametrize("target", [ENC, STATUS])
def test_the_first_request_of_a_pair_opens_its_session_and_is_answered_503(site, target):
    answer = site.call("GET", target)
    assert (answer.status, message(answer)) == (503, OPENING)
    (opened,) = site.controller.asked
    assert (opened.sae, opened.peer) == (ALICE, BOB)


def test_what_holds_a_session_up_is_said(site):
    site.controller.reason = "no path to site norte"
    assert message(site.call("GET", ENC)) == f"{OPENING} (no path to site norte)"


def test_requests_of_one_pair_ask_control_once_and_all_get_its_answer(site):
    answers = [site.ask("GET", target) for target in (ENC, STATUS, ENC)]
    site.run()
    assert [answer.status for (answer,) in answers] == [503, 503, 503]
    assert len(site.controller.asked) == 1


def test_a_refused_session_is_503_with_controls_reason(site):
    site.controller.state, site.controller.reason = "refused", "no path to site norte"
    answer = site.call("GET", ENC)
    assert answer.status == 503
    assert "no path to site norte" in message(answer)


def test_a_session_that_policy_forbids_is_401(site):
    site.controller.state, site.controller.reason = "refused", "unauthorized: alice and bob may not pair"
    answer = site.call("GET", ENC)
    assert answer.status == 401
    assert "may not pair" in message(answer)


def test_a_silent_controller_is_503_after_the_deadline(site):
    site.controller.silent = True
    answers = site.ask("GET", ENC)
    site.run(for_ps=ANSWER_DEADLINE_PS - 1)
    assert answers == []
    site.run(for_ps=1)
    assert "control has not answered" in message(answers[0])
    assert answers[0].status == 503


def test_after_a_silent_controller_the_next_request_asks_it_again(site):
    site.controller.silent = True
    site.call("GET", ENC)
    site.call("GET", ENC)
    assert len(site.controller.asked) == 2


def test_a_crash_while_control_is_asked_does_not_keep_the_pair_from_asking_again(site):
    site.controller.silent = True
    site.ask("GET", ENC)
    site.run()
    site.crash_face()
    assert site.call("GET", ENC).status == 503
    site.start_face()
    site.controller.silent = False
    assert message(site.call("GET", ENC)) == OPENING


def test_a_kme_that_is_down_is_503_but_a_faulty_request_still_400(site):
    site.crash_face()
    assert site.call("GET", ENC).status == 503
    assert site.call("GET", ENC + "?size=7").status == 400

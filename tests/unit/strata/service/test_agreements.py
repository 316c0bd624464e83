"""Service control and the answers of hops: figures go down, hops are gone around, refusals are told."""

import msgspec
import pytest

from qstrata.core.service_unit import ServiceUnitId
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.path_requirements import PathGranted, PathLost, ReleasePath, RequirePath
from qstrata.fabric.messages.service_control import (
    GrantCredit,
    HopReply,
    OpenSession,
    ProposeUnit,
    Reply,
    UnitReplied,
)
from qstrata.fabric.messages.unit_requests import OpenUnit, UnitAnswer
from tests.unit.strata.service.test_service_control import (
    A2,
    CONTROL,
    FORWARDING,
    KME_A,
    KME_B,
    MANAGER,
    POLICY,
    TTL_S,
    A,
    B,
    C,
    Service,
    face,
)

LIFE_S, RATE = 60, 4.0


class Hops(Service):
    """The hop m between a and b, or n where m is to be avoided; `says` is what a hop answers, and why."""

    def __init__(self):
        super().__init__()
        self.says = {}
        self.lowers = {}
        self.routes = [("a", "m", "b"), ("a", "n", "b")]
        self.actors[FORWARDING].answers[RequirePath] = self.route

    def route(self, wanted):
        for number, sites in enumerate(self.routes):
            if not set(sites) & set(wanted.avoid):
                return [PathGranted(wanted.session, 7 + number, sites, self.rate_bps, ("x/relay", "y/relay"))]
        return [PathLost(wanted.session, "no other way")]

    def replied(self, site, ask):
        whole = super().replied(site, ask)
        hops, offer = [], whole.offer
        for hop in whole.hops:
            said, reason = self.says.get(hop.site, (Reply.ACCEPTED, ""))
            offer = msgspec.structs.replace(offer, **self.lowers.get(hop.site, {}))
            hops.append(HopReply(hop.site, said, offer.life_s, offer.rate_keys_per_s, reason))
            if said in (Reply.REFUSED, Reply.SILENT):
                break
        return UnitReplied(site, ask.proposal, ask.serial, offer, tuple(hops))

    def along(self):
        return [ask.route for ask in self.heard(KME_A, ProposeUnit)]


@pytest.fixture
def stage():
    return Hops()


def test_a_unit_is_proposed_along_its_route_and_opened_under_the_identifier_that_comes_of_the_answers(stage):
    stage.begin()
    (ask,) = stage.heard(KME_A, ProposeUnit)
    assert (ask.route, ask.channels) == (("a", "m", "b"), ("x/relay", "y/relay"))
    opened = stage.heard(KME_B, OpenSession)[-1]
    unit = ServiceUnitId.parse(opened.unit)
    assert unit.digest == opened.session != ask.proposal
    assert {each.name for each in unit.endpoints} == {A, B}
    assert ask.offer.originator in {each.text for each in unit.endpoints}
    assert stage.unit().unit == opened.unit


def test_what_hops_lower_is_what_the_unit_gets(stage):
    stage.lowers = {"m": {"life_s": LIFE_S}, "b": {"rate_keys_per_s": RATE}}
    stage.begin()
    opened = stage.heard(KME_A, OpenSession)[-1]
    begun = stage.heard(KME_A, ProposeUnit)[-1].offer.begin_s
    assert ServiceUnitId.parse(opened.unit).lifecycle.valid_until == begun + LIFE_S
    assert (opened.valid_until_ps, opened.rate_keys_per_s) == (LIFE_S * PS_PER_S, RATE)
    assert stage.heard(KME_A, GrantCredit)[-1].rate_keys_per_s == RATE
    assert stage.heard(FORWARDING, RequirePath)[-1].rate_bps == 2 * RATE * 256
    session = opened.session
    stage.run(LIFE_S + 1)
    assert stage.heard(KME_A, OpenSession)[-1].session != session


def test_figures_that_a_kme_raises_are_not_taken(stage):
    stage.lowers = {"b": {"rate_keys_per_s": 1000.0}}
    stage.begin()
    assert stage.unit().state == "refused"
    assert "higher figures" in stage.unit().reason
    assert stage.heard(KME_A, OpenSession) == []


def test_the_path_of_the_proposal_becomes_that_of_the_unit(stage):
    stage.begin()
    first, second = stage.heard(FORWARDING, RequirePath)[:2]
    assert (first.former, second.former) == ("", first.session)
    assert second.session == stage.unit().session


def test_a_refusal_by_an_end_refuses_the_unit_and_names_hop_and_reason(stage):
    stage.says = {"b": (Reply.REFUSED, "it serves nobody")}
    stage.begin()
    answer = stage.ask(OpenUnit(1, A2, C))
    assert (answer.state, answer.reason) == ("refused", "the KME at b refuses: it serves nobody")
    assert stage.heard(KME_A, OpenSession) == []
    assert len(stage.heard(FORWARDING, ReleasePath)) == 2


@pytest.mark.parametrize(
    ("said", "text"),
    [(Reply.REFUSED, "the KME at m refuses"), (Reply.SILENT, "the KME at m does not answer")],
)
def test_a_hop_between_that_refuses_or_is_silent_is_gone_around_until_no_route_is_left(stage, said, text):
    stage.says = {"m": (said, "for a reason")}
    stage.begin()
    assert stage.along() == [("a", "m", "b"), ("a", "n", "b")]
    assert (stage.unit().state, stage.unit().sites) == ("open", ("a", "n", "b"))
    stage.says["n"] = (said, "too")
    answer = stage.ask(OpenUnit(1, A2, C))
    assert answer.state == "refused"
    assert answer.reason == f"{text}: for a reason; {text.replace(' m ', ' n ')}: too; no other way"


def test_a_declared_unit_that_was_refused_is_proposed_again_on_the_next_sweep(stage):
    stage.says = {"b": (Reply.SILENT, "down")}
    stage.begin()
    assert stage.unit().state == "refused"
    stage.says = {}
    stage.run(10)
    assert stage.unit().state == "open"


def test_lost_proposals_and_answers_are_asked_again_and_agree_once(stage):
    stage.lose = {UnitReplied}
    stage.begin()
    assert stage.unit().state == "proposed"
    stage.lose = set()
    stage.run(2)
    asks = stage.heard(KME_A, ProposeUnit)
    assert len(asks) > 1
    assert len(set(asks)) == 1
    assert len(stage.heard(KME_A, OpenSession)) == 1


def test_a_first_kme_that_never_answers_is_named(stage):
    stage.lose = {ProposeUnit}
    stage.begin()
    stage.send(face("a"), CONTROL, OpenUnit(1, A2, C))
    stage.run(9)
    (answer,) = stage.heard(face("a"), UnitAnswer)
    assert answer.state == "refused"
    assert answer.reason.startswith("the KME at a does not answer")


def test_who_asks_while_there_is_no_route_is_told_why_and_the_unit_opens_once_there_is_one(stage):
    routes, stage.routes = stage.routes, []
    stage.begin()
    answer = stage.ask(OpenUnit(1, A2, C))
    assert (answer.state, answer.reason) == ("proposed", "no other way")
    stage.routes = routes
    stage.run(10)
    assert stage.ask(OpenUnit(2, A2, C)).state == "open"


# --- open units whose path moves ---


def moved(stage, sites=("a", "n", "b")):
    stage.forget()
    session = next(iter(stage.held["a"]))
    stage.send(FORWARDING, CONTROL, PathGranted(session, 9, sites, stage.rate_bps, ("x/relay", "y/relay")))
    stage.run()
    return session


def test_a_path_over_hops_that_have_agreed_asks_nobody(stage):
    stage.begin()
    moved(stage, ("a", "m", "b"))
    assert stage.along() == []
    assert stage.heard(KME_A, GrantCredit)[-1].path == 9


def test_a_hop_that_comes_new_into_the_path_is_asked_for_the_unit_as_it_is(stage):
    stage.begin()
    session = moved(stage)
    (ask,) = stage.heard(KME_A, ProposeUnit)
    assert (ask.proposal, ask.settled, ask.route) == (session, True, ("a", "n", "b"))
    assert ask.offer.identifier.digest == session
    assert ask.offer.life_s in (TTL_S, TTL_S - 1)
    assert stage.heard(KME_A, GrantCredit)[-1].path == 9
    assert stage.heard(KME_A, OpenSession) == []


def test_a_new_hop_that_refuses_an_open_unit_is_gone_around(stage):
    stage.begin()
    stage.says = {"n": (Reply.REFUSED, "no transit")}
    moved(stage)
    assert stage.heard(FORWARDING, RequirePath)[-1].avoid == ("n",)
    assert not any(credit.path == 9 for credit in stage.heard(KME_A, GrantCredit))


def test_a_silent_kme_does_not_keep_an_open_unit_from_a_path_that_its_relays_carry(stage):
    stage.begin()
    stage.says = {"n": (Reply.SILENT, "down")}
    moved(stage)
    assert stage.heard(KME_A, GrantCredit)[-1].path == 9


def test_a_new_hop_may_lower_the_rate_of_an_open_unit_and_nothing_else(stage):
    stage.begin()
    stage.lowers = {"n": {"rate_keys_per_s": RATE}}
    session = moved(stage)
    opened = stage.heard(KME_B, OpenSession)[-1]
    assert (opened.session, opened.rate_keys_per_s) == (session, RATE)
    assert stage.heard(KME_A, GrantCredit)[-1].rate_keys_per_s == RATE


def test_a_policy_that_wants_a_higher_rate_asks_the_hops_for_it(stage):
    stage.begin()
    stage.forget()
    stage.lowers = {"m": {"rate_keys_per_s": 15.0}}
    (spec,) = POLICY.sessions
    faster = msgspec.structs.replace(spec, rate_keys_per_s=20.0)
    stage.send(MANAGER, CONTROL, msgspec.structs.replace(POLICY, sessions=(faster,)))
    stage.run(1)
    (ask,) = stage.heard(KME_A, ProposeUnit)
    assert (ask.settled, ask.offer.rate_keys_per_s) == (True, 20.0)
    assert stage.heard(KME_A, OpenSession)[-1].rate_keys_per_s == 15.0


def test_a_restarted_controller_keeps_the_rate_that_was_agreed(stage):
    stage.lowers = {"b": {"rate_keys_per_s": RATE}}
    stage.begin()
    stage.crash()
    stage.forget()
    stage.begin()
    stage.run(4)
    assert stage.heard(KME_A, GrantCredit)[-1].rate_keys_per_s == RATE

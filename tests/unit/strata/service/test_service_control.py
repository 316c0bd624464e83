"""Control opens units at both KMEs, grants credit over their path, and survives losses and restarts."""

import msgspec
import pytest

from qstrata.core.address import End
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S, EpochAnchor
from qstrata.fabric.messages.path_requirements import PathGranted, PathLost, ReleasePath, RequirePath
from qstrata.fabric.messages.policy import (
    RouteSpec,
    SaeSpec,
    ServicePolicy,
    ServiceState,
    SessionDefaults,
    SessionSpec,
)
from qstrata.fabric.messages.service_control import (
    CloseSession,
    ConfigureKme,
    CreditWanted,
    GrantCredit,
    HeldSession,
    HopReply,
    KmeHello,
    OpenSession,
    ProposeUnit,
    Reply,
    ReportSessions,
    SessionOpened,
    SessionsReport,
    UnitReplied,
    WithdrawCredit,
)
from qstrata.fabric.messages.unit_requests import CloseUnit, OpenUnit, QueryUnit, UnitAnswer
from qstrata.planes import places
from qstrata.strata.service.control import ServiceController
from tests.unit.strata.stage import DOMAIN, Stage, face

CONTROL = places.controller(End.SERVICE_CTL, DOMAIN)
MANAGER = places.manager(End.SERVICE_MGT, DOMAIN)
FORWARDING = places.controller(End.FORWARDING_CTL, DOMAIN)
KME_A, KME_B = places.kme(DOMAIN, "a"), places.kme(DOMAIN, "b")
A, A2, B, C = "urn:qkd:d:a:1", "urn:qkd:d:a:2", "urn:qkd:d:b:1", "urn:qkd:d:b:2"
TTL_S = 600
POLICY = ServicePolicy(
    sites=("a", "b"),
    saes=(SaeSpec(A, "a"), SaeSpec(A2, "a"), SaeSpec(B, "b"), SaeSpec(C, "b")),
    pairs=((A, B), (A2, A), (C, A2)),
    routes=(RouteSpec("urn:qkd:d", "a"),),
    sessions=(SessionSpec(A, B, 256, 64, 10.0, TTL_S),),
    defaults=SessionDefaults(128, 16, 1.0, TTL_S),
)


class Service(Stage):
    """Two KMEs that keep sessions, and forwarding control that grants every path."""

    def __init__(self):
        super().__init__("a", "b")
        self.held = {"a": {}, "b": {}}
        self.path, self.rate_bps = 7, 51_200.0
        self.nonce = 1
        for site, kme in (("a", KME_A), ("b", KME_B)):
            self.actor(
                kme,
                {
                    OpenSession: lambda order, site=site: self.opened(site, order),
                    CloseSession: lambda order, site=site: self.closed(site, order),
                    ReportSessions: lambda ask, site=site: [self.listed(site), KmeHello(site)],
                    ProposeUnit: lambda ask, site=site: [self.replied(site, ask)],
                },
            )
        self.actor(FORWARDING, {RequirePath: lambda wanted: [self.grant(wanted.session)]})
        for address in (MANAGER, face("a")):
            self.actor(address)

    def replied(self, site, ask):
        """All hops take what is proposed; the last one draws the peer's nonce, unless that is there."""
        offer = ask.offer
        if "nonce" not in offer.peer:
            offer = msgspec.structs.replace(offer, peer=f"{offer.peer}?=nonce={self.nonce:016x}")
            self.nonce += 1
        figures = (Reply.ACCEPTED, offer.life_s, offer.rate_keys_per_s)
        hops = tuple(HopReply(hop, *figures) for hop in ask.route)
        return UnitReplied(site, ask.proposal, ask.serial, offer, hops)

    def opened(self, site, order):
        fields = {name: getattr(order, name) for name in HeldSession.__struct_fields__}
        self.held[site][order.session] = HeldSession(**fields)
        return [SessionOpened(site, order.session)]

    def closed(self, site, order):
        self.held[site].pop(order.session, None)
        return []

    def listed(self, site):
        return SessionsReport(site, tuple(self.held[site].values()))

    def grant(self, session):
        return PathGranted(session, self.path, ("a", "b"), self.rate_bps, ("a-b/relay",))

    def begin(self, policy=POLICY):
        random = stream(1, "nonces", self.host.incarnation("own"))
        self.element(ServiceController, CONTROL, random, EpochAnchor(1_700_000_000))
        self.send(MANAGER, CONTROL, policy)
        self.run()
        return self

    def ask(self, message):
        self.send(face("a"), CONTROL, message)
        self.run()
        return self.heard(face("a"), UnitAnswer)[-1]

    def unit(self, index=0):
        return self.heard(MANAGER, ServiceState)[-1].units[index]


@pytest.fixture
def stage():
    return Service().begin()


def test_a_declared_session_opens_at_both_kmes_with_half_the_depth_each(stage):
    here, there = stage.heard(KME_A, OpenSession)[-1], stage.heard(KME_B, OpenSession)[-1]
    assert (here.local, here.peer, here.peer_site, here.depth) == (A, B, "b", 32)
    assert (there.local, there.peer, there.peer_site, there.depth) == (B, A, "a", 32)
    assert here.valid_until_ps == TTL_S * PS_PER_S
    assert (stage.unit().state, stage.unit().path, stage.unit().sites) == ("open", 7, ("a", "b"))


def test_both_kmes_get_credit_over_the_same_path_at_the_rate_of_the_session_at_most(stage):
    for kme in (KME_A, KME_B):
        credit = stage.heard(kme, GrantCredit)[-1]
        assert (credit.path, credit.rate_keys_per_s, credit.total_keys) == (7, 10.0, 600)


def test_kmes_share_the_rate_of_a_path_that_sustains_less_than_the_session_wants(stage):
    stage.rate_bps = 10 * 256.0
    stage.send(FORWARDING, CONTROL, stage.grant(stage.unit().session))
    stage.run()
    for kme in (KME_A, KME_B):
        credit = stage.heard(kme, GrantCredit)[-1]
        assert (credit.rate_keys_per_s, credit.total_keys) == (5.0, 300)


def test_a_kme_learns_its_saes_their_peers_and_all_other_names(stage):
    registry = {sae.name: sae for sae in stage.heard(KME_A, ConfigureKme)[-1].saes}
    assert {name: (sae.site, sae.peers) for name, sae in registry.items()} == {
        A: ("a", (A2, B)),
        A2: ("a", (A, C)),
        B: ("b", ()),
        C: ("b", ()),
    }


def test_a_pair_without_a_session_opens_on_its_first_request_and_only_once(stage):
    first = stage.ask(OpenUnit(1, A2, C))
    second = stage.ask(OpenUnit(2, C, A2))
    assert (first.state, first.request) == ("negotiated", 1)
    assert (second.state, second.session, second.unit) == ("open", first.session, first.unit)
    opened = stage.heard(KME_A, OpenSession)[-1]
    assert (opened.size_bits, opened.depth) == (128, 8)


def test_two_saes_of_one_kme_need_no_path_and_get_the_full_depth(stage):
    stage.forget()
    assert stage.ask(OpenUnit(1, A, A2)).state == "negotiated"
    (opened,) = stage.heard(KME_A, OpenSession)
    assert (opened.depth, opened.peer_site) == (16, "a")
    assert stage.heard(KME_B, OpenSession) == []
    assert stage.heard(FORWARDING, RequirePath) == []
    assert stage.unit(1).state == "open"


def test_a_pair_that_policy_forbids_is_refused_with_the_reason(stage):
    answer = stage.ask(OpenUnit(1, A, C))
    assert (answer.state, answer.session) == ("refused", "")
    assert "policy does not allow" in answer.reason


def test_a_declared_session_that_policy_forbids_is_shown_as_refused():
    stage = Service().begin(msgspec.structs.replace(POLICY, pairs=((A2, C),)))
    assert stage.unit().state == "refused"
    assert "policy does not allow" in stage.unit().reason


def test_lost_openings_are_asked_again_until_confirmed():
    stage = Service()
    stage.lose = {SessionOpened}
    stage.begin()
    assert stage.unit().state == "negotiated"
    assert stage.heard(KME_A, GrantCredit) == []
    stage.lose = set()
    stage.run(2)
    assert stage.unit().state == "open"
    assert len(stage.heard(KME_A, GrantCredit)) == 1


def test_a_lost_path_withdraws_credit_with_the_reason_and_a_new_one_restores_it(stage):
    session = stage.unit().session
    stage.send(FORWARDING, CONTROL, PathLost(session, "link a-b is cut"))
    stage.run()
    for kme in (KME_A, KME_B):
        assert stage.heard(kme, WithdrawCredit)[-1].reason == "link a-b is cut"
    assert (stage.unit().path, stage.unit().reason) == (0, "link a-b is cut")
    stage.path = 8
    stage.send(FORWARDING, CONTROL, stage.grant(session))
    stage.run()
    assert stage.heard(KME_B, GrantCredit)[-1].path == 8
    assert stage.heard(KME_B, GrantCredit)[-1].serial > stage.heard(KME_B, WithdrawCredit)[-1].serial
    assert stage.unit().reason == ""


def test_credit_is_renewed_when_asked_for_the_newest_and_repeated_when_that_was_missed(stage):
    newest = stage.heard(KME_A, GrantCredit)[-1]
    stage.forget()
    stage.send(KME_A, CONTROL, CreditWanted("a", newest.session, newest.serial))
    stage.run()
    renewed = stage.heard(KME_A, GrantCredit)[-1]
    assert renewed.serial > newest.serial
    assert stage.heard(KME_B, GrantCredit) == []
    stage.send(KME_A, CONTROL, CreditWanted("a", newest.session, newest.serial))
    stage.run()
    assert stage.heard(KME_A, GrantCredit)[-1] == renewed


def test_credit_follows_a_forecast_that_doubled_but_not_one_that_moved_a_little(stage):
    stage.forget()
    for rate, grants in ((60_000.0, 0), (120_000.0, 1)):
        stage.rate_bps = rate
        stage.send(FORWARDING, CONTROL, stage.grant(stage.held["a"] and next(iter(stage.held["a"]))))
        stage.run()
        assert len(stage.heard(KME_A, GrantCredit)) == grants


def test_a_kme_that_restarted_is_given_registry_sessions_and_credit_again(stage):
    stage.forget()
    stage.send(KME_A, CONTROL, KmeHello("a"))
    stage.run()
    assert len(stage.heard(KME_A, ConfigureKme)) == 1
    assert len(stage.heard(KME_A, OpenSession)) == 1
    assert len(stage.heard(KME_A, GrantCredit)) == 1
    assert stage.heard(KME_B, OpenSession) == []


def test_credit_whose_grant_was_lost_is_said_again_on_the_next_sweep():
    stage = Service()
    stage.lose = {GrantCredit}
    stage.begin()
    stage.lose = set()
    stage.run(11)
    assert len(stage.heard(KME_A, GrantCredit)) == 1


def test_a_restarted_controller_goes_on_with_what_the_kmes_hold(stage):
    session = stage.unit().session
    newest = stage.heard(KME_A, GrantCredit)[-1].serial
    stage.crash()
    stage.forget()
    stage.run(1)
    stage.begin()
    assert (stage.unit().session, stage.unit().state) == (session, "open")
    assert list(stage.held["a"]) == list(stage.held["b"]) == [session]
    assert stage.heard(KME_A, GrantCredit)[-1].serial > newest


def test_of_two_sessions_of_one_pair_only_the_one_that_both_kmes_hold_survives(stage):
    session = stage.unit().session
    kept = stage.held["a"][session]
    stage.crash()
    stage.held["a"]["0-half-open"] = msgspec.structs.replace(kept, session="0-half-open")
    stage.begin()
    assert stage.unit().session == session
    assert list(stage.held["a"]) == [session]


def test_a_session_that_only_one_of_two_kmes_holds_is_closed_and_opened_anew(stage):
    session = stage.unit().session
    stage.crash()
    del stage.held["b"][session]
    stage.begin()
    assert stage.unit().session != session
    assert list(stage.held["a"]) == list(stage.held["b"]) == [stage.unit().session]


def test_a_kme_that_cannot_be_heard_does_not_keep_the_others_session_from_being_learnt(stage):
    session = stage.unit().session
    stage.crash()
    answers = stage.actors[KME_B].answers
    stage.actors[KME_B].answers = {}
    stage.begin()
    stage.run(3)
    assert stage.unit().session == session
    assert stage.unit().state == "negotiated"
    stage.actors[KME_B].answers = answers
    stage.run(8)
    assert stage.unit().state == "open"


def test_a_request_before_control_has_learnt_what_is_open_is_asked_to_wait():
    stage = Service()
    stage.lose = {SessionsReport}
    stage.begin()
    answer = stage.ask(OpenUnit(1, A2, C))
    assert (answer.state, answer.session) == ("proposed", "")
    stage.run(3)
    assert stage.ask(OpenUnit(2, A2, C)).state == "negotiated"


def test_an_expired_declared_session_is_closed_and_opened_as_a_new_unit(stage):
    session = stage.unit().session
    stage.run(TTL_S + 1)
    assert [order.session for order in stage.heard(KME_A, CloseSession)] == [session]
    assert stage.heard(FORWARDING, ReleasePath) == [ReleasePath(session)]
    assert stage.unit(0).session != session
    assert (stage.unit(0).state, stage.unit(1).state) == ("open", "expired")


def test_an_expired_session_that_was_opened_on_request_stays_expired(stage):
    answer = stage.ask(OpenUnit(1, A2, C))
    stage.run(TTL_S + 1)
    assert stage.ask(QueryUnit(2, C, answer.session)).state == "expired"
    assert all(held.local != A2 for held in stage.held["a"].values())


def test_an_sae_may_close_its_own_unit_and_no_other(stage):
    session = stage.unit().session
    assert stage.ask(CloseUnit(1, A2, session)).state == "refused"
    assert stage.unit().state == "open"
    assert stage.ask(CloseUnit(2, A, session)).state == "draining"
    stage.run(1)
    assert stage.ask(QueryUnit(3, B, session)).state == "closed"
    assert stage.held == {"a": {}, "b": {}}


def test_a_close_that_was_lost_is_asked_until_the_kme_no_longer_lists_the_session(stage):
    session = stage.unit().session
    stage.lose = {CloseSession}
    stage.ask(CloseUnit(1, A, session))
    stage.run(3)
    assert stage.ask(QueryUnit(2, A, session)).state == "draining"
    stage.lose = set()
    stage.run(8)
    assert stage.ask(QueryUnit(3, A, session)).state == "closed"
    stage.forget()
    stage.run(60)
    assert stage.heard(KME_A, CloseSession) == []


def test_a_path_of_a_session_that_is_over_is_released(stage):
    stage.send(FORWARDING, CONTROL, PathGranted("gone", 9, ("a", "b"), 1.0))
    stage.run()
    assert stage.heard(FORWARDING, ReleasePath) == [ReleasePath("gone")]


def test_little_is_said_in_a_steady_state(stage):
    stage.forget()
    stage.run(60)
    assert len(stage.actors[KME_A].heard) <= 6
    assert len(stage.actors[FORWARDING].heard) <= 6
    assert stage.actors[MANAGER].heard == []

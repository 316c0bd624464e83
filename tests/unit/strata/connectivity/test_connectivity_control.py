"""Control grants media at both ends, says what is missing, and tells forwarding of every loss of light."""

import pytest

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.connectivity_control import (
    BearersGranted,
    BearerSignal,
    BearersReleased,
    GrantBearers,
    LinkBearers,
    ReleaseBearers,
    ReportTerminations,
    TerminationHello,
)
from qstrata.fabric.messages.media import (
    MediaChanged,
    MediaGranted,
    MediaRefused,
    ReleaseMedia,
    RequireMedia,
)
from qstrata.fabric.messages.policy import ConnectivityPolicy, ConnectivityState, FibreSpec, MediaState
from qstrata.fabric.messages.reports import ConnectivityReport
from qstrata.fabric.messages.samples import BearerState, TerminationSample
from qstrata.planes import places
from qstrata.strata.connectivity.control import ConnectivityController
from tests.unit.strata.stage import DOMAIN, Stage

CONTROL = places.controller(End.CONNECTIVITY_CTL, DOMAIN)
MANAGER = places.manager(End.CONNECTIVITY_MGT, DOMAIN)
TELEMETRY = places.telemetry(End.CONNECTIVITY_TEL, DOMAIN)
FORWARDING = places.controller(End.FORWARDING_CTL, DOMAIN)
A, B, C = (places.termination(DOMAIN, site) for site in "abc")
BEARERS = LinkBearers("a-b", "fibre/a-b", "a-b/distillation", "a-b/relay")
POLICY = ConnectivityPolicy(
    sites=("a", "b", "c"),
    fibres=(
        FibreSpec("a-b", "a", "b", "fibre/a-b", "a-b/distillation", "a-b/relay"),
        FibreSpec("b-c", "b", "c", "fibre/b-c", "", "b-c/relay"),
    ),
)


def answers(site):
    return {
        GrantBearers: lambda grant: [BearersGranted(grant.serial, site, grant.bearers.link)],
        ReleaseBearers: lambda release: [BearersReleased(release.serial, site, release.link)],
        ReportTerminations: lambda ask: [TerminationHello(site, ())],
    }


@pytest.fixture
def stage():
    stage = Stage("a", "b", "c")
    for address, site in ((A, "a"), (B, "b"), (C, "c")):
        stage.actor(address, answers(site))
    for address in (MANAGER, TELEMETRY, FORWARDING):
        stage.actor(address)
    stage.element(ConnectivityController, CONTROL)
    stage.send(MANAGER, CONTROL, POLICY)
    stage.run()
    return stage


def require(stage, link="a-b"):
    stage.send(FORWARDING, CONTROL, RequireMedia(link))
    stage.run()


def shown(stage):
    return stage.heard(MANAGER, ConnectivityState)[-1].media


def test_media_are_granted_once_both_ends_have_confirmed(stage):
    require(stage)
    assert stage.heard(A, GrantBearers)[0].bearers == BEARERS
    assert len(stage.heard(B, GrantBearers)) == 1
    assert stage.heard(FORWARDING, MediaGranted) == [MediaGranted(BEARERS)]
    assert shown(stage)[0] == MediaState("a-b", "granted", "")


def test_the_same_requirement_is_answered_again_without_new_grants(stage):
    require(stage)
    require(stage)
    assert len(stage.heard(FORWARDING, MediaGranted)) == 2
    assert len(stage.heard(A, GrantBearers)) == 1


def test_a_missing_companion_channel_is_named(stage):
    require(stage, "b-c")
    refused = stage.heard(FORWARDING, MediaRefused)[-1]
    assert refused.reason == "link b-c has no distillation channel: declare one"
    assert shown(stage)[1] == MediaState("b-c", "refused", refused.reason)
    assert stage.heard(B, GrantBearers) == []


def test_an_unknown_link_is_refused(stage):
    require(stage, "x-y")
    assert "not in the inventory" in stage.heard(FORWARDING, MediaRefused)[-1].reason


def test_a_lost_grant_is_asked_again_until_confirmed(stage):
    stage.lose = {GrantBearers}
    require(stage)
    assert shown(stage)[0].state == "pending"
    stage.lose = set()
    stage.run(2)
    assert stage.heard(FORWARDING, MediaGranted) == [MediaGranted(BEARERS)]
    stage.forget()
    stage.run(30)
    assert stage.heard(A, GrantBearers) == []


def test_a_cut_is_told_once_with_its_cause_though_both_ends_see_it(stage):
    require(stage)
    stage.forget()
    for site, termination in (("a", A), ("b", B)):
        stage.send(termination, CONTROL, BearerSignal(site, "a-b", "fibre/a-b", False))
    stage.run()
    assert stage.heard(FORWARDING, MediaChanged) == [
        MediaChanged("a-b", "fibre/a-b", False, "no signal of fibre/a-b at a")
    ]
    assert shown(stage)[0] == MediaState("a-b", "down", "no signal of fibre/a-b at a and b")


def test_the_signal_is_back_only_when_every_end_has_it(stage):
    require(stage)
    for site, termination in (("a", A), ("b", B)):
        stage.send(termination, CONTROL, BearerSignal(site, "a-b", "fibre/a-b", False))
    stage.run()
    stage.forget()
    stage.send(A, CONTROL, BearerSignal("a", "a-b", "fibre/a-b", True))
    stage.run()
    assert stage.heard(FORWARDING, MediaChanged) == []
    stage.send(B, CONTROL, BearerSignal("b", "a-b", "fibre/a-b", True))
    stage.run()
    assert stage.heard(FORWARDING, MediaChanged) == [MediaChanged("a-b", "fibre/a-b", True, "")]
    assert shown(stage)[0].state == "granted"


def test_a_signal_that_was_missed_is_found_in_telemetry(stage):
    require(stage)
    stage.forget()
    state = BearerState("a-b", "a-b/relay", True, False, 0.0)
    sample = TerminationSample("b", 7 * PS_PER_S, (state,))
    stage.send(TELEMETRY, CONTROL, ConnectivityReport(7 * PS_PER_S, (sample,), ()))
    stage.run()
    assert [changed.up for changed in stage.heard(FORWARDING, MediaChanged)] == [False]


def test_a_sample_older_than_the_last_signal_changes_nothing(stage):
    require(stage)
    stage.run(10)
    stage.send(A, CONTROL, BearerSignal("a", "a-b", "a-b/relay", False))
    stage.run()
    stage.forget()
    sample = TerminationSample("a", PS_PER_S, (BearerState("a-b", "a-b/relay", True, True, 0.0),))
    stage.send(TELEMETRY, CONTROL, ConnectivityReport(2 * PS_PER_S, (sample,), ()))
    stage.run()
    assert stage.heard(FORWARDING, MediaChanged) == []


def test_a_termination_that_restarted_is_granted_again(stage):
    require(stage)
    stage.forget()
    stage.send(A, CONTROL, TerminationHello("a", ()))
    stage.run()
    assert len(stage.heard(A, GrantBearers)) == 1
    assert stage.heard(B, GrantBearers) == []
    assert stage.heard(FORWARDING, MediaGranted) == [MediaGranted(BEARERS)]


def test_a_termination_whose_hello_was_lost_is_granted_again(stage):
    require(stage)
    stage.forget()
    states = tuple(BearerState("a-b", bearer, False, True, 0.0) for bearer in ("fibre/a-b", "a-b/relay"))
    for at_s in (0, 7):
        sample = TerminationSample("a", at_s * PS_PER_S, states)
        stage.send(TELEMETRY, CONTROL, ConnectivityReport(at_s * PS_PER_S, (sample,), ()))
        stage.run()
        assert len(stage.heard(A, GrantBearers)) == (1 if at_s else 0)
    assert stage.heard(B, GrantBearers) == []


def test_a_restarted_controller_learns_what_is_granted_and_grants_nothing_anew(stage):
    require(stage)
    stage.crash()
    stage.forget()
    for address, site in ((A, "a"), (B, "b")):
        hello = TerminationHello(site, (BEARERS,))
        stage.actors[address].answers[ReportTerminations] = lambda ask, hello=hello: [hello]
    stage.element(ConnectivityController, CONTROL)
    stage.run()
    assert stage.heard(MANAGER, ConnectivityState) == [ConnectivityState(())]
    stage.send(MANAGER, CONTROL, POLICY)
    stage.run()
    assert shown(stage)[0].state == "granted"
    assert stage.heard(A, GrantBearers) == []


def test_released_media_are_taken_back_at_both_ends(stage):
    require(stage)
    stage.send(FORWARDING, CONTROL, ReleaseMedia("a-b"))
    stage.run()
    assert [release.link for release in stage.heard(A, ReleaseBearers)] == ["a-b"]
    assert [release.link for release in stage.heard(B, ReleaseBearers)] == ["a-b"]
    assert shown(stage)[0].state == "pending"
    stage.forget()
    stage.run(30)
    assert stage.heard(A, ReleaseBearers) == []

"""A termination grants what control grants, tells of light, and learns all of it again after a crash."""

import pytest

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.attachment import Attach, Attached, Detached, Light
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
from qstrata.fabric.messages.device import SignalReport, Tick
from qstrata.fabric.messages.samples import ProbeConnectivity, TerminationSample
from qstrata.planes import places
from qstrata.strata.connectivity.resource import Termination
from tests.unit.strata.stage import DOMAIN, Stage

BEARERS = LinkBearers("a-b", "fibre/a-b", "a-b/distillation", "a-b/relay")
NAMES = ("fibre/a-b", "a-b/distillation", "a-b/relay")
HERE = places.termination(DOMAIN, "a")
CONTROL = places.controller(End.CONNECTIVITY_CTL, DOMAIN)
TELEMETRY = places.telemetry(End.CONNECTIVITY_TEL, DOMAIN)
MONITOR = places.monitor(DOMAIN, "a")
RELAY = places.relay(DOMAIN, "a")
AGENT = places.agent(DOMAIN, "a", "a-b")


@pytest.fixture
def stage():
    stage = Stage("a")
    for bearer in NAMES:
        stage.bearers.declare(bearer, "companion", 0)
    for address in (CONTROL, TELEMETRY, RELAY, AGENT):
        stage.actor(address)
    stage.actor(MONITOR, {Tick: lambda tick: [SignalReport(bearer, True, 1.0) for bearer in NAMES]})
    stage.element(Termination, HERE, [BEARERS])
    stage.run()
    return stage


def grant(stage, serial=1):
    stage.send(CONTROL, HERE, GrantBearers(serial, BEARERS))
    stage.run()


def test_a_grant_raises_the_bearers_and_is_confirmed_each_time_it_is_asked(stage):
    assert not stage.bearers.up("a-b/relay")
    grant(stage)
    grant(stage)
    assert all(stage.bearers.up(bearer) for bearer in NAMES)
    assert stage.heard(CONTROL, BearersGranted) == [BearersGranted(1, "a", "a-b")] * 2


def test_those_who_asked_are_attached_before_and_after_the_grant(stage):
    stage.send(RELAY, HERE, Attach("a-b"))
    stage.run()
    assert stage.heard(RELAY, Attached) == []
    grant(stage)
    stage.send(AGENT, HERE, Attach("a-b"))
    stage.run()
    assert stage.heard(RELAY, Attached) == [Attached(BEARERS)]
    assert stage.heard(AGENT, Attached) == [Attached(BEARERS)]


def test_a_release_takes_the_bearers_back_and_an_older_grant_does_not_undo_it(stage):
    stage.send(RELAY, HERE, Attach("a-b"))
    grant(stage, 1)
    stage.send(CONTROL, HERE, ReleaseBearers(2, "a-b"))
    stage.run()
    grant(stage, 1)
    assert not any(stage.bearers.up(bearer) for bearer in NAMES)
    assert stage.heard(RELAY, Detached) == [Detached("a-b")]
    assert stage.heard(CONTROL, BearersReleased) == [BearersReleased(2, "a", "a-b")]


def test_light_lost_and_found_is_told_once_to_control_and_to_the_attached(stage):
    grant(stage)
    stage.send(RELAY, HERE, Attach("a-b"))
    for up in (False, False, True):
        stage.send(MONITOR, HERE, SignalReport("a-b/relay", up, 0.0))
    stage.run()
    assert stage.heard(RELAY, Light) == [Light("a-b", "a-b/relay", up) for up in (False, True)]
    signals = [BearerSignal("a", "a-b", "a-b/relay", up) for up in (False, True)]
    assert stage.heard(CONTROL, BearerSignal) == signals


def test_who_attaches_in_the_dark_is_told_so(stage):
    grant(stage)
    stage.send(MONITOR, HERE, SignalReport("fibre/a-b", False, 0.0))
    stage.send(AGENT, HERE, Attach("a-b"))
    stage.run()
    assert stage.heard(AGENT, Light) == [Light("a-b", "fibre/a-b", False)]


def test_samples_come_on_the_beat_and_show_grant_signal_and_loss(stage):
    grant(stage)
    stage.send(TELEMETRY, HERE, ProbeConnectivity(PS_PER_S))
    stage.send(TELEMETRY, HERE, ProbeConnectivity(PS_PER_S))
    stage.run(5.5)
    samples = stage.heard(TELEMETRY, TerminationSample)
    assert len(samples) == 7
    assert [(state.bearer, state.granted, state.up, state.loss_db) for state in samples[-1].bearers] == [
        (bearer, True, True, 1.0) for bearer in NAMES
    ]


def test_hello_is_said_until_control_is_heard_and_nothing_after(stage):
    stage.run(8)
    assert [hello.granted for hello in stage.heard(CONTROL, TerminationHello)] == [()] * 4
    grant(stage)
    stage.forget()
    stage.run(60)
    assert stage.actors[CONTROL].heard == []
    assert stage.actors[MONITOR].heard == []


def test_a_restarted_controller_learns_grants_and_lost_signals(stage):
    grant(stage)
    stage.send(MONITOR, HERE, SignalReport("fibre/a-b", False, 0.0))
    stage.run()
    stage.forget()
    stage.send(CONTROL, HERE, ReportTerminations())
    stage.run()
    assert stage.heard(CONTROL, TerminationHello) == [TerminationHello("a", (BEARERS,))]
    assert stage.heard(CONTROL, BearerSignal) == [BearerSignal("a", "a-b", "fibre/a-b", False)]

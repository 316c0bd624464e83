"""Telemetry of connectivity shows the last sample of each site, and alarms granted bearers without signal."""

import pytest

from qstrata.core.address import End
from qstrata.fabric.messages.reports import ConnectivityReport, SubscribeConnectivity
from qstrata.fabric.messages.samples import BearerState, TerminationSample
from qstrata.planes import places
from qstrata.strata.connectivity.telemetry import ConnectivityTelemetry
from tests.unit.strata.stage import DOMAIN, Stage

HERE = places.telemetry(End.CONNECTIVITY_TEL, DOMAIN)
MANAGER = places.manager(End.CONNECTIVITY_MGT, DOMAIN)
TERMINATIONS = {site: places.termination(DOMAIN, site) for site in "ab"}


@pytest.fixture
def stage():
    stage = Stage("a", "b")
    for address in (MANAGER, *TERMINATIONS.values()):
        stage.actor(address)
    stage.element(ConnectivityTelemetry, HERE, list(TERMINATIONS.values()))
    stage.run()
    return stage


def sample(stage, site, granted, up):
    state = BearerState("a-b", "fibre/a-b", granted, up, 0.0)
    stage.send(TERMINATIONS[site], HERE, TerminationSample(site, stage.queue.now, (state,)))
    stage.send(MANAGER, HERE, SubscribeConnectivity(0))
    stage.run()
    return stage.heard(MANAGER, ConnectivityReport)[-1]


def test_an_alarm_names_the_bearer_and_stands_until_both_ends_see_it_again(stage):
    sample(stage, "a", True, False)
    (alarm,) = sample(stage, "b", True, False).alarms
    assert (alarm.subject, alarm.channel) == ("a-b", "fibre/a-b")
    assert len(sample(stage, "a", True, True).alarms) == 1
    assert sample(stage, "b", True, True).alarms == ()


def test_a_bearer_that_is_not_granted_needs_no_signal(stage):
    assert sample(stage, "a", False, False).alarms == ()


def test_samples_are_shown_by_site(stage):
    sample(stage, "b", True, True)
    report = sample(stage, "a", True, True)
    assert [each.site for each in report.terminations] == ["a", "b"]

"""Telemetry turns samples of both ends into rates and error rates, and holds the alarms of agents."""

import itertools

import pytest

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.reports import ForwardingReport, SubscribeForwarding
from qstrata.fabric.messages.samples import (
    BlockSample,
    LinkFault,
    LinkPoolSample,
    LinkSample,
    ProbeForwarding,
    RelaySample,
)
from qstrata.physics.counts import Counts
from qstrata.planes import places
from qstrata.strata.forwarding.telemetry import ForwardingTelemetry
from tests.unit.strata.stage import DOMAIN, Stage

HERE = places.telemetry(End.FORWARDING_TEL, DOMAIN)
MANAGER = places.manager(End.FORWARDING_MGT, DOMAIN)
RELAY = places.relay(DOMAIN, "a")
AGENTS = {site: places.agent(DOMAIN, site, "a-b") for site in "ab"}
COUNTS = Counts(sent=(10, 10, 10), n=((60, 30, 10), (9, 0, 0)), m=((3, 1, 1), (9, 0, 0)), detections=400)


@pytest.fixture
def stage():
    stage = Stage("a", "b")
    for address in (MANAGER, RELAY, *AGENTS.values()):
        stage.actor(address)
    stage.element(ForwardingTelemetry, HERE, [RELAY, *AGENTS.values()])
    stage.run()
    return stage


def report(stage):
    stage.send(MANAGER, HERE, SubscribeForwarding(0))
    stage.run()
    return stage.heard(MANAGER, ForwardingReport)[-1]


def test_resources_are_probed_at_the_start_and_again_only_when_silent(stage):
    for second in range(1, 10):
        stage.send(RELAY, HERE, RelaySample("a", second * PS_PER_S, 0, ()))
        stage.run(1)
    assert stage.heard(RELAY, ProbeForwarding) == [ProbeForwarding(PS_PER_S)]
    assert len(stage.heard(AGENTS["a"], ProbeForwarding)) == 4


def test_a_silent_resource_is_an_alarm_until_it_is_heard(stage):
    stage.run(5)
    assert {(alarm.subject, alarm.channel) for alarm in report(stage).alarms} == {
        ("a", "management/a"),
        ("b", "management/b"),
    }
    for address in (RELAY, *AGENTS.values()):
        stage.send(address, HERE, RelaySample(address.site, 0, 0, ()))
    stage.run()
    assert report(stage).alarms == ()


def test_both_ends_make_one_rate_and_one_error_rate(stage):
    for second in (1, 2):
        for site, agent in AGENTS.items():
            stage.send(agent, HERE, LinkSample(site, "a-b", second * PS_PER_S, 1, COUNTS))
    (link,) = report(stage).links
    assert (link.detections_per_s, link.qber, link.at_ps) == (400.0, 0.05, 2 * PS_PER_S)


def test_distilled_blocks_make_the_key_rate_and_provisioned_ones_do_not(stage):
    def sample(site, block, bits, provisioned):
        duration = 0 if provisioned else 60 * PS_PER_S
        return BlockSample(site, "a-b", 0, block, bits, 9, duration, 0.03, provisioned)

    for site, agent in AGENTS.items():
        stage.send(agent, HERE, sample(site, 0, 10**6, True))
        stage.send(agent, HERE, sample(site, 1, 6000, False))
    (link,) = report(stage).links
    assert (link.blocks, link.key_rate_bps) == (1, 100.0)


def test_pools_are_shown_from_both_ends(stage):
    pool = LinkPoolSample("a-b", 900, 0, 800, 400, 0, 0, 100, 0)
    stage.send(RELAY, HERE, RelaySample("a", 0, 7, (pool,)))
    (link,) = report(stage).links
    assert link.pools == (("a", pool),)


def test_a_fault_that_an_agent_finds_stands_until_it_is_taken_back(stage):
    channel = "a-b/distillation"
    stage.send(AGENTS["a"], HERE, LinkFault("a", "a-b", 5, channel, True, "the peer is unheard"))
    (alarm,) = report(stage).alarms
    assert (alarm.subject, alarm.channel, alarm.finding) == ("a-b", channel, "the peer is unheard")
    stage.send(AGENTS["a"], HERE, LinkFault("a", "a-b", 9, channel, False, "heard again"))
    assert report(stage).alarms == ()


def test_a_subscriber_gets_a_report_every_period(stage):
    stage.send(MANAGER, HERE, SubscribeForwarding(PS_PER_S))
    stage.run(10)
    reports = stage.heard(MANAGER, ForwardingReport)
    assert len(reports) == 11
    assert all(b.at_ps - a.at_ps <= PS_PER_S for a, b in itertools.pairwise(reports))


def test_a_sample_that_comes_twice_counts_once(stage):
    for second in (1, 2, 2, 2):
        stage.send(AGENTS["a"], HERE, LinkSample("a", "a-b", second * PS_PER_S, 1, COUNTS))
    (link,) = report(stage).links
    assert link.detections_per_s == 400.0

"""Management keeps desired state until control has it, also after a restart; inspections are fresh."""

import pytest

from qstrata.core.address import End
from qstrata.core.errors import RefusedError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.forwarding_control import TraceTransfer, TransferTraced
from qstrata.fabric.messages.operator import (
    Configure,
    Configured,
    Inspect,
    Inspected,
    KeysTraced,
    LegsTraced,
    Trace,
)
from qstrata.fabric.messages.policy import (
    ConnectivityPolicy,
    ConnectivityState,
    FibreSpec,
    ForwardingPolicy,
    MediaState,
    QueryConnectivity,
)
from qstrata.fabric.messages.reports import ConnectivityReport, SubscribeConnectivity
from qstrata.fabric.messages.service_control import KeyTrace, KeyTraced, TraceKey
from qstrata.planes import places
from qstrata.strata.connectivity.management import ConnectivityManager
from qstrata.strata.forwarding.management import ForwardingManager
from qstrata.strata.service.management import ServiceManager
from tests.unit.strata.stage import DOMAIN, Stage, operator

HERE = places.manager(End.CONNECTIVITY_MGT, DOMAIN)
CONTROL = places.controller(End.CONNECTIVITY_CTL, DOMAIN)
TELEMETRY = places.telemetry(End.CONNECTIVITY_TEL, DOMAIN)
OPERATOR = operator()
POLICY = ConnectivityPolicy(("a", "b"), (FibreSpec("a-b", "a", "b", "f", "d", "r"),))
STATE = ConnectivityState((MediaState("a-b", "pending", ""),))


@pytest.fixture
def stage():
    stage = Stage("a", "b")
    stage.actor(OPERATOR)
    stage.actor(CONTROL, {kind: lambda message: [STATE] for kind in (ConnectivityPolicy, QueryConnectivity)})
    stage.actor(TELEMETRY, {SubscribeConnectivity: lambda ask: [ConnectivityReport(stage.queue.now, (), ())]})
    stage.element(ConnectivityManager, HERE)
    stage.run()
    return stage


def configure(stage):
    stage.send(OPERATOR, HERE, Configure(1, POLICY))
    stage.run()


def test_desired_state_is_confirmed_and_given_to_control_once(stage):
    configure(stage)
    stage.run(30)
    assert stage.heard(OPERATOR, Configured) == [Configured(1)]
    assert stage.heard(CONTROL, ConnectivityPolicy) == [POLICY]


def test_desired_state_is_given_again_until_control_answers(stage):
    stage.lose = {ConnectivityState}
    configure(stage)
    stage.run(4)
    assert len(stage.heard(CONTROL, ConnectivityPolicy)) == 3
    stage.lose = set()
    stage.run(60)
    assert len(stage.heard(CONTROL, ConnectivityPolicy)) == 4


def test_a_controller_that_shows_nothing_is_given_the_desired_state_again(stage):
    configure(stage)
    stage.run(10)
    stage.send(CONTROL, HERE, ConnectivityState(()))
    stage.run()
    assert len(stage.heard(CONTROL, ConnectivityPolicy)) == 2


def test_desired_state_of_another_stratum_is_refused(stage):
    stage.send(OPERATOR, HERE, Configure(1, ForwardingPolicy((), ())))
    with pytest.raises(RefusedError, match="ConnectivityPolicy"):
        stage.run()


def test_an_inspection_asks_anew_and_shows_state_and_report(stage):
    stage.run(10)
    stage.send(OPERATOR, HERE, Inspect(5))
    stage.run()
    (answer,) = stage.heard(OPERATOR, Inspected)
    assert (answer.request, answer.state) == (5, STATE)
    assert answer.report.at_ps >= 10 * PS_PER_S


def test_an_inspection_without_control_is_answered_with_what_was_last_heard(stage):
    stage.lose = {ConnectivityState}
    stage.run(10)
    stage.send(OPERATOR, HERE, Inspect(5))
    stage.run(0.3)
    assert stage.heard(OPERATOR, Inspected) == []
    stage.run(0.4)
    (answer,) = stage.heard(OPERATOR, Inspected)
    assert answer.state == STATE


def test_an_inspection_of_what_was_never_heard_shows_none():
    stage = Stage()
    for address in (OPERATOR, CONTROL, TELEMETRY):
        stage.actor(address)
    stage.element(ConnectivityManager, HERE)
    stage.send(OPERATOR, HERE, Inspect(5))
    stage.run(1)
    assert stage.heard(OPERATOR, Inspected) == [Inspected(5, None, None)]


def test_telemetry_that_has_fallen_silent_is_subscribed_to_again(stage):
    stage.forget()
    stage.run(10)
    assert len(stage.heard(TELEMETRY, SubscribeConnectivity)) == 3


def key(site):
    return KeyTrace("k", "s", "u", site, True, 256, "ready", 0, (), "t")


def test_a_trace_gathers_what_every_kme_knows_in_the_order_asked():
    stage = Stage("a", "b")
    stage.actor(OPERATOR)
    for site in ("a", "b"):
        found = {TraceKey: lambda ask, site=site: [KeyTraced(ask.request, site, (key(site),))]}
        stage.actor(places.kme(DOMAIN, site), found)
    manager = places.manager(End.SERVICE_MGT, DOMAIN)
    stage.element(ServiceManager, manager)
    stage.send(OPERATOR, manager, Trace(9, "k", ("b", "a")))
    stage.run()
    assert stage.heard(OPERATOR, KeysTraced) == [KeysTraced(9, (key("b"), key("a")))]


def leg(request, site, found):
    return TransferTraced(request, site, found, 1, 0, (), (), ())


def test_a_trace_shows_the_relays_that_knew_the_transfer_and_waits_at_most_a_second():
    stage = Stage("a", "b", "c")
    stage.actor(OPERATOR)
    for site, found in (("a", True), ("b", False)):
        answer = {TraceTransfer: lambda ask, s=site, f=found: [leg(ask.request, s, f)]}
        stage.actor(places.relay(DOMAIN, site), answer)
    stage.actor(places.relay(DOMAIN, "c"))
    manager = places.manager(End.FORWARDING_MGT, DOMAIN)
    stage.element(ForwardingManager, manager)
    stage.send(OPERATOR, manager, Trace(9, "t", ("a", "b", "c")))
    stage.run(0.9)
    assert stage.heard(OPERATOR, LegsTraced) == []
    stage.run(0.2)
    (traced,) = stage.heard(OPERATOR, LegsTraced)
    assert [found.site for found in traced.legs] == ["a"]


def test_a_lost_answer_to_a_trace_is_asked_again_within_its_second():
    stage = Stage("a")
    stage.actor(OPERATOR)
    relay = places.relay(DOMAIN, "a")
    stage.actor(relay, {TraceTransfer: lambda ask: [leg(ask.request, "a", True)]})
    manager = places.manager(End.FORWARDING_MGT, DOMAIN)
    stage.element(ForwardingManager, manager)
    stage.lose = {TransferTraced}
    stage.send(OPERATOR, manager, Trace(9, "t", ("a",)))
    stage.run(0.2)
    stage.lose = set()
    stage.run(0.5)
    assert len(stage.heard(OPERATOR, LegsTraced)[0].legs) == 1

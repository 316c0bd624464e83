"""Events: what changed between two views, so that a reader who applies them sees what the views show."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qstrata.fabric.messages.lab import Fault
from qstrata.fabric.messages.policy import ForwardingState, LinkState, ServiceState, UnitState
from qstrata.fabric.messages.reports import Alarm, ConnectivityReport, ForwardingReport, LinkReport
from qstrata.fabric.messages.samples import BearerState, LinkPoolSample, TerminationSample
from qstrata.fabric.tally import Refusal
from qstrata.network.events import (
    AlarmChanged,
    AnyEvent,
    BearerChanged,
    Event,
    FaultChanged,
    LinkChanged,
    MessageRefused,
    SessionChanged,
    changes,
    levels,
)
from qstrata.network.loader import load
from qstrata.network.pki import CertificatePaths, PkiPaths
from qstrata.network.remote import NetworkView
from qstrata.network.views import Heard, Standing, network_view

MADRID = load("madrid")
NOWHERE = CertificatePaths("", Path(), Path())
STANDING = Standing(
    description=msgspec.structs.replace(MADRID, saes=()),
    urls={node.name: "" for node in MADRID.nodes},
    pki=PkiPaths(NOWHERE, (), ()),
    started_ps=0,
    now_ps=0,
    lateness=(),
)
LINKS = tuple(link.name for link in MADRID.links)


def seen(heard: Heard) -> NetworkView:
    return network_view(STANDING, heard)


def unit(
    session: str, state: str = "open", sites: tuple[str, ...] = ("a", "b"), reason: str = ""
) -> UnitState:
    return UnitState(session, f"unit {session}", "sae a", "sae b", state, 1, sites, reason)


def units(*rows: UnitState) -> NetworkView:
    return seen(Heard(service=ServiceState(rows)))


def links(state: str, reason: str = "") -> NetworkView:
    return seen(Heard(forwarding=ForwardingState(1, (LinkState(LINKS[0], "a", "b", state, reason),), ())))


def alarms(*findings: str) -> NetworkView:
    rows = tuple(Alarm("a-b", "fibre/a-b", finding, 5) for finding in findings)
    return seen(Heard(terminations=ConnectivityReport(0, (), rows)))


def test_a_view_that_is_the_same_makes_no_event() -> None:
    assert changes(links("active"), links("active"), 1.0) == []


def test_a_link_tells_its_state_before_and_after() -> None:
    (event,) = changes(links("active"), links("passive", "no light"), 2.5)
    assert event == LinkChanged(
        at_s=2.5,
        link=LINKS[0],
        state="passive",
        media="unknown",
        was_state="active",
        was_media="unknown",
        reason="no light",
    )


def test_a_session_opens_changes_and_goes() -> None:
    (opened,) = changes(units(), units(unit("s")), 1.0)
    (moved,) = changes(units(unit("s")), units(unit("s", sites=("a", "c", "b"))), 2.0)
    (gone,) = changes(units(unit("s")), units(), 3.0)
    assert isinstance(opened, SessionChanged)
    assert isinstance(moved, SessionChanged)
    assert isinstance(gone, SessionChanged)
    assert (opened.was, opened.state) == ("", "open")
    assert (moved.was, moved.sites) == ("open", ("a", "c", "b"))
    assert (gone.was, gone.state) == ("open", "gone")


def test_an_alarm_is_raised_once_and_cleared_once() -> None:
    (raised,) = changes(alarms(), alarms("light lost"), 1.0)
    assert changes(alarms("light lost"), alarms("light lost"), 2.0) == []
    (cleared,) = changes(alarms("light lost"), alarms(), 3.0)
    assert raised == AlarmChanged(
        at_s=1.0, raised=True, subject="a-b", channel="fibre/a-b", finding="light lost"
    )
    assert cleared == msgspec.structs.replace(raised, at_s=3.0, raised=False)


def test_an_alarm_that_goes_on_in_other_words_is_not_told_as_cleared() -> None:
    (changed,) = changes(alarms("light -3 %"), alarms("light -4 %"), 2.0)
    assert changed == AlarmChanged(
        at_s=2.0,
        raised=True,
        subject="a-b",
        channel="fibre/a-b",
        finding="light -4 %",
        was="light -3 %",
    )


def test_a_fault_that_is_injected_again_tells_its_new_amount() -> None:
    weak, strong = (seen(Heard(faults=(Fault("loss", "fibre/a-b", db, 0),))) for db in (1.0, 2.0))
    (injected,) = changes(weak, strong, 1.0)
    (healed,) = changes(strong, seen(Heard(faults=())), 2.0)
    assert injected == FaultChanged(at_s=1.0, injected=True, kind="loss", target="fibre/a-b", amount=2.0)
    assert healed == FaultChanged(at_s=2.0, injected=False, kind="loss", target="fibre/a-b", amount=2.0)


def test_levels_tell_counts_and_pools_of_every_link() -> None:
    pool = LinkPoolSample(LINKS[0], 0, 100, 77, 40, 0, 0, 0, 0)
    report = LinkReport(LINKS[0], 0, 49_000.0, 0.03, 1200.0, 4, (("quintin", pool), ("quijote", pool)))
    told = levels(seen(Heard(links=ForwardingReport(0, (report,), ()))), 1.0)
    assert [level.link for level in told.links] == list(LINKS)
    first = told.links[0]
    assert (first.detections_per_s, first.qber, first.key_rate_bps, first.blocks) == (
        49_000.0,
        0.03,
        1200.0,
        4,
    )
    assert first.available == (("quintin", 77), ("quijote", 77))


def test_what_was_not_heard_stays_as_it_was_last_heard() -> None:
    last = Heard(service=ServiceState((unit("s"),)), faults=(Fault("cut", "x", 1.0, 0),))
    silent = Heard(faults=()).or_last(last)
    assert silent.service == last.service
    assert silent.faults == ()


states = st.sampled_from(["active", "passive", "off"])
bearer_states = st.tuples(st.sampled_from(["quijote", "quintin"]), st.sampled_from(["x", "y"]), st.booleans())


@st.composite
def views(draw: st.DrawFn) -> NetworkView:
    bearers = draw(st.lists(bearer_states, unique_by=lambda row: row[:2]))
    sessions = draw(st.lists(st.tuples(st.sampled_from("stu"), states), unique_by=lambda row: row[0]))
    faults = draw(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1.0, 2.0])), unique_by=lambda row: row[0])
    )
    findings = draw(st.lists(st.sampled_from("fgh"), unique=True))
    terminations = tuple(
        TerminationSample(
            site, 0, tuple(BearerState("l", b, True, up, 0.0) for s, b, up in bearers if s == site)
        )
        for site in ("quijote", "quintin")
    )
    return seen(
        Heard(
            forwarding=ForwardingState(
                1, tuple(LinkState(name, "a", "b", draw(states), "") for name in LINKS), ()
            ),
            service=ServiceState(tuple(unit(session, state) for session, state in sessions)),
            terminations=ConnectivityReport(
                0, terminations, tuple(Alarm("a-b", "fibre/a-b", finding, 5) for finding in findings)
            ),
            faults=tuple(Fault("loss", target, amount, 0) for target, amount in faults),
        )
    )


def test_refusals_are_told_when_they_are_counted():
    row = Refusal("a", "b", "InstallTable", "not declared", 2)
    view = seen(Heard())
    more = msgspec.structs.replace(view, refusals=(row,))
    (event,) = changes(view, more, 3.0)
    assert event == MessageRefused(
        at_s=3.0, sender="a", receiver="b", type="InstallTable", reason="not declared", count=2
    )
    assert changes(more, more, 4.0) == []


class Picture:
    """What a reader knows who applies events to a snapshot."""

    def __init__(self, view: NetworkView) -> None:
        self.links = {link.name: (link.state, link.media) for link in view.links}
        self.sessions = {row.unit.session: row.unit.state for row in view.sessions}
        self.alarms = {(row.subject, row.channel, row.finding) for row in view.alarms}
        self.faults = {(row.kind, row.target): row.amount for row in view.faults}
        self.bearers = {(node.name, row.bearer): row.up for node in view.nodes for row in node.bearers}

    def apply(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case LinkChanged():
                    self.links[event.link] = (event.state, event.media)
                case SessionChanged():
                    self.sessions[event.session] = event.state
                case AlarmChanged():
                    row = (event.subject, event.channel, event.finding)
                    (self.alarms.add if event.raised else self.alarms.remove)(row)
                    if event.was:
                        self.alarms.remove((event.subject, event.channel, event.was))
                case FaultChanged(injected=True):
                    self.faults[event.kind, event.target] = event.amount
                case FaultChanged():
                    del self.faults[event.kind, event.target]
                case BearerChanged():
                    self.bearers[event.node, event.bearer] = event.up

    def known(self, view: NetworkView) -> dict[str, object]:
        there = {(node.name, row.bearer) for node in view.nodes for row in node.bearers}
        sessions = {session: state for session, state in self.sessions.items() if state != "gone"}
        bearers = {key: up for key, up in self.bearers.items() if key in there}
        return {**vars(self), "sessions": sessions, "bearers": bearers}


@given(views(), views())
def test_events_applied_to_the_old_view_give_the_new_one(old: NetworkView, new: NetworkView) -> None:
    picture = Picture(old)
    events = changes(old, new, 1.0)
    picture.apply(events)
    assert picture.known(new) == Picture(new).known(new)
    lines = [msgspec.json.encode(event) for event in events]
    assert [msgspec.json.decode(line, type=AnyEvent) for line in lines] == events


@pytest.mark.parametrize("word", ["key_material", "KeyMaterial", "bits_hex"])
def test_no_event_has_a_field_for_key_bits(word: str) -> None:
    assert word not in str(msgspec.json.schema(AnyEvent))

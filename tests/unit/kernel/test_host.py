"""The host: effects are performed in order, and what a dead incarnation asked for never comes back."""

import pytest

from qstrata.core.address import Address, End
from qstrata.core.effects import Commit, Drop, LogEntry, Note, Send, SetBearer, Timer
from qstrata.core.errors import InternalError
from qstrata.kernel.element import Element
from qstrata.kernel.host import Host
from qstrata.kernel.queue import EventQueue

HERE = Address(End.FORWARDING_RES, "d", "here", "relay")
THERE = Address(End.FORWARDING_RES, "d", "there", "relay")


class Entry(LogEntry, frozen=True, array_like=True, gc=False):
    text: str


class Bench:
    """A host whose executors write down what they were asked for; commits end when `finish` is called."""

    def __init__(self):
        self.queue = EventQueue()
        self.did = []
        self.waiting = []
        self.host = Host(
            self.queue,
            lambda handle, message, node, now: self.did.append(("send", handle, message, node, now)),
            self._commit,
            lambda entry, now: self.did.append(("note", entry.text, now)),
            lambda effect, now: self.did.append(("bearer", effect.bearer, now)),
            lambda node, changes, now: self.did.append(("durable", node, now)),
        )

    def _commit(self, node, changes, done, now):
        self.did.append(("commit", node, now))
        self.waiting.append(done)

    def finish(self):
        self.waiting.pop(0)()
        self.queue.run_until(self.queue.now)


class Actor(Element):
    """An element that answers its start and every text message with given effects."""

    def __init__(self, address, started=(), answers=()):
        super().__init__(address)
        self.started = started
        self.on(str, lambda message, sender, now: answers)

    def start(self, now):
        return self.started


def noted(text):
    return lambda now: (Note(Entry(text)),)


@pytest.fixture
def bench():
    return Bench()


def test_effects_of_a_start_are_performed_in_their_order(bench):
    effects = (
        Send("h", "m"),
        Note(Entry("n")),
        SetBearer("b", intact=False),
        Commit((), None),
        Send("h", "m2"),
    )
    bench.host.spawn("here", Actor(HERE, effects))
    assert bench.did == [
        ("send", "h", "m", "here", 0),
        ("note", "n", 0),
        ("bearer", "b", 0),
        ("commit", "here", 0),
        ("send", "h", "m2", "here", 0),
    ]


def test_a_received_message_is_handled_at_the_logical_now(bench):
    actor = Actor(HERE, answers=(Note(Entry("got")),))
    bench.host.spawn("here", actor)
    bench.queue.run_until(40)
    bench.host.receiver(actor)("hello", THERE)
    assert bench.did == [("note", "got", 40)]


def test_a_timer_goes_on_at_its_instant_and_a_past_one_at_once(bench):
    bench.host.spawn("here", Actor(HERE, (Timer(25, noted("later")), Timer(-3, noted("at once")))))
    bench.queue.run_until(30)
    assert bench.did == [("note", "at once", 0), ("note", "later", 25)]


def test_what_follows_a_commit_waits_until_it_is_durable(bench):
    bench.host.spawn("here", Actor(HERE, (Commit((Drop("k", "1"),), noted("after")),)))
    bench.queue.run_until(10)
    assert bench.did == [("commit", "here", 0)]
    bench.finish()
    assert bench.did[1:] == [("durable", "here", 10), ("note", "after", 10)]


def test_a_crash_kills_timers_commits_and_receivers(bench):
    actor = Actor(HERE, (Timer(5, noted("timer")), Commit((), noted("commit"))), (Note(Entry("late")),))
    bench.host.spawn("here", actor)
    receive = bench.host.receiver(actor)
    bench.queue.push(5, lambda: None)
    assert bench.host.crash("here") == (actor,)
    bench.queue.run_until(10)
    bench.finish()
    receive("hello", THERE)
    assert bench.did == [("commit", "here", 0), ("durable", "here", 10)]
    assert bench.host.elements("here") == ()


def test_a_restarted_node_is_a_new_incarnation_that_owes_the_old_one_nothing(bench):
    bench.host.spawn("here", Actor(HERE, (Timer(5, noted("old")),)))
    bench.host.crash("here")
    bench.host.spawn("here", Actor(HERE, (Timer(6, noted("new")),)))
    bench.queue.run_until(10)
    assert bench.did == [("note", "new", 6)]
    assert bench.host.incarnation("here") == 2


def test_a_crash_spares_the_other_nodes(bench):
    bench.host.spawn("here", Actor(HERE, (Timer(5, noted("here")),)))
    bench.host.spawn("there", Actor(THERE, (Timer(5, noted("there")),)))
    bench.host.crash("here")
    bench.queue.run_until(5)
    assert bench.did == [("note", "there", 5)]
    assert bench.host.nodes() == ("there",)


def test_a_crash_in_the_middle_of_effects_stops_the_rest(bench):
    bench.host._send = lambda handle, message, node, now: bench.host.crash(node)
    bench.host.spawn("here", Actor(HERE, (Send("h", "fatal"), Note(Entry("never")))))
    assert bench.did == []


def test_a_crash_of_a_dead_or_unknown_node_is_harmless(bench):
    assert bench.host.crash("nowhere") == ()


def test_an_exception_in_an_element_reaches_whoever_runs_the_queue(bench):
    def broken(now):
        raise ValueError("broken")

    bench.host.spawn("here", Actor(HERE, (Timer(5, broken),)))
    with pytest.raises(ValueError, match="broken"):
        bench.queue.run_until(10)


def test_an_address_cannot_be_taken_twice_on_a_node(bench):
    bench.host.spawn("here", Actor(HERE))
    with pytest.raises(InternalError, match="runs on node here already"):
        bench.host.spawn("here", Actor(HERE))


def test_an_element_that_was_never_spawned_has_no_receiver(bench):
    with pytest.raises(InternalError, match="spawn it first"):
        bench.host.receiver(Actor(HERE))


def test_effects_can_be_performed_in_the_name_of_a_living_node_only(bench):
    bench.host.spawn("here", Actor(HERE))
    bench.host.perform("here", noted("asked")(0), 0)
    assert bench.did == [("note", "asked", 0)]
    bench.host.crash("here")
    with pytest.raises(InternalError, match="node here does not run"):
        bench.host.perform("here", (), 0)


def test_an_element_that_is_retired_is_never_gone_on_with_and_others_of_its_node_are(bench):
    other = Address(End.FORWARDING_RES, "d", "here", "agent")
    bench.host.spawn("here", Actor(HERE, (Timer(5, noted("never")), Commit((), noted("never")))))
    bench.host.spawn("here", Actor(other, (Timer(5, noted("later")),)))
    receive = bench.host.receiver(bench.host.elements("here")[0])
    bench.host.retire("here", HERE)
    bench.finish()
    receive("anything", THERE)
    bench.queue.run_until(10)
    assert bench.did == [("commit", "here", 0), ("durable", "here", 0), ("note", "later", 5)]
    assert [element.address for element in bench.host.elements("here")] == [other]


def test_a_node_ends_with_its_last_element_and_comes_to_life_again(bench):
    bench.host.spawn("here", Actor(HERE))
    bench.host.retire("here", HERE)
    assert bench.host.nodes() == ()
    bench.host.spawn("here", Actor(HERE))
    assert bench.host.incarnation("here") == 2


def test_who_does_not_run_cannot_be_retired(bench):
    with pytest.raises(InternalError, match="does not run on node here"):
        bench.host.retire("here", HERE)


def test_effects_can_be_performed_in_the_name_of_an_element(bench):
    actor = Actor(HERE)
    bench.host.spawn("here", actor)
    bench.host.act(actor, (Timer(5, noted("never")),), 0)
    bench.host.retire("here", HERE)
    bench.queue.run_until(10)
    assert bench.did == []
    with pytest.raises(InternalError, match="spawn it first"):
        bench.host.act(actor, (), 0)

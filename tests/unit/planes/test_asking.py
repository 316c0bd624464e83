"""Requests stand until answered, at doubling intervals; nothing runs while nothing stands."""

from qstrata.core.effects import Send, Timer
from qstrata.core.time import PS_PER_S, PS_PER_US
from qstrata.fabric.messages.operator import Inspect
from qstrata.fabric.messages.policy import QueryService
from qstrata.planes.asking import Outbox, Serials, Subscription

TO = object()


class Clock:
    """Run timers and keep what was sent, with its instant in seconds."""

    def __init__(self):
        self.now, self.timers, self.sent = 0, [], []

    def take(self, effects):
        for effect in effects:
            if isinstance(effect, Timer):
                self.timers.append(effect)
            else:
                self.sent.append((self.now // PS_PER_S, effect.message))

    def run(self, until_s):
        while self.timers:
            self.timers.sort(key=lambda timer: timer.due_ps)
            if self.timers[0].due_ps > until_s * PS_PER_S:
                break
            timer = self.timers.pop(0)
            self.now = max(self.now, timer.due_ps)
            self.take(timer.then(self.now))
        self.now = until_s * PS_PER_S

    @property
    def instants(self):
        return [at_s for at_s, _ in self.sent]


def test_a_request_is_sent_again_at_doubling_intervals_up_to_the_longest():
    clock, outbox = Clock(), Outbox(PS_PER_S, 4 * PS_PER_S)
    clock.take(outbox.ask("x", [Send(TO, Inspect(1))], 0))
    clock.run(16)
    assert clock.instants == [0, 1, 3, 7, 11, 15]


def test_a_settled_request_is_never_sent_again_and_no_timer_remains():
    clock, outbox = Clock(), Outbox()
    clock.take(outbox.ask("x", [Send(TO, Inspect(1))], 0))
    assert outbox.settle("x")
    clock.run(60)
    assert clock.instants == [0]
    assert clock.timers == []
    assert not outbox.settle("x")


def test_a_later_request_does_not_wait_for_an_earlier_one_that_has_backed_off():
    clock, outbox = Clock(), Outbox()
    clock.take(outbox.ask("x", [Send(TO, Inspect(1))], 0))
    clock.run(9)
    clock.take(outbox.ask("y", [Send(TO, Inspect(2))], clock.now))
    clock.run(11)
    assert [at_s for at_s, message in clock.sent if message == Inspect(2)] == [9, 10]


def test_asking_again_replaces_what_stood():
    clock, outbox = Clock(), Outbox()
    clock.take(outbox.ask("x", [Send(TO, Inspect(1))], 0))
    clock.take(outbox.ask("x", [Send(TO, Inspect(2))], 0))
    clock.run(1)
    assert [message.request for _, message in clock.sent] == [1, 2, 2]


def test_serial_numbers_rise_also_over_a_restart_and_past_what_was_observed():
    serials = Serials()
    drawn = [serials.next(5 * PS_PER_US) for _ in range(3)]
    assert drawn == [5, 6, 7]
    assert Serials().next(PS_PER_S) > max(drawn)
    serials.observe(100)
    assert serials.next(6 * PS_PER_US) == 101


def test_a_subscription_is_renewed_only_after_silence():
    clock = Clock()
    subscription = Subscription(TO, QueryService(), 3 * PS_PER_S)
    clock.take(subscription.start(0))
    for second in (1, 2, 3, 4, 5):
        clock.run(second)
        subscription.heard(clock.now)
    assert clock.instants == [0]
    clock.run(9)
    assert clock.instants == [0, 9]

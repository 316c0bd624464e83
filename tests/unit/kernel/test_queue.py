"""The event queue: order, logical time, and events that make events."""

from qstrata.kernel.queue import EventQueue


def test_events_run_by_instant_and_equal_instants_in_the_order_they_came():
    queue, seen = EventQueue(), []
    for due_ps, name in ((30, "c"), (10, "a"), (20, "b1"), (20, "b2")):
        queue.push(due_ps, seen.append, name)
    queue.run_until(30)
    assert seen == ["a", "b1", "b2", "c"]


def test_now_is_the_due_instant_of_the_event_and_then_the_instant_asked_for():
    queue, seen = EventQueue(), []
    queue.push(7, lambda: seen.append(queue.now))
    queue.run_until(100)
    assert (seen, queue.now) == ([7], 100)


def test_an_event_at_the_limit_runs_and_a_later_one_waits():
    queue, seen = EventQueue(), []
    queue.push(5, seen.append, "at")
    queue.push(6, seen.append, "after")
    queue.run_until(5)
    assert seen == ["at"]
    assert (len(queue), queue.next_due()) == (1, 6)


def test_an_instant_that_has_passed_means_now_after_what_waits():
    queue, seen = EventQueue(), []
    queue.run_until(50)
    queue.push(50, seen.append, "first")
    queue.push(3, lambda: seen.append(queue.now))
    queue.run_until(50)
    assert seen == ["first", 50]


def test_events_that_arise_within_the_span_run_in_it():
    queue, seen = EventQueue(), []

    def tick(left):
        seen.append(queue.now)
        if left:
            queue.push(queue.now + 10, tick, left - 1)

    queue.push(0, tick, 3)
    queue.run_until(20)
    assert seen == [0, 10, 20]
    assert queue.next_due() == 30


def test_time_never_goes_back_when_an_earlier_limit_is_asked_for():
    queue = EventQueue()
    queue.run_until(10)
    queue.run_until(5)
    assert queue.now == 10


def test_step_takes_one_event_and_tells_when_there_is_none():
    queue, seen = EventQueue(), []
    queue.push(4, seen.append, "x")
    assert queue.step()
    assert (seen, queue.now, queue.next_due(), queue.head()) == (["x"], 4, None, None)
    assert not queue.step()

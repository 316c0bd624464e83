"""Properties of the event queue, against sorting."""

from hypothesis import given
from hypothesis import strategies as st

from qstrata.kernel.queue import EventQueue

instants = st.integers(min_value=0, max_value=20)


@given(st.lists(instants))
def test_events_run_in_the_order_of_a_stable_sort_by_instant(due):
    queue, seen = EventQueue(), []
    for number, due_ps in enumerate(due):
        queue.push(due_ps, lambda number: seen.append((queue.now, number)), number)
    queue.run_until(20)
    assert seen == sorted((due_ps, number) for number, due_ps in enumerate(due))


@given(st.lists(instants), st.lists(instants))
def test_it_does_not_matter_in_how_many_steps_time_goes_on(due, stops):
    def run(limits):
        queue, seen = EventQueue(), []
        for number, due_ps in enumerate(due):
            queue.push(due_ps, seen.append, number)
        for limit in limits:
            queue.run_until(limit)
        return seen

    assert run([*sorted(stops), 20]) == run([20])


@given(st.lists(st.tuples(instants, instants)))
def test_now_never_goes_back_whatever_events_push(plan):
    queue, seen = EventQueue(), []
    for first_ps, second_ps in plan:
        queue.push(first_ps, lambda due_ps: queue.push(due_ps, lambda: seen.append(queue.now)), second_ps)
    queue.run_until(40)
    assert seen == sorted(seen)
    assert sorted(seen) == sorted(max(pair) for pair in plan)

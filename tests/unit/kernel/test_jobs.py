"""Jobs: work off the loop, joined at its due instant and never earlier."""

import pytest

from qstrata.core.address import Address, End
from qstrata.core.effects import Job, Timer, Work, WorkDone
from qstrata.core.errors import InternalError
from qstrata.kernel.element import Element
from qstrata.kernel.host import Host
from qstrata.kernel.jobs import JoinedJobs
from qstrata.kernel.queue import EventQueue

ADDRESS = Address(End.WORLD, "lab", "a", "device")


class Ticket:
    def __init__(self, name):
        self.name = name

    def wait(self):
        return WorkDone(output=self.name.encode())


class Asking(Element):
    """Asks for work due at the given instants, and keeps what comes of it."""

    def __init__(self, *due_ps):
        super().__init__(ADDRESS)
        self.due_ps = due_ps
        self.got = []

    def start(self, now):
        return [
            Job(Work(topic=f"work-{due_ps}", limit_s=1.0), due_ps, self.take) for due_ps in self.due_ps
        ] + [Timer(due_ps, self.tick) for due_ps in self.due_ps]

    def take(self, done, now):
        self.got.append((now, done.output))
        return ()

    def tick(self, now):
        self.got.append((now, "timer"))
        return ()


def hosted(element, jobs=None):
    queue = EventQueue()
    begun = []

    def begin(work):
        begun.append(work.topic)
        return Ticket(work.topic)

    given = {} if jobs is None else {"job": jobs(queue, begin)}
    host = Host(queue, send=None, commit=None, note=None, set_bearer=None, **given)
    host.spawn("world", element)
    return queue, host, begun


def test_a_result_is_handed_over_at_its_due_instant_in_the_order_of_the_queue():
    element = Asking(50, 20)
    queue, _, begun = hosted(element, JoinedJobs)
    assert begun == ["work-50", "work-20"]
    queue.run_until(19)
    assert element.got == []
    queue.run_until(100)
    assert element.got == [(20, b"work-20"), (20, "timer"), (50, b"work-50"), (50, "timer")]


def test_work_of_a_node_that_crashed_is_never_gone_on_with():
    element = Asking(20)
    queue, host, _ = hosted(element, JoinedJobs)
    host.crash("world")
    queue.run_until(100)
    assert element.got == []


def test_what_a_computation_made_is_wiped_where_nobody_takes_it():
    class Made:
        wiped = False

        def wipe(self):
            self.wiped = True

    class Finished:
        def wait(self):
            return WorkDone(made=made)

    made, queue = Made(), EventQueue()
    jobs = JoinedJobs(queue, lambda work: Finished())
    host = Host(queue, send=None, commit=None, note=None, set_bearer=None, job=jobs)
    element = Asking(20)
    host.spawn("world", element)
    host.retire("world", ADDRESS)
    queue.run_until(19)
    assert not made.wiped
    queue.run_until(100)
    assert made.wiped
    assert element.got == []


def test_a_host_without_an_executor_says_so():
    with pytest.raises(InternalError, match=r"Work for work-20: this host has no executor"):
        hosted(Asking(20))

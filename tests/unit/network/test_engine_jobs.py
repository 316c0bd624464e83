"""Jobs in real time: what is done early waits for its instant, what is late is handed over and counted."""

from concurrent.futures import Future

import pytest

from qstrata.core.effects import Work, WorkDone
from qstrata.core.time import PS_PER_MS
from qstrata.kernel.pacing import RealTimePacer
from qstrata.kernel.queue import EventQueue
from qstrata.network.engine_jobs import PacedJobs

WORK = Work(topic="engine a-b", limit_s=1.0)
DUE_PS = 10 * PS_PER_MS


class Rig:
    def __init__(self):
        self.now_ns = 0
        self.queue = EventQueue()
        self.pacer = RealTimePacer(self.queue, clock=lambda: self.now_ns)
        self.future = Future()
        self.got = []
        jobs = PacedJobs(self.queue, self.pacer, lambda work: self.future)
        self.pacer.advance()
        jobs(WORK, DUE_PS, lambda done: self.got.append((self.queue.now, done)))

    def at_ms(self, ms):
        self.now_ns = ms * 1_000_000
        self.pacer.advance()


@pytest.fixture
def rig():
    return Rig()


def test_what_is_done_early_is_handed_over_at_its_instant(rig):
    rig.future.set_result(WorkDone(output=b"x"))
    rig.at_ms(9)
    assert rig.got == []
    rig.at_ms(12)
    assert rig.got == [(DUE_PS, WorkDone(output=b"x"))]
    assert [row.topic for row in rig.pacer.lateness() if row.count] == ["engine a-b"]


def test_what_is_late_is_handed_over_when_it_comes_and_says_how_late(rig):
    rig.at_ms(14)
    assert rig.got == []
    rig.future.set_result(WorkDone(output=b"x"))
    rig.at_ms(15)
    ((now, done),) = rig.got
    assert (now, done.late_ps) == (15 * PS_PER_MS, 5 * PS_PER_MS)
    (row,) = rig.pacer.lateness()
    assert (row.topic, row.count, row.max_ps) == ("engine a-b", 1, 5 * PS_PER_MS)


def test_what_is_cancelled_is_never_handed_over(rig):
    rig.future.cancel()
    rig.at_ms(20)
    assert rig.got == []

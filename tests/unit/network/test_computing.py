"""Computations on threads: what they make is handed over, what goes wrong is told, what waits is bounded."""

import threading

from qstrata.core.effects import Computation
from qstrata.network import computing
from qstrata.network.computing import Computers


class Made:
    def __init__(self, thread):
        self.thread = thread

    def wipe(self):
        pass


def work(turn):
    return Computation(topic="numbers", turn=turn)


def here():
    return Made(threading.get_ident())


def test_work_is_done_on_another_thread():
    computers = Computers()
    made = computers.submit(work(here)).result(10).made
    assert made.thread != threading.get_ident()
    computers.close()


def test_what_no_thread_has_begun_is_done_by_the_one_who_waits():
    computers, gate = Computers(), threading.Event()

    def blocked():
        gate.wait(10)
        return here()

    busy = [computers.submit(work(blocked)) for _ in range(computing.AT_ONCE)]
    ticket = computers.begin(work(here))
    assert ticket.wait().made.thread == threading.get_ident()
    gate.set()
    assert all(future.result(10).made for future in busy)
    computers.close()


def test_a_fault_of_the_work_is_told():
    computers = Computers()
    done = computers.submit(work(lambda: here().missing)).result(10)
    assert done.made is None
    assert "missing" in done.failure
    computers.close()


def test_too_much_work_fails_at_once_and_says_the_bound(monkeypatch):
    monkeypatch.setattr(computing, "WAITING_MAX", 2)
    computers, gate = Computers(), threading.Event()

    def blocked():
        gate.wait(10)
        return here()

    under_way = [computers.submit(work(blocked)) for _ in range(2)]
    assert "2 computations wait" in computers.submit(work(here)).result(0).failure
    gate.set()
    assert all(future.result(10).made for future in under_way)
    assert computers.submit(work(here)).result(10).made
    computers.close()
    assert computers.submit(work(here)).result(0).failure == "the network goes down"

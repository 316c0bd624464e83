"""Compute on threads of this process: work with key material, which must not leave it."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from qstrata.core.effects import Computation, WorkDone

AT_ONCE = 2
"""So many threads compute at the same time; more work waits."""

WAITING_MAX = 1024
"""Beyond so much work that waits or runs, more fails at once."""


class _Waited:
    """Work under way; what no thread has begun when it is waited for, the waiting one does itself."""

    def __init__(self, threads: "Computers", work: Computation) -> None:
        self._threads = threads
        self._work = work
        self._future = threads.submit(work)

    def wait(self) -> WorkDone:
        if self._future.cancel():
            return self._threads.compute(self._work)
        return self._future.result()


class Computers:
    """Take the turns of computations on threads; `close` lets those under way end, and drops the others."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="computing")
        self._lock = threading.Lock()
        self._under_way = 0
        self._closed = False

    def begin(self, work: Computation) -> _Waited:
        """Begin work; what comes of it is waited for."""
        return _Waited(self, work)

    def submit(self, work: Computation) -> "Future[WorkDone]":
        """Begin work; the future never raises."""
        with self._lock:
            if self._under_way >= WAITING_MAX or self._closed:
                full: Future[WorkDone] = Future()
                reason = f"{WAITING_MAX} computations wait already: have fewer links at level `clicks`"
                full.set_result(WorkDone(failure="the network goes down" if self._closed else reason))
                return full
            self._under_way += 1
            return self._threads.submit(self.compute, work)

    def compute(self, work: Computation) -> WorkDone:
        """Take the turn of work that was submitted; a fault of it is told, not raised."""
        begun = time.monotonic()
        try:
            made = work.turn()
        except Exception as fault:
            return WorkDone(failure=f"{type(fault).__name__}: {fault}", took_s=time.monotonic() - begun)
        finally:
            with self._lock:
                self._under_way -= 1
        return WorkDone(made=made, took_s=time.monotonic() - begun)

    def close(self) -> None:
        """Begin nothing any more, and wait for what is under way."""
        with self._lock:
            self._closed = True
        self._threads.shutdown(cancel_futures=True)

"""The executor of jobs in real time: results wait for their instant; what comes later is counted as late."""

from collections.abc import Callable
from concurrent.futures import Future

import msgspec

from qstrata.core.effects import Work, WorkDone
from qstrata.kernel.pacing import RealTimePacer
from qstrata.kernel.queue import EventQueue

Submit = Callable[[Work], "Future[WorkDone]"]


class _Awaited(msgspec.Struct, frozen=True):
    """A result that is there before its instant; `topic` is what its delivery is counted under."""

    topic: str
    done: Callable[[WorkDone], None]
    result: WorkDone


class PacedJobs:
    """Have work done by `submit` and hand over what comes of it on the pacer's thread, never too early."""

    def __init__(self, queue: EventQueue, pacer: RealTimePacer, submit: Submit) -> None:
        self._queue = queue
        self._pacer = pacer
        self._submit = submit

    def __call__(self, work: Work, due_ps: int, done: Callable[[WorkDone], None]) -> None:
        """Call `done` at `due_ps`, or when the work is over if that is later."""

        def over(future: "Future[WorkDone]") -> None:
            if not future.cancelled():
                self._pacer.post(self._over, work.topic, due_ps, done, future.result())

        self._submit(work).add_done_callback(over)

    def _over(self, topic: str, due_ps: int, done: Callable[[WorkDone], None], result: WorkDone) -> None:
        late_ps = self._queue.now - due_ps
        if late_ps <= 0:
            self._queue.push(due_ps, _hand_over, _Awaited(topic, done, result))
            return
        self._pacer.count(topic, late_ps)
        done(msgspec.structs.replace(result, late_ps=late_ps))


def _hand_over(awaited: _Awaited) -> None:
    awaited.done(awaited.result)

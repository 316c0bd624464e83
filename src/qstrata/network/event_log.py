"""The event log of a network in real time: it goes on over restarts, and is ahead of every answer."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qstrata.core.effects import Put, Record
from qstrata.core.errors import EnvironmentFaultError
from qstrata.fabric.log import NodeEvent
from qstrata.fabric.recorder import Recorder
from qstrata.interfaces.etsi014.handler import Etsi014Handler, Respond
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest
from qstrata.interfaces.etsi014.requests import Wanted

_TAIL_BYTES = 1 << 20


def open_log(path: Path | None) -> Recorder:
    """Return a recorder that appends to a file, or to nothing; a line cut off by a kill is taken away.

    Raises EnvironmentFaultError when the disk refuses.
    """
    try:
        if path is not None and path.exists():
            with path.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                start = max(0, size - _TAIL_BYTES)
                file.seek(start)
                file.truncate(start + file.read().rfind(b"\n") + 1)
        return Recorder(path, keep_hash=False)
    except OSError as fault:
        raise EnvironmentFaultError(f"the event log {path} cannot be written: {fault.strerror}") from fault


def log_start(recorder: Recorder, records: Mapping[str, Sequence[Record]], now: int) -> None:
    """Write down that every node starts, and with which durable rows: a kill may have hidden some commits."""
    for node, rows in records.items():
        recorder.note(NodeEvent(node, "start"), now)
        recorder.durable(node, [Put(row) for row in rows], now)
    recorder.flush()


class LoggedHandler(Etsi014Handler):
    """Serve as another handler does, and call `flush` before each answer."""

    def __init__(self, handler: Etsi014Handler, flush: Callable[[], None]) -> None:
        self._handler = handler
        self._flush = flush

    def describe(self, request: HttpRequest) -> HttpAnswer | None:
        """Return the interface's own description if that is asked for, as the other handler does."""
        return self._handler.describe(request)

    def read(self, request: HttpRequest) -> Wanted:
        """Return what a request asks for, as the other handler does."""
        return self._handler.read(request)

    def serve(self, wanted: Wanted, identity: str, respond: Respond, now: int) -> None:
        """Serve as the other handler does; the event log is written out before the answer."""

        def answered(answer: HttpAnswer, at_ps: int) -> None:
            self._flush()
            respond(answer, at_ps)

        self._handler.serve(wanted, identity, answered, now)

"""A handler whose answers leave once the event log tells of them."""

from collections.abc import Callable

from qstrata.interfaces.etsi014.handler import Etsi014Handler, Respond
from qstrata.interfaces.etsi014.http import HttpAnswer, HttpRequest
from qstrata.interfaces.etsi014.requests import Wanted


class LoggedHandler(Etsi014Handler):
    """Serve as another handler does, and call `flush` before each answer."""

    def __init__(self, handler: Etsi014Handler, flush: Callable[[], None]) -> None:
        self._handler = handler
        self._flush = flush

    def read(self, request: HttpRequest) -> Wanted:
        """Return what a request asks for, as the other handler does."""
        return self._handler.read(request)

    def serve(self, wanted: Wanted, identity: str, respond: Respond, now: int) -> None:
        """Serve as the other handler does; the event log is written out before the answer."""

        def answered(answer: HttpAnswer, at_ps: int) -> None:
            self._flush()
            respond(answer, at_ps)

        self._handler.serve(wanted, identity, answered, now)

"""An HTTP request and its answer as values, with no socket, and the refusals of clause 5."""

import msgspec

from qstrata.core.errors import InputError
from qstrata.interfaces.etsi014.types import Error, Unsupported

LOST_ANSWER = 0
"""The status of an answer that is not given: the connection ends instead."""

_encode = msgspec.json.Encoder().encode


class HttpRequest(msgspec.Struct, frozen=True):
    """One request as it came; `target` is the path, still percent-encoded, with its query."""

    method: str
    target: str
    content_type: str = ""
    body: bytes = b""


class HttpAnswer:
    """One answer: status, JSON body, the methods that a 405 allows, and when to ask again, in seconds.

    `retry_after_s` 0 says nothing. Shows nothing of its body.
    """

    __slots__ = ("allow", "body", "retry_after_s", "status")

    def __init__(self, status: int, body: bytes | bytearray, allow: str = "", retry_after_s: int = 0) -> None:
        self.status = status
        self.body = body
        self.allow = allow
        self.retry_after_s = retry_after_s

    def wipe(self) -> None:
        """Overwrite a body that holds keys; harmless on any other, and twice."""
        if isinstance(self.body, bytearray):
            self.body[:] = bytes(len(self.body))

    def __repr__(self) -> str:
        """Show status and length."""
        return f"HttpAnswer({self.status}, {len(self.body)} bytes)"


class RejectedError(InputError):
    """The request is answered without asking the KME: an HTTP status and an error body."""

    def __init__(
        self, status: int, message: str, details: tuple[Unsupported, ...] = (), allow: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.details = details
        self.allow = allow

    def answer(self) -> HttpAnswer:
        """Return the answer that says so."""
        return error_answer(self.status, str(self), self.details, self.allow)


def error_answer(
    status: int,
    message: str,
    details: tuple[Unsupported, ...] = (),
    allow: str = "",
    retry_after_s: int = 0,
) -> HttpAnswer:
    """Return an answer with the standard's Error body, also for 401, which the standard leaves without one.

    Clients are known that read every answer but 200 as JSON.
    """
    return HttpAnswer(status, _encode(Error(message, details)), allow, retry_after_s)

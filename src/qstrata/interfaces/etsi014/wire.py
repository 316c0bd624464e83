"""The bytes of an answer, as HTTP/1.1 (RFC 9112) wants them."""

from http import HTTPStatus

from qstrata.interfaces.etsi014.http import HttpAnswer


def answer_bytes(answer: HttpAnswer, date: str, connection: str = "", *, bodiless: bool = False) -> bytearray:
    """Return an answer as it goes over the wire, to be overwritten by whoever has written it.

    `connection` is the value of that header, none where empty; `bodiless` leaves the body out (HEAD).
    Wipes the answer.
    """
    head = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        f"Date: {date}",
    ]
    if connection:
        head.append(f"Connection: {connection}")
    if answer.allow:
        head.append(f"Allow: {answer.allow}")
    if answer.retry_after_s:
        head.append(f"Retry-After: {answer.retry_after_s}")
    text = bytearray("\r\n".join([*head, "", ""]).encode("ascii"))
    if not bodiless:
        text += answer.body
    answer.wipe()
    return text

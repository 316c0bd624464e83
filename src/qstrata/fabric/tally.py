"""What a fabric counts: messages by arrow and type, and what it refused."""

from typing import NamedTuple

import msgspec


class Traffic(NamedTuple):
    """How many messages of a type an arrow carried from one end to the other."""

    arrow: str
    sender_end: str
    receiver_end: str
    type: str
    messages: int


class Refusal(msgspec.Struct, frozen=True):
    """What was refused, why, and how often; `type` is what it was meant for, or empty."""

    sender: str
    receiver: str
    type: str
    reason: str
    count: int

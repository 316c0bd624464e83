"""What every message type says of itself: its arrow, who may send it to whom, what may be logged."""

from typing import ClassVar

import msgspec

from qstrata.core.address import End

SERVICE_SDN = (End.SERVICE_CTL, End.SERVICE_MGT)
FORWARDING_SDN = (End.FORWARDING_CTL, End.FORWARDING_MGT)
CONNECTIVITY_SDN = (End.CONNECTIVITY_CTL, End.CONNECTIVITY_MGT)


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message; a subclass names its arrow, the ends it goes between, and its log fields.

    `logged` names the fields (integers and ids) that the event log shows. `secret` types carry key
    bits: they are unicast, and only on arrows that may carry them.
    """

    arrow: ClassVar[str] = ""
    sent_by: ClassVar[tuple[End, ...]] = ()
    sent_to: ClassVar[tuple[End, ...]] = ()
    logged: ClassVar[tuple[str, ...]] = ()
    secret: ClassVar[bool] = False

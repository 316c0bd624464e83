"""T2, service.res - forwarding.res at one site: transfer requests, hand-over of relayed keys."""

from typing import ClassVar

import msgspec

from qstrata.core.address import End
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message


class _FromKme(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T2"
    sent_by: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)


class _ToKme(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T2"
    sent_by: ClassVar[tuple[End, ...]] = (End.FORWARDING_RES,)
    sent_to: ClassVar[tuple[End, ...]] = (End.SERVICE_RES,)


class TransferHeader(msgspec.Struct, frozen=True):
    """What travels in clear with a batch of keys: names, counts and dates, never bits.

    `transfer` names the transfer in the whole network, `sequence` counts the batches of the
    session's `owner` site, `void` lists earlier sequences of that owner that are destroyed.
    A header without key ids only carries the void list. `shared` keys have copies in other sessions.
    """

    transfer: str
    path: int
    session: str
    owner: str
    sequence: int
    key_ids: tuple[str, ...]
    size_bits: int
    valid_until_ps: int
    deadline_ps: int
    void: tuple[int, ...] = ()
    shared: bool = False


class TransferRequest(_FromKme, frozen=True, gc=False):
    """Ask the relay to carry a batch to the path's other end; `bits` are the keys one after another."""

    logged: ClassVar[tuple[str, ...]] = ("transfer",)
    secret: ClassVar[bool] = True
    header: TransferHeader
    bits: KeyMaterial

    @property
    def transfer(self) -> str:
        """Return the transfer's id."""
        return self.header.transfer


class TransferRefused(_ToKme, frozen=True, gc=False):
    """Refuse a transfer before anything was spent: it may be asked again, unchanged, later."""

    logged: ClassVar[tuple[str, ...]] = ("transfer", "reason")
    transfer: str
    reason: str


class TransferSettled(_ToKme, frozen=True, gc=False):
    """Tell the owner KME that its batch is durable at the far KME, or was refused on the way."""

    logged: ClassVar[tuple[str, ...]] = ("transfer", "placed")
    transfer: str
    placed: bool
    reason: str


class Placement(_ToKme, frozen=True, gc=False):
    """Hand a batch over to the far KME."""

    logged: ClassVar[tuple[str, ...]] = ("transfer",)
    secret: ClassVar[bool] = True
    header: TransferHeader
    bits: KeyMaterial

    @property
    def transfer(self) -> str:
        """Return the transfer's id."""
        return self.header.transfer


class Placed(_FromKme, frozen=True, gc=False):
    """Say that a batch is durable at this KME, or why it was refused."""

    logged: ClassVar[tuple[str, ...]] = ("transfer", "placed")
    transfer: str
    placed: bool
    reason: str

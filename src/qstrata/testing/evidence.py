"""The event log as the checker sees it: every line an entry or a row, in the order of the log.

The rows repeat what `Record.logged` of the ledger's records says, so that the checker judges the log
and shares no code with what it judges.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from qstrata.core.errors import InputError
from qstrata.fabric.log import (
    Answered,
    BlockHeld,
    Durable,
    Injected,
    KeyHeld,
    NodeEvent,
    PadUsed,
    Sampled,
    Scanned,
    Settled,
)
from qstrata.store.records import BatchState, KeyState

Log = Path | str | Iterable[bytes | str]
"""A path, or the lines themselves."""

QUARANTINES = ("QuarantineKeys", "KeysQuarantined", "QuarantineBlocks", "BlocksQuarantined")
MARKED, CHOICE = "CircuitMarked", "PairChoice"
JUDGED_MESSAGES = ("Relay", "KeysDelivered", MARKED, CHOICE, *QUARANTINES)
SENT = "sent"
REFUSED = "refused"


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False, tag_field="tag", tag="msg"):
    """A `Carried` entry, its log fields not looked into before they are needed."""

    arrow: str
    sender: str
    receiver: str
    type: str
    due_ps: int
    outcome: str
    ids: msgspec.Raw

    @property
    def site(self) -> str:
        """Return the sender's site, from `end/domain/site/name`."""
        return self.sender.split("/")[-2]

    def texts(self) -> tuple[str, ...]:
        """Return the log fields as texts."""
        return tuple(map(str, msgspec.json.decode(self.ids)))


class _Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    site: str


class BlockRow(_Row, frozen=True, array_like=True, gc=False):
    """A durable account of a block at a site, in bits."""

    link: str
    number: int
    length: int
    owner: str
    position: int
    relayed: int
    destroyed: int
    provisioned: int
    digest: str


class KeyRow(_Row, frozen=True, array_like=True, gc=False):
    """A durable key at a site."""

    key_id: str
    session: str
    sequence: int
    own: int
    size_bits: int
    valid_until_ps: int
    state: KeyState
    delivered_to: tuple[str, ...]


class BatchRow(_Row, frozen=True, array_like=True, gc=False):
    """A durable batch of keys at the site that drew them."""

    session: str
    sequence: int
    state: BatchState
    key_ids: tuple[str, ...]


class SessionRow(_Row, frozen=True, array_like=True, gc=False):
    """A durable session at a site."""

    session: str
    peer_site: str
    size_bits: int
    depth: int
    valid_until_ps: int
    closed: int


class LegRow(_Row, frozen=True, array_like=True, gc=False):
    """A durable leg of a transfer at a relay: the pad bits that came in and went out."""

    transfer: str
    path: int
    incoming: int
    outgoing: int


class Dropped(_Row, frozen=True, array_like=True, gc=False):
    """A row that was dropped from a site's ledger."""

    kind: str
    key: str


Entry = (
    Message
    | Injected
    | Durable
    | PadUsed
    | BlockHeld
    | KeyHeld
    | Answered
    | Settled
    | Scanned
    | NodeEvent
    | Sampled
)
Event = Entry | _Row

_ROWS: dict[str, type[_Row]] = {
    "block": BlockRow,
    "key": KeyRow,
    "batch": BatchRow,
    "session": SessionRow,
    "transfer": LegRow,
}
_FIXED: dict[type[_Row], int] = {shape: len(shape.__struct_fields__) - 2 for shape in (KeyRow, BatchRow)}
"""How many fields come before the texts that end a row, for the rows that end so."""


def read(log: Log) -> Iterator[tuple[int, int, Event]]:
    """Yield (time_ps, sequence, event) of each line; rows of no interest stay `Durable` entries.

    A line that its writer's death cut off is left out: the last one, or one after which the sequence
    starts again. Raises InputError with the number of any other line that is not an entry.
    """
    if isinstance(log, (str, Path)):
        with Path(log).open("rb") as lines:
            yield from _entries(lines)
    else:
        yield from _entries(log)


def _entries(lines: Iterable[bytes | str]) -> Iterator[tuple[int, int, Event]]:
    decode = msgspec.json.Decoder(Entry).decode
    torn: InputError | None = None
    data = b""
    last = 0
    for number, line in enumerate(lines, 1):
        data = line.encode() if isinstance(line, str) else line
        try:
            head, count, rest = data.split(b",", 2)
            entry = decode(b"[" + rest)
            event = _row(entry) if type(entry) is Durable else entry
            time_ps, sequence = int(head[1:]), int(count)
        except ValueError as error:
            if torn is not None:
                raise torn from error
            torn = InputError(f"line {number} of the log is not an entry of the event log: {error}")
            continue
        if torn is not None:
            if sequence > last:
                raise torn
            torn = None
        last = sequence
        yield time_ps, sequence, event
    if torn is not None and data.endswith(b"\n"):
        raise torn


def _row(entry: Durable) -> Event:
    if entry.op == "drop":
        return Dropped(entry.node, entry.kind, entry.key)
    shape = _ROWS.get(entry.kind)
    if shape is None:
        return entry
    fields: tuple[Any, ...] = entry.fields
    fixed = _FIXED.get(shape)
    if fixed is not None:
        fields = (*fields[:fixed], fields[fixed:])
    return msgspec.convert((entry.node, *fields), shape)

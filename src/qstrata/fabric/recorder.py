"""The recorder: a passive instrument that writes the event log and hashes it as it goes.

A line is `[time_ps, sequence, tag, fields...]`, a JSON array of integers and ids; secrets cannot be
encoded, so that an attempt to log one fails.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from qstrata.core.effects import Drop, LogEntry, Put
from qstrata.core.errors import InternalError
from qstrata.fabric.log import Carried, Durable

_CHUNK = 512

_CARRIED_TAG = Carried.__struct_config__.tag
_DURABLE_TAG = Durable.__struct_config__.tag


class Recorder:
    """Write the event log to nothing, a list of lines (bytes, without the line end), or a file.

    Lines are encoded in chunks: call `flush` before reading the sink, and at every commit in real time.
    """

    def __init__(self, sink: list[bytes] | Path | str | None = None, keep_hash: bool = True) -> None:
        self._lines: list[tuple[object, ...]] = []
        self._sequence = 0
        self._encoder = msgspec.json.Encoder()
        self._hash = hashlib.sha256() if keep_hash else None
        self._list = sink if isinstance(sink, list) else None
        self._file: IO[bytes] | None = None
        if isinstance(sink, (str, Path)):
            self._file = Path(sink).open("ab")  # noqa: SIM115 - closed by close()
        self._idle = self._hash is None and self._file is None and self._list is None

    @property
    def entries(self) -> int:
        """Return how many lines have been written."""
        return self._sequence

    def prefix(self, arrow: str, sender: str, receiver: str, kind: str) -> msgspec.Raw:
        """Encode what all `carried` lines of one message type on one handle share, once."""
        encoded = self._encoder.encode((_CARRIED_TAG, arrow, sender, receiver, kind))
        return msgspec.Raw(encoded[1:-1])

    def carried(
        self, now: int, prefix: msgspec.Raw, due_ps: int, outcome: str, ids: tuple[object, ...]
    ) -> None:
        """Write a `Carried` entry, of which `prefix` holds the first part."""
        self._sequence = sequence = self._sequence + 1
        if self._idle:
            return
        lines = self._lines
        lines.append((now, sequence, prefix, due_ps, outcome, ids))
        if len(lines) >= _CHUNK:
            self._encode()

    def note(self, entry: LogEntry, now: int) -> None:
        """Write an entry."""
        self._sequence = sequence = self._sequence + 1
        if self._idle:
            return
        tag = entry.__struct_config__.tag
        self._lines.append((now, sequence, tag, *msgspec.structs.astuple(entry)))
        if len(self._lines) >= _CHUNK:
            self._encode()

    def durable(self, node: str, changes: Sequence[Put | Drop], now: int) -> None:
        """Write a `Durable` entry for every row that has become durable at a node."""
        if self._idle:
            self._sequence += len(changes)
            return
        lines, sequence = self._lines, self._sequence
        for change in changes:
            sequence += 1
            if isinstance(change, Put):
                record = change.record
                row: tuple[object, ...] = ("put", record.kind, record.key, record.logged)
            else:
                row = ("drop", change.kind, change.key, ())
            lines.append((now, sequence, _DURABLE_TAG, node, *row))
        self._sequence = sequence
        if len(lines) >= _CHUNK:
            self._encode()

    def sha256(self) -> str:
        """Return the hash of all lines so far; InternalError where none is kept."""
        if self._hash is None:
            raise InternalError("this recorder keeps no hash: make it with keep_hash=True")
        self._encode()
        return self._hash.hexdigest()

    def flush(self) -> None:
        """Bring every line to the sink."""
        self._encode()
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Flush and release the file."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _encode(self) -> None:
        if not self._lines:
            return
        data = self._encoder.encode_lines(self._lines)
        if self._hash is not None:
            self._hash.update(data)
        if self._file is not None:
            self._file.write(data)
        if self._list is not None:
            self._list.extend(data.splitlines())
        self._lines.clear()

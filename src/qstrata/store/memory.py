"""The ledger in memory: for virtual time, where the kernel models the instant of durability."""

from collections.abc import Callable, Sequence

from qstrata.core.effects import Drop, Put, Record
from qstrata.store import codec


class MemoryStore:
    """Hold the rows of every node as long as this object lives; a node's crash does not touch them.

    A row without secrets is kept by reference, for it is frozen. A row with secrets is kept encoded:
    key material is consumed and wiped by its user, durable bits are not.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, dict[tuple[str, str], Record | bytes]] = {}

    def load(self, node: str) -> Sequence[Record]:
        """Return the rows of a node, ordered by kind and key; their key material is the caller's own."""
        rows = self._nodes.get(node, {})
        return tuple(
            codec.decode(kind, row) if isinstance(row, bytes) else row
            for (kind, _), row in sorted(rows.items(), key=lambda item: item[0])
        )

    def commit(self, node: str, changes: Sequence[Put | Drop], done: Callable[[], None]) -> None:
        """Apply the changes, all or none, and call `done` at once."""
        rows: list[tuple[tuple[str, str], Record | bytes | None]] = []
        for change in changes:
            if isinstance(change, Put):
                record = change.record
                secret = record.kind in codec.SECRET_KINDS and getattr(record, "bits", None) is not None
                kept = codec.encode(record) if secret else codec.known(record)
                rows.append(((record.kind, record.key), kept))
            else:
                rows.append(((change.kind, change.key), None))
        held = self._nodes.setdefault(node, {})
        for name, row in rows:
            if row is None:
                held.pop(name, None)
            else:
                held[name] = row
        done()

    def close(self) -> None:
        """Do nothing: the rows live as long as the object."""

"""What every store of the ledger offers; a store passes `qstrata.testing.check_store`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from qstrata.core.effects import Drop, Put, Record


class Store(Protocol):
    """Hold the rows of the ledger, node by node, sealed and durable."""

    def load(self, node: str) -> Sequence[Record]:
        """Return the durable rows of a node, ordered by kind and key; SealedError under a wrong key."""
        ...

    def commit(self, node: str, changes: Sequence[Put | Drop], done: Callable[[], None]) -> None:
        """Queue changes of a node, all or none; call `done` once they are durable, in order.

        Raises StoreFaultError when a write has failed before: nothing may be acknowledged any more.
        """
        ...

    def close(self) -> None:
        """Make what is queued durable and release the store."""
        ...

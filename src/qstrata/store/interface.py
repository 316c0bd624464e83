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

        `done` may be called before this returns, or in another thread. Raises StoreFaultError when a
        write has failed before: nothing may be acknowledged any more; EnvironmentFaultError when too
        much is queued; InternalError for a kind of row that nobody listed. What raises queued nothing.
        """
        ...

    def close(self) -> None:
        """Make what is queued durable and release the store."""
        ...

"""Commits in virtual time: durable after a modelled latency, in the order of the node, or lost in a crash."""

from collections.abc import Callable
from typing import Literal

from qstrata.core.errors import InternalError
from qstrata.core.time import PS_PER_US
from qstrata.kernel.host import Changes
from qstrata.kernel.queue import EventQueue

COMMIT_LATENCY_PS = 300 * PS_PER_US

Verdict = Literal["keep", "lose", "keep-then-crash"]


class ModelledCommit:
    """Hold the unsynced changes of each node until their commit instant, then give them to the store.

    Pass `commit` to the host and call `forget(node)` when a node crashes: what it has not synced is gone.
    A fault campaign sets `on_commit(node, changes)`, asked at each commit instant: `lose` crashes the node
    before these changes are durable, `keep-then-crash` right after; `crash(node)` is what crashes it.
    """

    def __init__(
        self,
        queue: EventQueue,
        store_commit: Callable[[str, Changes, Callable[[], None]], None],
        latency_ps: int = COMMIT_LATENCY_PS,
    ) -> None:
        self._queue = queue
        self._store_commit = store_commit
        self._latency_ps = latency_ps
        self._crashes: dict[str, int] = {}
        self.on_commit: Callable[[str, Changes], Verdict] | None = None
        self.crash: Callable[[str], object] | None = None

    def commit(self, node: str, changes: Changes, done: Callable[[], None], now: int) -> None:
        """Make changes durable one latency from `now`, then call `done`."""
        due_ps = now + self._latency_ps
        self._queue.push(due_ps, self._sync, node, self._crashes.get(node, 0), changes, done)

    def forget(self, node: str) -> None:
        """Drop what a node has not synced; call it when the node crashes."""
        self._crashes[node] = self._crashes.get(node, 0) + 1

    def _sync(self, node: str, crashes: int, changes: Changes, done: Callable[[], None]) -> None:
        if self._crashes.get(node, 0) != crashes:
            return
        verdict: Verdict = "keep" if self.on_commit is None else self.on_commit(node, changes)
        if verdict != "lose":
            self._store_commit(node, changes, done)
        if verdict != "keep":
            self._kill(node)

    def _kill(self, node: str) -> None:
        if self.crash is None:
            raise InternalError("a commit verdict asks for a crash: set ModelledCommit.crash first")
        self.forget(node)
        self.crash(node)

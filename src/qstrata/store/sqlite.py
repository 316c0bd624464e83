"""The ledger in one SQLite file: sealed rows, one writer thread, group commit without a window."""

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, NamedTuple

from qstrata.core.effects import Drop, Put, Record
from qstrata.core.errors import EnvironmentFaultError, InternalError, StoreFaultError
from qstrata.store import codec
from qstrata.store.sealed_file import Rows, SealedFile
from qstrata.store.sealing import KeyProvider, Sealer

QUEUE_LIMIT = 10_000


class _Commit(NamedTuple):
    rows: Rows
    done: Callable[[], None]


class _Load(NamedTuple):
    node: str
    reply: Future[tuple[Record, ...]]


class SqliteStore:
    """Keep the rows of all nodes of one process in one file; at most one process has it open.

    A commit is encoded at once by its caller; one writer thread seals what gathered while the last
    transaction ran and makes it durable in the next one, synced.

    `done` callbacks run in the writer thread, in the order of the commits; whoever has a loop posts
    them there. After the first failed write or sync nothing is tried again: `on_fault` is called once
    with a StoreFaultError, in the writer thread, and every later call raises one.

    Raises EnvironmentFaultError where the file is in use, damaged or newer than this version, and
    SealedError where the provider's key does not open it. `vfs` names an SQLite VFS.

    `wake(function)` has `function()` called when the caller's turn is over, so that what is committed in one
    turn goes into one transaction; without it the writer is woken by each commit.
    """

    def __init__(
        self,
        path: Path,
        provider: KeyProvider,
        on_fault: Callable[[StoreFaultError], None],
        *,
        wake: Callable[[Callable[[], None]], object] | None = None,
        queue_limit: int = QUEUE_LIMIT,
        vfs: str | None = None,
    ) -> None:
        self._path = path
        self._on_fault = on_fault
        self._wake = wake
        self._queue_limit = queue_limit
        self._queue: deque[_Commit | _Load] = deque()
        self._ready = threading.Condition()
        self._fault = ""
        self._closed = False
        self._lock = _lock(path)
        try:
            self._file = SealedFile(path, Sealer(provider.key()), vfs)
        except BaseException:
            self._lock.close()
            raise
        self._writer = threading.Thread(target=self._write, name=f"store {path.name}", daemon=True)
        self._writer.start()

    def load(self, node: str) -> Sequence[Record]:
        """Return the rows of a node, ordered by kind and key, once all that is queued is durable."""
        reply: Future[tuple[Record, ...]] = Future()
        self._enqueue(_Load(node, reply))
        return reply.result()

    @property
    def waiting(self) -> int:
        """Return how many calls wait for the writer, which refuses them beyond its limit."""
        return len(self._queue)

    def commit(self, node: str, changes: Sequence[Put | Drop], done: Callable[[], None]) -> None:
        """Queue changes, all or none; `done` is called in the writer thread once they are durable.

        Raises StoreFaultError after a failed write, EnvironmentFaultError where the queue is full,
        InternalError for a record of an unknown kind; in each case nothing was queued.
        """
        rows: Rows = {}
        for change in changes:
            if isinstance(change, Put):
                record = change.record
                rows[node, record.kind, record.key] = codec.encode(record)
            else:
                rows[node, change.kind, change.key] = None
        self._enqueue(_Commit(rows, done))

    def close(self) -> None:
        """Make what is queued durable, call its callbacks, and release the file; harmless when closed.

        Not to be called from a callback.
        """
        with self._ready:
            self._closed = True
            self._ready.notify()
        self._writer.join()
        self._lock.close()

    def _enqueue(self, item: _Commit | _Load) -> None:
        with self._ready:
            if self._fault:
                raise StoreFaultError(self._fault)
            if self._closed:
                raise InternalError(f"the store {self._path} is closed")
            if len(self._queue) >= self._queue_limit:
                raise EnvironmentFaultError(
                    f"{self._queue_limit} calls wait for the store {self._path}, the most it queues: "
                    "lower the load, or put it on a faster disk"
                )
            self._queue.append(item)
            if self._wake is None or isinstance(item, _Load):
                self._ready.notify()
            elif len(self._queue) == 1:
                self._wake(self._notify)

    def _notify(self) -> None:
        with self._ready:
            self._ready.notify()

    def _take(self) -> deque[_Commit | _Load]:
        with self._ready:
            while not self._queue and not self._closed:
                self._ready.wait()
            taken, self._queue = self._queue, deque()
            return taken

    def _write(self) -> None:
        items: deque[_Commit | _Load] = deque()
        try:
            while items := self._take():
                self._settle(items)
            self._file.close()
        except Exception as error:
            self._stop(error, items)

    def _settle(self, items: deque[_Commit | _Load]) -> None:
        """Make each run of commits durable in one transaction, and answer the loads between them."""
        while items:
            commits: list[_Commit] = []
            while items and isinstance(item := items[0], _Commit):
                commits.append(item)
                items.popleft()
            rows: Rows = {}
            for commit in commits:
                rows.update(commit.rows)
            if rows:
                self._file.apply(rows)
            for commit in commits:
                commit.done()
            if items and isinstance(item := items[0], _Load):
                _answer(item, self._file)
                items.popleft()

    def _stop(self, error: Exception, items: deque[_Commit | _Load]) -> None:
        with self._ready:
            self._fault = (
                f"the store {self._path} could not write durably ({type(error).__name__}: {error}); "
                "nothing is acknowledged any more: see to the disk, then start again"
            )
            items.extend(self._queue)
            self._queue.clear()
        for item in items:
            if isinstance(item, _Load):
                item.reply.set_exception(StoreFaultError(self._fault))
        self._file.abandon()
        fault = StoreFaultError(self._fault)
        fault.__cause__ = error
        self._on_fault(fault)


def _answer(load: _Load, file: SealedFile) -> None:
    try:
        rows = tuple(codec.decode(kind, body) for (_, kind, _), body in file.rows(load.node))
    except Exception as error:
        load.reply.set_exception(error)
    else:
        load.reply.set_result(rows)


def _lock(path: Path) -> IO[str]:
    """Take the store for this process, and leave its number for whoever comes second."""
    name = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    except OSError as error:
        raise EnvironmentFaultError(
            f"the folder of the store {path} cannot be used ({error.strerror}): check its permissions"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise EnvironmentFaultError(
            f"the store {path} is in use by process {owner}: stop that one first, or use another folder"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock

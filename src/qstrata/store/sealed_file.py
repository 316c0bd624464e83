"""One SQLite file of sealed rows: opened with care, written in synced transactions, never trusted."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from qstrata.core.errors import EnvironmentFaultError, SealedError
from qstrata.store.sealing import TAG_BYTES, Sealer, sync_folder, tag

SCHEMA = 3
_PAGE_BYTES = 4096
_CHECKPOINT_PAGES = 1000
_COUNT_BYTES = 8
_TAG_BITS = 8 * TAG_BYTES
_TAG_MASK = (1 << _TAG_BITS) - 1
_AT_ONCE = (64, 8, 1)
_SUMMARY = ("", "summary", "")
_ABOUT = "CREATE TABLE about(name TEXT PRIMARY KEY, value) WITHOUT ROWID"
# In the order in which rows come: keys that come together go together, and share a page when they do. No
# index is on disk: from the opening, which reads every row anyway, the places of all are known.
_RECORD = "CREATE TABLE record(number INTEGER PRIMARY KEY, node TEXT, kind TEXT, key TEXT, body BLOB)"
_FROM_FORMER = (
    "ALTER TABLE record RENAME TO former",
    _RECORD,
    "INSERT INTO record(node, kind, key, body) SELECT node, kind, key, body FROM former",
    "DROP TABLE former",
    "UPDATE about SET value = 3 WHERE name = 'schema'",
)
# One statement for many rows: each call lets go of the interpreter and waits to have it back.
_WRITE = {many: f"REPLACE INTO record VALUES {','.join(['(?,?,?,?,?)'] * many)}" for many in _AT_ONCE}  # noqa: S608
_DELETE = {many: f"DELETE FROM record WHERE number IN ({','.join('?' * many)})" for many in _AT_ONCE}  # noqa: S608

Place = tuple[str, str, str]
Rows = dict[Place, bytes | None]


class SealedFile:
    """Hold rows by (node, kind, key), sealed, with a sealed summary of all of them.

    The summary is the count of the rows and the exclusive or of their authentication tags, written
    with every transaction and compared when the file is opened: a row that was lost, added or put
    back to an older state shows, as does a wrong key. It cannot tell that the whole file was put
    back, nor that the end of a journal left by a crash was cut off.

    Not for use by two threads at once.
    """

    def __init__(self, path: Path, sealer: Sealer, vfs: str | None) -> None:
        self._path = path
        self._sealer = sealer
        self._journal_pages = 0
        self._held: dict[tuple[str, str], dict[str, int]] = {}
        self._count = 0
        self._total = 0
        self._last = 0
        with _told(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._database = apsw.Connection(str(path), vfs=vfs)
            try:
                self._set_up()
                if self._is_new():
                    self._create()
                self._check()
                self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                sync_folder(path.parent)
            except BaseException:
                self.abandon()
                raise

    def rows(self, node: str) -> Iterator[tuple[Place, bytes]]:
        """Yield place and body of a node's rows, ordered by kind and key; SealedError names a bad row."""
        with _told(self._path):
            for kind in sorted(kind for other, kind in self._held if other == node):
                for key, held in sorted(self._held[node, kind].items()):
                    sealed = self._database.execute(
                        "SELECT body FROM record WHERE number = ?", (held >> _TAG_BITS,)
                    ).get
                    yield (node, kind, key), self._sealer.open(node, kind, key, sealed)

    def apply(self, rows: Rows) -> None:
        """Write or (None) delete rows in one transaction and sync it; raises apsw.Error where it fails.

        Nothing may be asked of the file after that.
        """
        count, total, last = self._count, self._total, self._last
        written: list[str | int | bytes] = []
        deleted: list[int] = []
        for (node, kind, key), body in rows.items():
            held = self._held.get((node, kind))
            if held is None:
                held = self._held[node, kind] = {}
            old = held.get(key)
            if old is not None:
                total ^= old & _TAG_MASK
                number = old >> _TAG_BITS
                count -= 1
            else:
                number = last = last + 1
            if body is not None:
                sealed = self._sealer.seal(node, kind, key, body)
                authentic = tag(sealed)
                held[key] = number << _TAG_BITS | authentic
                total ^= authentic
                count += 1
                written += (number, node, kind, key, sealed)
            elif old is not None:
                del held[key]
                deleted.append(number)
        self._database.execute("BEGIN IMMEDIATE")
        self._perform(_WRITE, written, 5)
        self._perform(_DELETE, deleted, 1)
        self._summarise(count, total)
        self._database.execute("COMMIT")
        self._count, self._total, self._last = count, total, last
        if self._journal_pages >= _CHECKPOINT_PAGES:
            # SQLite's own automatic checkpoint hides a failed sync; this one raises it.
            self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _perform(self, statements: dict[int, str], values: Sequence[str | int | bytes], columns: int) -> None:
        at = 0
        for many in _AT_ONCE:
            length = many * columns
            while len(values) - at >= length:
                self._database.execute(statements[many], values[at : at + length])
                at += length

    def close(self) -> None:
        """Move the journal into the file and release it."""
        self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._database.close()

    def abandon(self) -> None:
        """Release the file and write nothing more to it."""
        with suppress(apsw.Error):
            self._database.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._database.close(True)

    def _set_up(self) -> None:
        pragma = self._database.pragma
        pragma("locking_mode", "exclusive")
        if pragma("journal_mode", "wal") != "wal":
            raise EnvironmentFaultError(
                f"the file system of {self._path} cannot hold a write-ahead log: use a local disk"
            )
        pragma("synchronous", "full")
        pragma("fullfsync", True)
        pragma("checkpoint_fullfsync", True)
        pragma("secure_delete", True)
        pragma("cell_size_check", True)
        self._database.set_wal_hook(self._journal_grew)

    def _journal_grew(self, _database: apsw.Connection, _name: str, pages: int) -> int:
        self._journal_pages = pages
        return apsw.SQLITE_OK

    def _is_new(self) -> bool:
        if self._database.execute("SELECT count(*) FROM sqlite_schema").get:
            return False
        if self._path.stat().st_size > _PAGE_BYTES:
            raise EnvironmentFaultError(_damaged(self._path, "its tables are missing"))
        return True

    def _create(self) -> None:
        with self._database:
            self._database.execute(";".join((_ABOUT, _RECORD)))
            self._database.execute("INSERT INTO about VALUES('schema', ?)", (SCHEMA,))
            self._summarise(0, 0)

    def _check(self) -> None:
        schema = self._about("schema")
        if not isinstance(schema, int) or schema < 1:
            raise EnvironmentFaultError(_damaged(self._path, "it does not say its version"))
        if schema > SCHEMA:
            raise EnvironmentFaultError(
                f"the store {self._path} has format {schema}, this version of qstrata knows {SCHEMA}: "
                "use a newer qstrata"
            )
        self._count, self._total = self._summary()
        if schema < SCHEMA:
            with self._database:
                self._database.execute(";".join(_FROM_FORMER))
        if (finding := self._database.pragma("integrity_check")) != "ok":
            raise EnvironmentFaultError(_damaged(self._path, str(finding)))
        count = total = 0
        for number, (node, kind, key), sealed in self._read():
            self._sealer.open(node, kind, key, sealed)
            authentic = tag(sealed)
            self._held.setdefault((node, kind), {})[key] = number << _TAG_BITS | authentic
            count += 1
            total ^= authentic
            self._last = max(self._last, number)
        known = sum(map(len, self._held.values()))
        if (count, total) != (self._count, self._total) or known != count:
            raise SealedError(
                f"the rows of the store {self._path} are not those last written ({count} found, "
                f"{self._count} expected): bring the file back from a backup"
            )

    def _read(self) -> Iterator[tuple[int, Place, bytes]]:
        for number, *place, sealed in self._database.execute("SELECT * FROM record"):
            node, kind, key = place
            if not all(isinstance(text, str) for text in place) or not isinstance(sealed, bytes):
                raise SealedError(_damaged(self._path, f"row {kind}/{key} of node {node} has another form"))
            yield number, (node, kind, key), sealed

    def _about(self, name: str) -> object:
        return self._database.execute("SELECT value FROM about WHERE name = ?", (name,)).get

    def _summarise(self, count: int, total: int) -> None:
        body = count.to_bytes(_COUNT_BYTES, "big") + total.to_bytes(TAG_BYTES, "big")
        sealed = self._sealer.seal(*_SUMMARY, body)
        self._database.execute("REPLACE INTO about VALUES('summary', ?)", (sealed,))

    def _summary(self) -> tuple[int, int]:
        sealed = self._about("summary")
        try:
            body = self._sealer.open(*_SUMMARY, sealed if isinstance(sealed, bytes) else b"")
        except SealedError:
            raise SealedError(
                f"the store {self._path} is sealed: the key that was given does not open it; "
                "bring the key it was made with"
            ) from None
        return int.from_bytes(body[:_COUNT_BYTES], "big"), int.from_bytes(body[_COUNT_BYTES:], "big")


def _damaged(path: Path, detail: str) -> str:
    return f"the store {path} is damaged ({detail}): bring the file back from a backup"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say on reading into errors that name the file and the cure."""
    try:
        yield
    except (
        apsw.NotADBError,
        apsw.CorruptError,
        apsw.SQLError,
        apsw.FormatError,
        UnicodeDecodeError,
    ) as error:
        raise EnvironmentFaultError(_damaged(path, type(error).__name__)) from error
    except apsw.BusyError as error:
        raise EnvironmentFaultError(f"the store {path} is open in another program: close it there") from error
    except (apsw.Error, OSError) as error:
        raise EnvironmentFaultError(
            f"the store {path} cannot be opened or read ({error}): check the disk and the permissions"
        ) from error

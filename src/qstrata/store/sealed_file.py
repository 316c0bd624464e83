"""One SQLite file of sealed rows: opened with care, written in synced transactions, never trusted."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from qstrata.core.errors import EnvironmentFaultError, SealedError
from qstrata.store.sealing import TAG_BYTES, Sealer, sync_folder, tag

SCHEMA = 2
_PAGE_BYTES = 4096
_CHECKPOINT_PAGES = 1000
_COUNT_BYTES = 8
_SUMMARY = ("", "summary", "")
_ABOUT = "CREATE TABLE about(name TEXT PRIMARY KEY, value) WITHOUT ROWID"
# In the order in which rows come: keys that come together go together, and share a page when they do.
_RECORD = """
CREATE TABLE record(
    number INTEGER PRIMARY KEY, node TEXT, kind TEXT, key TEXT, body BLOB, UNIQUE(node, kind, key)
)"""
_FROM_1_TO_2 = (
    "ALTER TABLE record RENAME TO former",
    _RECORD,
    "INSERT INTO record(node, kind, key, body) SELECT node, kind, key, body FROM former",
    "DROP TABLE former",
    "UPDATE about SET value = 2 WHERE name = 'schema'",
)

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
        self._count = 0
        self._total = 0
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
            sql = "SELECT node, kind, key, body FROM record WHERE node = ? ORDER BY kind, key"
            for place, sealed in self._read(sql, (node,)):
                yield place, self._sealer.open(*place, sealed)

    def apply(self, rows: Rows) -> None:
        """Write or (None) delete rows in one transaction and sync it; raises apsw.Error where it fails."""
        execute = self._database.execute
        count, total = self._count, self._total
        execute("BEGIN IMMEDIATE")
        for place, body in rows.items():
            old = execute(
                "SELECT substr(body, -16) FROM record WHERE node = ? AND kind = ? AND key = ?",
                place,
            ).get
            if old is not None:
                count -= 1
                total ^= tag(old)
            if body is not None:
                sealed = self._sealer.seal(*place, body)
                count += 1
                total ^= tag(sealed)
                if old is None:
                    execute("INSERT INTO record(node, kind, key, body) VALUES(?, ?, ?, ?)", (*place, sealed))
                else:
                    execute(
                        "UPDATE record SET body = ? WHERE node = ? AND kind = ? AND key = ?",
                        (sealed, *place),
                    )
            elif old is not None:
                execute("DELETE FROM record WHERE node = ? AND kind = ? AND key = ?", place)
        self._summarise(count, total)
        execute("COMMIT")
        self._count, self._total = count, total
        if self._journal_pages >= _CHECKPOINT_PAGES:
            # SQLite's own automatic checkpoint hides a failed sync; this one raises it.
            self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

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
        if schema == 1:
            with self._database:
                self._database.execute(";".join(_FROM_1_TO_2))
        if (finding := self._database.pragma("integrity_check")) != "ok":
            raise EnvironmentFaultError(_damaged(self._path, str(finding)))
        count = total = 0
        for place, sealed in self._read("SELECT node, kind, key, body FROM record", ()):
            self._sealer.open(*place, sealed)
            count += 1
            total ^= tag(sealed)
        if (count, total) != (self._count, self._total):
            raise SealedError(
                f"the rows of the store {self._path} are not those last written ({count} found, "
                f"{self._count} expected): bring the file back from a backup"
            )

    def _read(self, sql: str, bindings: tuple[str, ...]) -> Iterator[tuple[Place, bytes]]:
        for node, kind, key, sealed in self._database.execute(sql, bindings):
            texts = all(isinstance(text, str) for text in (node, kind, key))
            if not texts or not isinstance(sealed, bytes):
                raise SealedError(_damaged(self._path, f"row {kind}/{key} of node {node} has another form"))
            yield (node, kind, key), sealed

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

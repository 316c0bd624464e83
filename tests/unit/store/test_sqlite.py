import os
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from qstrata.core.effects import Drop, Put
from qstrata.core.errors import EnvironmentFaultError, InternalError, SealedError, StoreFaultError
from qstrata.core.secrets import KeyMaterial
from qstrata.store.records import BlockBits, SessionMark
from qstrata.store.sealing import FileKeyProvider
from qstrata.store.sqlite import SqliteStore

Opened = Callable[[], SqliteStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


@pytest.fixture
def opened(path: Path, tmp_path: Path) -> Iterator[Opened]:
    stores: list[SqliteStore] = []

    def open_store() -> SqliteStore:
        stores.append(
            SqliteStore(path, FileKeyProvider(tmp_path / "key"), lambda error: pytest.fail(str(error)))
        )
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


def mark(session: str, number: int = 0) -> Put:
    return Put(SessionMark(session=session, next_sequence=number))


def fill(opened: Opened) -> None:
    store = opened()
    for node in ("a", "b"):
        store.commit(node, [mark(f"s{number}") for number in range(5)], lambda: None)
    store.close()


def tamper(path: Path, sql: str, *bindings: object) -> None:
    database = apsw.Connection(str(path))
    database.execute(sql, bindings)
    database.close()


def test_a_second_opening_names_the_process_that_has_the_store(opened: Opened):
    store = opened()
    with pytest.raises(EnvironmentFaultError, match=f"in use by process {os.getpid()}: stop that one first"):
        opened()
    store.close()
    opened()


def test_another_key_finds_the_store_sealed_never_empty(opened: Opened, path: Path, tmp_path: Path):
    fill(opened)
    before = path.read_bytes()
    with pytest.raises(SealedError, match="bring the key it was made with"):
        SqliteStore(path, FileKeyProvider(tmp_path / "other"), lambda error: None)
    assert path.read_bytes() == before
    assert len(opened().load("a")) == 5


def test_an_empty_store_too_is_sealed_for_another_key(opened: Opened, path: Path, tmp_path: Path):
    opened().close()
    with pytest.raises(SealedError):
        SqliteStore(path, FileKeyProvider(tmp_path / "other"), lambda error: None)


def test_swapped_rows_are_named(opened: Opened, path: Path):
    fill(opened)
    tamper(
        path,
        "UPDATE record SET body = (SELECT body FROM record r WHERE r.node = 'a' AND"
        " r.key = CASE record.key WHEN 's1' THEN 's2' ELSE 's1' END)"
        " WHERE node = 'a' AND key IN ('s1', 's2')",
    )
    with pytest.raises(SealedError, match="row mark/s1 of node a"):
        opened()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM record WHERE node = 'a' AND key = 's3'",
        "DELETE FROM record",
        "UPDATE record SET node = 'c' WHERE node = 'a' AND key = 's3'",
        "UPDATE record SET key = 's9' WHERE node = 'a' AND key = 's3'",
        "UPDATE record SET kind = 'key' WHERE node = 'a' AND key = 's3'",
        "UPDATE record SET body = NULL WHERE node = 'a' AND key = 's3'",
        "UPDATE record SET body = 'text' WHERE node = 'a' AND key = 's3'",
        "UPDATE record SET body = x'00' WHERE node = 'a' AND key = 's3'",
        "INSERT INTO record SELECT NULL, 'c', kind, key, body FROM record WHERE node = 'a' AND key = 's3'",
        "INSERT INTO record SELECT NULL, node, kind, key, body FROM record WHERE node = 'a' AND key = 's3'",
        "DELETE FROM about WHERE name = 'summary'",
        "UPDATE about SET value = 7 WHERE name = 'summary'",
    ],
)
def test_rows_changed_behind_the_store_are_detected(opened: Opened, path: Path, sql: str):
    fill(opened)
    tamper(path, sql)
    with pytest.raises(SealedError):
        opened()


def test_a_row_put_back_to_an_older_state_is_detected(opened: Opened, path: Path):
    fill(opened)
    database = apsw.Connection(str(path))
    (old,) = database.execute("SELECT body FROM record WHERE node = 'a' AND key = 's3'").fetchone()
    database.close()
    store = opened()
    store.commit("a", (mark("s3", 1),), lambda: None)
    store.close()
    tamper(path, "UPDATE record SET body = ? WHERE node = 'a' AND key = 's3'", old)
    with pytest.raises(SealedError, match="not those last written"):
        opened()


def test_a_newer_format_is_refused_with_the_cure(opened: Opened, path: Path):
    fill(opened)
    tamper(path, "UPDATE about SET value = 4 WHERE name = 'schema'")
    with pytest.raises(EnvironmentFaultError, match=r"has format 4, .* knows 3: use a newer qstrata"):
        opened()


FIRST = "node TEXT, kind TEXT, key TEXT, body BLOB, PRIMARY KEY(node, kind, key)) WITHOUT ROWID"
SECOND = "number INTEGER PRIMARY KEY, node TEXT, kind TEXT, key TEXT, body BLOB, UNIQUE(node, kind, key))"


@pytest.mark.parametrize(("schema", "columns"), [(1, FIRST), (2, SECOND)])
def test_a_store_of_a_former_format_is_taken_over(opened: Opened, path: Path, schema: int, columns: str):
    fill(opened)
    tamper(
        path,
        f"ALTER TABLE record RENAME TO present; CREATE TABLE record({columns};"
        "INSERT INTO record(node, kind, key, body) SELECT node, kind, key, body FROM present;"
        "DROP TABLE present;"
        f"UPDATE about SET value = {schema} WHERE name = 'schema'",
    )
    store = opened()
    store.commit("a", (mark("s3", 1), Drop(SessionMark.kind, "s1")), lambda: None)
    store.close()
    rows = opened().load("a")
    assert len(rows) == 4
    assert mark("s3", 1).record in rows


@pytest.mark.parametrize("sql", ["DELETE FROM about", "UPDATE about SET value = 0 WHERE name = 'schema'"])
def test_a_store_that_does_not_say_its_format_is_damaged(opened: Opened, path: Path, sql: str):
    fill(opened)
    tamper(path, sql)
    with pytest.raises(EnvironmentFaultError, match="damaged"):
        opened()


def test_lost_tables_are_damage_not_a_new_store(opened: Opened, path: Path):
    fill(opened)
    tamper(path, "DROP TABLE record")
    tamper(path, "DROP TABLE about")
    with pytest.raises(EnvironmentFaultError, match="its tables are missing"):
        opened()


def test_a_file_that_is_no_store_is_refused_and_kept(opened: Opened, path: Path):
    path.parent.mkdir()
    path.write_bytes(b"my thesis\n" * 1000)
    with pytest.raises(EnvironmentFaultError, match="damaged"):
        opened()
    assert path.read_bytes() == b"my thesis\n" * 1000


def test_a_folder_that_cannot_be_used_is_an_environment_fault(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFaultError, match="check its permissions"):
        SqliteStore(tmp_path / "file" / "db", FileKeyProvider(tmp_path / "key"), lambda error: None)


def test_bits_stand_nowhere_on_disk_in_the_clear(opened: Opened, path: Path):
    bits = bytes(range(100, 148))
    store = opened()
    store.commit("a", (Put(BlockBits(link="a-b", number=1, bits=KeyMaterial(bits))),), lambda: None)
    store.load("a")
    during = b"".join(file.read_bytes() for file in path.parent.iterdir())
    store.close()
    after = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for held in (during, after):
        assert b"a-b/1" in held
        assert bits not in held
        assert b64encode(bits) not in held


def test_a_dropped_row_leaves_not_even_its_sealed_bytes(opened: Opened, path: Path):
    fill(opened)
    database = apsw.Connection(str(path))
    (sealed,) = database.execute("SELECT body FROM record WHERE node = 'a' AND key = 's3'").fetchone()
    database.close()
    assert sealed in path.read_bytes()
    store = opened()
    store.commit("a", (Drop("mark", "s3"),), lambda: None)
    store.close()
    assert sealed not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_files_are_for_their_owner_alone(opened: Opened, path: Path):
    store = opened()
    store.commit("a", (mark("s"),), lambda: None)
    store.load("a")
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_the_queue_is_bounded_and_says_its_bound(path: Path, tmp_path: Path):
    entered, release = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        release.wait()

    store = SqliteStore(path, FileKeyProvider(tmp_path / "key"), lambda error: None, queue_limit=3)
    store.commit("a", (mark("first"),), hold)
    entered.wait()
    for number in range(3):
        store.commit("a", (mark(f"s{number}"),), lambda: None)
    with pytest.raises(EnvironmentFaultError, match="3 calls wait"):
        store.commit("a", (mark("over"),), lambda: None)
    with pytest.raises(EnvironmentFaultError, match="3 calls wait"):
        store.load("a")
    release.set()
    store.close()
    store = SqliteStore(path, FileKeyProvider(tmp_path / "key"), lambda error: None)
    assert [row.key for row in store.load("a")] == ["first", "s0", "s1", "s2"]
    store.close()


def test_nothing_is_taken_after_close(opened: Opened):
    store = opened()
    store.close()
    store.close()
    with pytest.raises(InternalError, match="is closed"):
        store.commit("a", (mark("s"),), lambda: None)
    with pytest.raises(InternalError, match="is closed"):
        store.load("a")


def test_a_callback_that_fails_stops_the_store(path: Path, tmp_path: Path):
    faults: list[StoreFaultError] = []
    stopped = threading.Event()

    def on_fault(error: StoreFaultError) -> None:
        faults.append(error)
        stopped.set()

    store = SqliteStore(path, FileKeyProvider(tmp_path / "key"), on_fault)
    store.commit("a", (mark("s"),), lambda: (_ for _ in ()).throw(RuntimeError("no loop")))
    stopped.wait()
    with pytest.raises(StoreFaultError, match="no loop"):
        store.commit("a", (mark("t"),), lambda: None)
    with pytest.raises(StoreFaultError):
        store.load("a")
    store.close()
    assert len(faults) == 1

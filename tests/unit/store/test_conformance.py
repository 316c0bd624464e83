from collections.abc import Callable
from pathlib import Path

import pytest

from qstrata.core.effects import Drop, Put
from qstrata.store.interface import Store
from qstrata.store.memory import MemoryStore
from qstrata.store.sealing import FileKeyProvider
from qstrata.store.sqlite import SqliteStore
from qstrata.testing import check_store


def test_memory_store_keeps_every_promise():
    stores: dict[str, MemoryStore] = {}
    check_store(lambda name: stores.setdefault(name, MemoryStore()))


def test_sqlite_store_keeps_every_promise(tmp_path: Path):
    provider = FileKeyProvider(tmp_path / "keys" / "sealing")

    def opened(name: str) -> Store:
        return SqliteStore(tmp_path / f"{name}.db", provider, lambda error: pytest.fail(str(error)))

    check_store(opened)


class _Broken(MemoryStore):
    """Base of stores that break one promise each."""


class _Forgetful(_Broken):
    def commit(self, node, changes, done):
        super().commit(node, changes[:1], done)


class _Shared(_Broken):
    def load(self, node):
        return super().load("all")

    def commit(self, node, changes, done):
        super().commit("all", changes, done)


class _Unsorted(_Broken):
    def load(self, node):
        return tuple(reversed(super().load(node)))


class _Immortal(_Broken):
    def commit(self, node, changes, done):
        super().commit(node, [change for change in changes if not isinstance(change, Drop)], done)


class _Lending(_Broken):
    """Keeps secrets by reference, so that its users' wipes reach them."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, dict] = {}

    def load(self, node):
        rows = self._rows.get(node, {})
        return tuple(rows[name] for name in sorted(rows))

    def commit(self, node, changes, done):
        MemoryStore().commit(node, changes, lambda: None)
        for change in changes:
            if isinstance(change, Put):
                self._rows.setdefault(node, {})[change.record.kind, change.record.key] = change.record
            else:
                self._rows.get(node, {}).pop((change.kind, change.key), None)
        done()


class _Eager(_Broken):
    def commit(self, node, changes, done):
        done()
        super().commit(node, changes, lambda: None)


class _Twice(_Broken):
    def commit(self, node, changes, done):
        super().commit(node, changes, done)
        done()


class _Partial(_Broken):
    def commit(self, node, changes, done):
        for change in changes:
            super().commit(node, (change,), lambda: None)
        done()


@pytest.mark.parametrize(
    "broken", [_Forgetful, _Shared, _Unsorted, _Immortal, _Lending, _Eager, _Twice, _Partial]
)
def test_suite_catches_a_store_that_breaks_a_promise(broken: Callable[[], Store]):
    stores: dict[str, Store] = {}
    with pytest.raises(AssertionError):
        check_store(lambda name: stores.setdefault(name, broken()))

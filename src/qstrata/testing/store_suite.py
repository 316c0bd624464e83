"""The conformance suite of stores: what the ledger relies on, checked on any store."""

import threading
from collections.abc import Callable, Sequence
from functools import partial

from qstrata.core.effects import Drop, Put, Record
from qstrata.core.errors import InternalError
from qstrata.core.secrets import KeyMaterial
from qstrata.store.interface import Store
from qstrata.store.records import BlockBits, BlockState, KeyRecord, KeyState, SessionMark

StoreFactory = Callable[[str], Store]

_PATIENCE_S = 60.0


class _Unknown(Record, frozen=True, kw_only=True):
    @property
    def key(self) -> str:
        return "unknown"


def check_store(factory: StoreFactory) -> None:
    """Check a store against everything that the ledger relies on.

    `factory(name)` opens the store of that name, empty when the name is new; opened again after
    `close`, it holds what was durable. Raises AssertionError that says which promise was broken.
    """
    for number, check in enumerate(_CHECKS):
        check(partial(factory, f"suite-{number}"))


def _put(store: Store, node: str, *changes: Put | Drop) -> None:
    durable = threading.Event()
    store.commit(node, changes, durable.set)
    _require(durable.wait(_PATIENCE_S), f"`done` of a commit was not called within {_PATIENCE_S:.0f} s")


def _require(promise: bool, broken: str) -> None:
    if not promise:
        raise AssertionError(broken)


def _mark(session: str, number: int = 0) -> SessionMark:
    return SessionMark(session=session, next_sequence=number)


def _key(name: str, bits: bytes | None) -> KeyRecord:
    return KeyRecord(
        key_id=name,
        session="session",
        sequence=7,
        own=True,
        size_bits=256,
        valid_until_ps=1 << 70,
        state=KeyState.POOLED if bits else KeyState.DELIVERED,
        bits=None if bits is None else KeyMaterial(bits),
        delivered_to=() if bits else ("sae-a", "sae-b"),
    )


def _new_store_is_empty(opened: Callable[[], Store]) -> None:
    store = opened()
    _require(len(store.load("node")) == 0, "a new store already holds rows")
    store.close()


def _rows_come_back_in_order(opened: Callable[[], Store]) -> None:
    store = opened()
    block = BlockState(
        link="a-b", number=3, length=1000, owner="a", digest="d", bearer="fibre/a-b", made_ps=5, qber_ppm=9
    )
    rows: list[Record] = [
        _mark("b"),
        _mark("B"),
        _mark("a/10"),
        _mark("a/9"),
        _mark("é"),
        block,
        _key("k", None),
    ]
    _put(store, "node", *(Put(row) for row in rows))
    loaded = store.load("node")
    expected = sorted(rows, key=lambda row: (row.kind, row.key))
    _require(list(loaded) == expected, "load does not give the rows as put, ordered by kind and key")
    store.close()


def _put_replaces_and_drop_deletes(opened: Callable[[], Store]) -> None:
    store = opened()
    _put(store, "node", Put(_mark("a", 1)), Put(_mark("b", 1)))
    _put(store, "node", Put(_mark("a", 2)), Drop(SessionMark.kind, "b"), Drop(SessionMark.kind, "absent"))
    _require(list(store.load("node")) == [_mark("a", 2)], "a put must replace, a drop delete or be harmless")
    _put(
        store,
        "node",
        Put(_mark("c", 1)),
        Drop(SessionMark.kind, "c"),
        Drop(SessionMark.kind, "a"),
        Put(_mark("a", 3)),
    )
    _require(
        list(store.load("node")) == [_mark("a", 3)], "the changes of one commit must apply in their order"
    )
    store.close()


def _commit_is_all_or_nothing(opened: Callable[[], Store]) -> None:
    store = opened()
    called: list[str] = []
    refused = False
    try:
        store.commit("node", (Put(_mark("a")), Put(_Unknown())), lambda: called.append("done"))
    except InternalError:
        refused = True
    _require(refused, "a record of an unknown kind must be refused with InternalError")
    _require(len(store.load("node")) == 0, "a refused commit left some of its changes behind")
    _require(not called, "`done` of a refused commit was called")
    store.close()


def _secrets_survive_their_users(opened: Callable[[], Store]) -> None:
    store = opened()
    bits = bytes(range(1, 33))
    key = _key("k", bits)
    block = BlockBits(link="a-b", number=1, bits=KeyMaterial(bits * 100))
    _put(store, "node", Put(key), Put(block))
    for material in (key.bits, block.bits):
        if material is not None:
            material.wipe()
    for _ in range(2):
        _require(
            _taken(store.load("node")) == [bits * 100, bits], "secrets must survive a wipe by their user"
        )
    store.close()
    store = opened()
    _require(_taken(store.load("node")) == [bits * 100, bits], "secrets must survive closing and opening")
    store.close()


def _taken(rows: Sequence[Record]) -> list[bytes]:
    """Take the bits of the rows; none where somebody took them before."""
    secrets = [row.bits for row in rows if isinstance(row, BlockBits | KeyRecord) and row.bits is not None]
    try:
        return [bits.take() for bits in secrets]
    except InternalError:
        return []


def _nodes_are_apart(opened: Callable[[], Store]) -> None:
    store = opened()
    _put(store, "a", Put(_mark("s", 1)))
    _put(store, "b", Put(_mark("s", 2)))
    _put(store, "a", Drop(SessionMark.kind, "s"))
    _require(len(store.load("a")) == 0, "a dropped row is still there")
    _require(list(store.load("b")) == [_mark("s", 2)], "a commit of one node changed another's row")
    store.close()


def _done_comes_in_order_and_close_flushes(opened: Callable[[], Store]) -> None:
    store = opened()
    order: list[int] = []
    for number in range(200):
        store.commit(f"node-{number % 3}", (Put(_mark(f"{number:03}")),), partial(order.append, number))
    store.close()
    _require(order == list(range(200)), "`done` must be called once a commit, in order, before close returns")
    store = opened()
    held = sorted(row.key for number in range(3) for row in store.load(f"node-{number}"))
    _require(held == [f"{number:03}" for number in range(200)], "close must make durable what is queued")
    store.close()


def _load_sees_what_was_queued(opened: Callable[[], Store]) -> None:
    store = opened()
    for number in range(50):
        store.commit("node", (Put(_mark("s", number)),), lambda: None)
    _require(list(store.load("node")) == [_mark("s", 49)], "load must wait for the commits before it")
    store.close()


_CHECKS = (
    _new_store_is_empty,
    _rows_come_back_in_order,
    _put_replaces_and_drop_deletes,
    _commit_is_all_or_nothing,
    _secrets_survive_their_users,
    _nodes_are_apart,
    _done_comes_in_order_and_close_flushes,
    _load_sees_what_was_queued,
)

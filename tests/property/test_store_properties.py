"""Any sequence of commits, crashes and openings leaves in a store what a plain dictionary would hold."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from qstrata.core.effects import Drop, Put, Record
from qstrata.core.errors import StoreFaultError
from qstrata.core.secrets import KeyMaterial
from qstrata.store import codec
from qstrata.store.interface import Store
from qstrata.store.memory import MemoryStore
from qstrata.store.records import (
    BatchRecord,
    BatchState,
    BlockBits,
    BlockState,
    KeyRecord,
    KeyState,
    KeyTotals,
    KmeRegistry,
    PoolTotals,
    SaeEntry,
    Segment,
    SessionMark,
    TransferLeg,
)
from qstrata.store.sealing import FileKeyProvider
from qstrata.store.sqlite import SqliteStore

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
few = st.sampled_from(["", "a", "b", "a/1", "é", "\U0001f511"])
numbers = st.integers(0, 2**100)
material = st.binary(max_size=64).map(KeyMaterial)
segments = st.lists(st.builds(Segment, names, numbers, numbers, numbers), max_size=3).map(tuple)
texts = st.lists(names, max_size=3).map(tuple)
saes = st.lists(st.builds(SaeEntry, names, names, texts), max_size=2).map(tuple)

rows = st.one_of(
    st.builds(BlockBits, link=few, number=st.integers(0, 2), bits=material),
    st.builds(
        BlockState,
        link=few,
        number=st.integers(0, 2),
        length=numbers,
        owner=names,
        position=numbers,
        provisioned=st.booleans(),
        digest=names,
        bearer=names,
        made_ps=numbers,
    ),
    st.builds(
        TransferLeg,
        transfer=few,
        path=numbers,
        session=names,
        incoming=segments,
        outgoing=segments,
        at_ps=numbers,
    ),
    st.builds(KmeRegistry, serial=numbers, saes=saes),
    st.builds(SessionMark, session=few, next_sequence=numbers, placed_sequence=st.integers(-1, 5)),
    st.builds(
        BatchRecord,
        session=few,
        sequence=st.integers(0, 2),
        key_ids=texts,
        state=st.sampled_from(BatchState),
    ),
    st.builds(
        KeyRecord,
        key_id=few,
        session=names,
        sequence=numbers,
        own=st.booleans(),
        size_bits=numbers,
        valid_until_ps=numbers,
        state=st.sampled_from(KeyState),
        bits=st.none() | material,
        delivered_to=texts,
    ),
    st.builds(PoolTotals, link=few, generated=numbers, relayed=numbers),
    st.builds(KeyTotals, session=few, delivered=numbers, expired=numbers),
)

changes = st.lists(
    rows.map(Put) | st.builds(Drop, kind=st.sampled_from(sorted(codec.KINDS)), key=few), max_size=6
)
nodes = st.sampled_from(["quijote", "control", ""])


@given(rows)
def test_every_row_survives_its_form(row: Record):
    assert codec.decode(row.kind, codec.encode(row)) == row


def plain(record: Record) -> bytes:
    """Return a form that outlives the record's key material."""
    return codec.encode(record)


class StoresBehaveAsDictionaries(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, dict[tuple[str, str], bytes]] = {}
        self.memory = MemoryStore()
        self.acknowledged: list[int] = []
        self.committed = 0

    @initialize()
    def open(self) -> None:
        home = Path(self.folder.name)
        self.sqlite = SqliteStore(home / "ledger.db", FileKeyProvider(home / "key"), self.fail)

    def fail(self, error: StoreFaultError) -> None:
        raise AssertionError(error)

    @rule(node=nodes, changes=changes)
    def commit(self, node: str, changes: list[Put | Drop]) -> None:
        held = self.model.setdefault(node, {})
        for change in changes:
            if isinstance(change, Put):
                held[change.record.kind, change.record.key] = plain(change.record)
            else:
                held.pop((change.kind, change.key), None)
        number = self.committed
        self.committed += 1
        self.memory.commit(node, changes, lambda: None)
        self.sqlite.commit(node, changes, lambda: self.acknowledged.append(number))
        for change in changes:
            if isinstance(change, Put) and isinstance(
                bits := getattr(change.record, "bits", None), KeyMaterial
            ):
                bits.wipe()

    @rule(node=nodes)
    def load(self, node: str) -> None:
        expected = [body for _, body in sorted(self.model.get(node, {}).items())]
        stores: tuple[Store, ...] = (self.memory, self.sqlite)
        for store in stores:
            assert [plain(row) for row in store.load(node)] == expected
        assert self.acknowledged == list(range(self.committed))

    @precondition(lambda self: self.committed)
    @rule()
    def reopen(self) -> None:
        self.sqlite.close()
        assert self.acknowledged == list(range(self.committed))
        self.open()

    def teardown(self) -> None:
        if hasattr(self, "sqlite"):
            for node in self.model:
                self.load(node)
            self.sqlite.close()
        self.folder.cleanup()


TestStores = StoresBehaveAsDictionaries.TestCase
TestStores.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)

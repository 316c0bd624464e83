from qstrata.core.effects import Put
from qstrata.core.secrets import KeyMaterial
from qstrata.store.memory import MemoryStore
from qstrata.store.records import BlockBits, SessionMark


def test_rows_outlive_their_element_also_when_it_wiped_its_bits():
    store = MemoryStore()
    block = BlockBits(link="a-b", number=1, bits=KeyMaterial(b"pad bits"))
    store.commit("a", (Put(block),), lambda: None)
    block.bits.wipe()
    for _ in range(2):
        (row,) = store.load("a")
        assert isinstance(row, BlockBits)
        assert row.bits.take() == b"pad bits"


def test_rows_without_secrets_are_not_copied():
    store = MemoryStore()
    mark = SessionMark(session="s")
    store.commit("a", (Put(mark),), lambda: None)
    assert store.load("a")[0] is mark


def test_done_is_called_before_commit_returns():
    called: list[bool] = []
    MemoryStore().commit("a", (), lambda: called.append(True))
    assert called == [True]

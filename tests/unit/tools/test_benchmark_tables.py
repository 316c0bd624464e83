import sys

import pytest

from benchmarks import environments
from benchmarks.environments import Failure, Peer, ask, trouble
from benchmarks.twin import _peer
from benchmarks.twin_table import Line, with_table

PAGE = """# Speed

Before the table.

| row | who |
|---|---|
| old | one |

Before: busy. After: busy.

End.
"""
OURS = Line("pairs", "qstrata 0.1.0", 1_234_567.0, "pairs/s", None, ">= 1e6 pairs/s", True, "fidelity 0.851")
PEER = Line("pairs", "Peer", None, "pairs/s", None, "ours >= 10 times", None, "hangs")


def test_the_table_of_a_page_is_replaced_and_all_else_stays():
    made = with_table(PAGE, [OURS, PEER], "idle", "still idle").splitlines()
    assert made[:4] == PAGE.splitlines()[:4]
    assert made[6:8] == [
        "| pairs | qstrata 0.1.0 | 1,234,567 pairs/s |  | >= 1e6 pairs/s | yes | fidelity 0.851 |",
        "| pairs | Peer | none |  | ours >= 10 times |  | hangs |",
    ]
    assert made[8:] == ["", "Before: idle. After: still idle.", "", "End."]


def test_a_page_without_a_table_is_left_alone():
    with pytest.raises(ValueError, match="one table"):
        with_table("# Speed\n", [OURS], "idle", "idle")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "HOME", tmp_path / "peers")
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


def test_a_peer_that_cannot_be_installed_is_a_line_of_the_table_that_says_why(home):
    peer = Peer("Absent", "no-such-simulator==1.0", "MIT")
    line = _peer(
        "pairs", peer, 1e6, "pairs/s", lambda: ask(peer, environments.DRIVERS / "x.py", {"limit_s": 1})
    )
    assert line.per_s is None
    assert "cannot be installed" in line.note
    assert "no-such-simulator" in line.note
    assert not (peer.folder / ".ready").exists()


def test_an_environment_brought_along_is_not_installed_and_its_driver_may_be_missing(monkeypatch, tmp_path):
    peer = Peer("Given", "given==1.0", "MIT")
    monkeypatch.setenv("PEER_GIVEN_PYTHON", sys.executable)
    assert trouble(peer) == ""
    with pytest.raises(Failure, match="no answer"):
        ask(peer, tmp_path / "no_driver.py", {"limit_s": 1.0})
    monkeypatch.setenv("PEER_GIVEN_PYTHON", str(tmp_path / "no-python"))
    with pytest.raises(Failure, match="cannot be started"):
        ask(peer, tmp_path / "no_driver.py", {"limit_s": 1.0})


def test_an_answer_without_figures_is_reported_as_such():
    def nothing() -> object:
        return {}["pairs"]

    line = _peer("pairs", Peer("Odd", "odd==1", "MIT"), 1e6, "pairs/s", nothing, 10.0)
    assert (line.per_s, line.kept) == (None, None)
    assert "answers nonsense" in line.note

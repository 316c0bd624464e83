"""What is acknowledged survives: kills, power cuts, failing disks; what is damaged is never believed."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import apsw
import pytest

from qstrata.core.errors import EnvironmentFaultError, StoreFaultError
from qstrata.core.randomness import stream
from qstrata.store import sealed_file
from qstrata.store.records import BlockBits, SessionMark
from qstrata.store.sealing import FileKeyProvider
from qstrata.store.sqlite import SqliteStore
from tests.system import store_writer
from tests.system.power import Disk

ROOT = Path(__file__).resolve().parents[2]


def opened(
    folder: Path, key: Path, vfs: str | None = None, faults: list[StoreFaultError] | None = None
) -> SqliteStore:
    on_fault = pytest.fail if faults is None else faults.append
    return SqliteStore(folder / "ledger.db", FileKeyProvider(key), on_fault, vfs=vfs)


def held(folder: Path, key: Path) -> list[int]:
    """Return the numbers in the store, having checked that no commit is there in part."""
    store = opened(folder, key)
    loaded = store.load("node")
    store.close()
    blocks = {row.number: row.bits.take() for row in loaded if isinstance(row, BlockBits)}
    assert blocks == {number: store_writer.bits(number) for number in range(len(blocks))}
    counts = [row.next_sequence for row in loaded if isinstance(row, SessionMark)]
    assert counts == ([len(blocks)] if blocks else [])
    return sorted(blocks)


@pytest.fixture
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setattr(sealed_file, "_CHECKPOINT_PAGES", 20)
    disk = Disk(f"disk-{request.node.name}", lies=getattr(request, "param", False))
    yield disk
    disk.unregister()


def test_what_was_acknowledged_is_there_after_kill_9(tmp_path: Path):
    draw = stream(1, "kills")
    acknowledged = -1
    for _ in range(10):
        first = len(held(tmp_path, tmp_path / "key"))
        command = [sys.executable, "-m", "tests.system.store_writer", str(tmp_path), str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            for _ in range(int(draw.integers(1, 400))):
                acknowledged = int(process.stdout.readline())
            process.kill()
            for line in process.stdout.read().split(b"\n")[:-1]:
                acknowledged = int(line)
    assert len(held(tmp_path, tmp_path / "key")) > acknowledged > 100


def commit_under_power_cuts(disk: Disk, tmp_path: Path, commits: int, cuts: int) -> list[tuple[Path, int]]:
    """Return the folders found after cuts at random operations, each with the count acknowledged by then."""
    draw = stream(2, "power", cuts)
    found: list[tuple[Path, int]] = []
    acknowledged: list[int] = []
    store = opened(tmp_path / "live", tmp_path / "key", disk.name)
    window = threading.Semaphore(4)

    def maybe_cut(_: str) -> None:
        if len(found) < cuts and draw.random() < 0.05:
            folder = tmp_path / f"cut-{len(found)}"
            disk.cut_power(folder, draw)
            found.append((folder, len(acknowledged)))

    def acknowledge(number: int) -> None:
        acknowledged.append(number)
        window.release()

    disk.before = maybe_cut
    for number in range(commits):
        window.acquire()
        store.commit("node", store_writer.rows(number), partial(acknowledge, number))
    store.close()
    assert len(found) == cuts
    return found


def test_what_was_acknowledged_is_there_after_a_power_cut(disk: Disk, tmp_path: Path):
    for folder, acknowledged in commit_under_power_cuts(disk, tmp_path, commits=400, cuts=40):
        assert len(held(folder, tmp_path / "key")) >= acknowledged


def test_a_power_cut_while_the_store_is_made_leaves_one_that_can_be_made(disk: Disk, tmp_path: Path):
    draw = stream(4, "making")
    found: list[Path] = []

    def cut(_: str) -> None:
        found.append(tmp_path / f"cut-{len(found)}")
        disk.cut_power(found[-1], draw)

    disk.before = cut
    opened(tmp_path / "live", tmp_path / "key", disk.name).close()
    assert len(found) > 5
    for folder in found:
        assert held(folder, tmp_path / "key") == []


@pytest.mark.campaign
def test_what_was_acknowledged_is_there_after_a_thousand_power_cuts(disk: Disk, tmp_path: Path):
    for folder, acknowledged in commit_under_power_cuts(disk, tmp_path, commits=10_000, cuts=1_000):
        assert len(held(folder, tmp_path / "key")) >= acknowledged
        shutil.rmtree(folder)


@pytest.mark.parametrize("disk", [True], indirect=True)
def test_a_disk_that_lies_about_syncing_is_found_out(disk: Disk, tmp_path: Path):
    lost = 0
    for folder, acknowledged in commit_under_power_cuts(disk, tmp_path, commits=100, cuts=10):
        try:
            lost += len(held(folder, tmp_path / "key")) < acknowledged
        except EnvironmentFaultError:
            lost += 1
    assert lost


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("nth", [1, 2, 7, 20, 45])
def test_after_a_failed_write_or_sync_nothing_is_acknowledged_or_tried_again(
    disk: Disk, tmp_path: Path, operation: str, nth: int
):
    faults: list[StoreFaultError] = []
    acknowledged: list[int] = []
    store = opened(tmp_path / "live", tmp_path / "key", disk.name, faults)
    failed_at = 0
    left = nth

    def fail(what: str) -> None:
        nonlocal left, failed_at
        left -= what == operation
        if left == 0 and not failed_at:
            failed_at = len(disk.operations)
            raise apsw.IOError("the disk refuses")

    disk.before = fail
    refused = None
    for number in range(1000):
        try:
            store.commit("node", store_writer.rows(number), partial(acknowledged.append, number))
            store.load("other")
        except StoreFaultError as error:
            refused = error
            break
    assert refused is not None
    with pytest.raises(StoreFaultError, match="nothing is acknowledged any more"):
        store.commit("node", store_writer.rows(9999), lambda: acknowledged.append(9999))
    store.close()
    assert len(faults) == 1
    assert len(disk.operations) == failed_at
    assert acknowledged == list(range(len(acknowledged)))
    shutil.copytree(tmp_path / "live", tmp_path / "copy")
    assert len(held(tmp_path / "copy", tmp_path / "key")) >= len(acknowledged)


def test_commits_that_gather_behind_one_another_share_a_sync(disk: Disk, tmp_path: Path):
    entered, release = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        release.wait()

    store = opened(tmp_path, tmp_path / "key", disk.name)
    store.commit("node", store_writer.rows(0), hold)
    entered.wait()
    before = len(disk.operations)
    for number in range(1, 9):
        store.commit("node", store_writer.rows(number), lambda: None)
    release.set()
    store.load("node")
    assert disk.operations[before:].count("sync") == 1
    store.close()


def sealed_places(path: Path, whole: bytes) -> set[int]:
    """Return the places in the file that hold sealed bodies of rows."""
    database = apsw.Connection(str(path))
    bodies = [body for (body,) in database.execute("SELECT body FROM record")]
    database.close()
    starts = [whole.index(body) for body in bodies]
    return {
        place for start, body in zip(starts, bodies, strict=True) for place in range(start, start + len(body))
    }


def flip_bits(tmp_path: Path, step_bytes: int) -> tuple[int, int]:
    """Flip one bit in the file's head and in every `step_bytes`; return (detected, tried).

    A flip in a row is always detected; one elsewhere is detected, or every row is as it was.
    """
    key = tmp_path / "key"
    folder = tmp_path / "whole"
    store = opened(folder, key)
    for number in range(60):
        store.commit("node", store_writer.rows(number), lambda: None)
    store.close()
    expected = held(folder, key)
    whole = (folder / "ledger.db").read_bytes()
    rows = sealed_places(folder / "ledger.db", whole)
    draw = stream(3, "flips")
    target = tmp_path / "flipped"
    target.mkdir()
    detected = 0
    places = [*range(100), *range(100, len(whole), step_bytes)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(draw.integers(8))
        for leftover in target.iterdir():
            leftover.unlink()
        (target / "ledger.db").write_bytes(damaged)
        try:
            assert held(target, key) == expected
            assert place not in rows
        except EnvironmentFaultError:
            detected += 1
    return detected, len(places)


def test_a_flipped_bit_is_detected_or_harmless(tmp_path: Path):
    detected, _ = flip_bits(tmp_path, step_bytes=61)
    assert detected > 100


@pytest.mark.campaign
def test_a_flipped_bit_in_any_byte_is_detected_or_harmless(tmp_path: Path):
    detected, tried = flip_bits(tmp_path, step_bytes=1)
    print(f"{detected} of {tried} flips detected, the others harmless")

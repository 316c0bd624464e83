"""What a network keeps between its runs: its time goes on, and no draw comes twice."""

import stat
from pathlib import Path

import pytest

from qstrata.core.errors import EnvironmentFaultError
from qstrata.core.time import PS_PER_S, wall_clock_ns
from qstrata.network.origin import Origin, keep_origin, next_origin, salt_of
from qstrata.network.state import StatePaths, prepare
from qstrata.planes.asking import Serials
from qstrata.store.records import BlockState, KmeRegistry, TransferLeg


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / "net")
    prepare(paths)
    return paths


def block(made_ps: int) -> BlockState:
    return BlockState(link="a-b", number=1, length=8, owner="a", digest="", bearer="", made_ps=made_ps)


def test_time_begins_at_the_first_start_and_is_kept(paths: StatePaths) -> None:
    first, second = next_origin(paths), next_origin(paths)
    assert first.epoch_s == second.epoch_s
    assert abs(first.epoch_s - wall_clock_ns() / 1e9) < 60
    assert (first.starts, second.starts) == (1, 2)


def test_a_start_follows_the_calendar() -> None:
    hour_ago = Origin(wall_clock_ns() // 10**9 - 3600)
    assert 3600 * PS_PER_S <= hour_ago.start_ps([]) < 3700 * PS_PER_S


def test_time_never_goes_back_before_what_the_ledger_knows() -> None:
    ahead = 10**9 * PS_PER_S
    origin = Origin(wall_clock_ns() // 10**9)
    leg = TransferLeg(transfer="t", path=1, session="s", incoming=(), outgoing=(), at_ps=ahead + 5)
    assert origin.start_ps([block(ahead), leg]) == ahead + 6
    assert Origin(origin.epoch_s, reached_ps=ahead).start_ps([block(3)]) == ahead


def test_a_kme_takes_the_registry_of_a_start_after_the_clock_was_set_back() -> None:
    """KMEs ignore a registry that is not newer than theirs; its serial follows network time."""
    ahead = 10**9 * PS_PER_S
    held = KmeRegistry(serial=Serials().next(ahead), saes=())
    start_ps = Origin(wall_clock_ns() // 10**9).start_ps([held])
    assert Serials().next(start_ps) > held.serial


def test_starts_with_one_seed_have_different_streams(paths: StatePaths) -> None:
    seeds = [next_origin(paths).seed(7) for _ in range(5)]
    assert seeds[0] == 7
    assert len(set(seeds)) == 5
    assert all(seed is not None and 0 <= seed < 2**63 for seed in seeds)
    assert next_origin(paths).seed(None) is None


def test_unreadable_origin_is_a_fault_of_the_machine(paths: StatePaths) -> None:
    keep_origin(paths, Origin(5))
    (paths.data / "origin.json").write_text("{")
    with pytest.raises(EnvironmentFaultError, match="backup"):
        next_origin(paths)


def test_salt_is_kept_beside_the_sealing_key_and_private(paths: StatePaths) -> None:
    salt = salt_of(paths, None)
    assert len(salt) == 32
    assert salt_of(paths, None) == salt
    assert stat.S_IMODE(paths.sealing_key.with_name("salt").stat().st_mode) == 0o600


def test_salt_of_a_seeded_network_follows_from_the_seed(paths: StatePaths) -> None:
    assert salt_of(paths, 1) == salt_of(paths, 1) != salt_of(paths, 2)


def test_short_salt_is_a_fault_of_the_machine(paths: StatePaths) -> None:
    paths.sealing_key.with_name("salt").write_bytes(b"short")
    with pytest.raises(EnvironmentFaultError, match="salt"):
        salt_of(paths, None)

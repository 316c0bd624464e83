"""Equal file and seed give equal event logs, byte for byte; nobody's draws move when others join."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.scenarios import busy_madrid
from qstrata.core.time import PS_PER_S
from qstrata.network.description import Description, Link, Node, Sae
from qstrata.network.simulation import Simulation
from tests.simulation.ledgers import KeptLines, blocks, drawn_keys

ROOT = Path(__file__).parents[2]
MINUTES = 20
SIX_HOURS = 360

PROGRAM = """
import sys
from benchmarks.scenarios import busy_madrid
from qstrata.core.time import PS_PER_S
from qstrata.network.simulation import Simulation

sim = Simulation(busy_madrid(), seed=int(sys.argv[1]))
sim.start_demands()
sim.run_until(int(sys.argv[2]) * 60 * PS_PER_S)
print(sim.recorder.sha256())
"""


def hash_here(seed: int, minutes: int = MINUTES) -> str:
    sim = Simulation(busy_madrid(), seed=seed)
    sim.start_demands()
    sim.run_until(minutes * 60 * PS_PER_S)
    return sim.recorder.sha256()


def hash_elsewhere(seed: int, hash_seed: str, minutes: int = MINUTES) -> str:
    """Run in a process of its own, in which strings hash otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seed), str(minutes)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_equal_seeds_give_equal_logs_whatever_the_hash_seed() -> None:
    hashes = {hash_here(1), hash_here(1), hash_elsewhere(1, "0"), hash_elsewhere(1, "4711")}
    assert len(hashes) == 1


def test_another_seed_gives_another_log() -> None:
    assert hash_here(1, 2) != hash_here(2, 2)


@pytest.mark.campaign
def test_six_hours_are_equal_under_two_hash_seeds() -> None:
    assert hash_elsewhere(1, "0", SIX_HOURS) == hash_elsewhere(1, "4711", SIX_HOURS)


def with_an_unused_site(description: Description) -> Description:
    """Add a site with a link and an SAE that nobody talks to; it comes first in every table."""
    return msgspec.structs.replace(
        description,
        nodes=(Node(name="berlanga", site=(-3.6, 40.4)), *description.nodes),
        links=(
            Link(ends=("berlanga", "quijote"), length_km=15.0, loss_db=3.0, channels="default"),
            *description.links,
        ),
        saes=(Sae(name="urn:qkd:madqci:berlanga:sae", node="berlanga"), *description.saes),
    )


def test_an_unused_site_moves_nobody_elses_draws() -> None:
    drawn = []
    for description in (busy_madrid(), with_an_unused_site(busy_madrid())):
        lines = KeptLines("block", "key")
        sim = Simulation(description, seed=1, log=lines)
        sim.start_demands()
        sim.run_until(MINUTES * 60 * PS_PER_S)
        sim.recorder.flush()
        drawn.append((blocks(lines), drawn_keys(lines)))
    (alone_blocks, alone_keys), (joined_blocks, joined_keys) = drawn
    assert {link for _, link, _ in joined_blocks} - {link for _, link, _ in alone_blocks} == {
        "berlanga-quijote"
    }
    assert alone_blocks == {key: held for key, held in joined_blocks.items() if "berlanga" not in key[1]}
    assert len(alone_keys) > 5000
    assert alone_keys == joined_keys

"""Machines without a compiler run the same networks: event logs are equal, byte for byte."""

import os
import subprocess
import sys

import pytest

from qstrata.physics import compiled
from tests.simulation.pair_programs import Distilling
from tests.simulation.pair_world import PairWorld
from tests.simulation.raw_links import RawLinks

SLOW_PULSES = {"pulse-rate-hz": 8e6, "e-d": 0.005}


def raw_link_log() -> tuple[str, int]:
    """Return the hash of the log of links that distil click by click, and their secret bits."""
    links = RawLinks(parameters=SLOW_PULSES)
    links.run(1.9)
    secret_bits = sum(sample.stages.secret_bits for sample in links.samples.values() if sample.stages)
    return links.sim.recorder.sha256(), secret_bits


def pair_log() -> tuple[str, int]:
    """Return the hash of the log of ends that distil pairs over a repeater, and how many they had."""
    world = PairWorld(3, Distilling, link={"length_km": 0.1, "loss_db": 0.0, "fidelity": 0.9}, cells=3)
    world.run_until(lambda: world.tail.tries >= 200)
    return world.recorder.sha256(), world.tail.tries


@pytest.mark.skipif(not compiled.HAS_NUMBA, reason="numba is not installed: there is one path only")
def test_python_itself_and_compiled_kernels_give_equal_event_logs():
    code = "from tests.simulation.test_pure_python import *; print(*raw_link_log(), *pair_log())"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for disabled in ("0", "1")
    ]
    compiled_log, pure_log = (process.communicate()[0].split() for process in running)
    assert len(compiled_log) == 4
    assert compiled_log == pure_log
    assert int(compiled_log[1]) > 1000
    assert int(compiled_log[3]) >= 200

"""A campaign runs thousands of networks in one process: a finished one leaves nothing behind."""

import gc
import weakref

from qstrata.core.time import PS_PER_S
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation


def test_a_finished_network_is_freed_with_all_its_elements() -> None:
    sim = Simulation(load("madrid"), seed=1)
    sim.run_until(20 * PS_PER_S)
    left = [weakref.ref(sim.assembly)]
    left += [
        weakref.ref(element)
        for node in sim.assembly.host.nodes()
        for element in sim.assembly.host.elements(node)
    ]
    assert len(left) > 20
    del sim
    gc.collect()
    assert not [reference for reference in left if reference() is not None]

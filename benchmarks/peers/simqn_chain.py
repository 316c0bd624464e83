"""End-to-end pairs of a chain in SimQN: Werner states, handed on and swapped station by station.

It knows neither loss nor heralding of pairs here: every attempt succeeds, which is in its favour.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

PAIRS_PER_S = 1000
"""So many are begun in a second of simulated time."""


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Simulate so many pairs; the time of the simulation is cut so that the limit of the clock holds."""
    from qns.network.network import QuantumNetwork
    from qns.network.protocol.entanglement_distribution import EntanglementDistributionApp
    from qns.network.route.dijkstra import DijkstraRouteAlgorithm
    from qns.network.topology import LineTopology
    from qns.network.topology.topo import ClassicTopology
    from qns.simulator.simulator import Simulator

    # Before all else: what is made later counts time as finely.
    simulator = Simulator(0, asked["pairs"] / PAIRS_PER_S, accuracy=10_000_000)
    hop_s = asked["hop_km"] * 5e-6
    topology = LineTopology(
        nodes_number=asked["nodes"],
        qchannel_args={"bandwidth": 0, "delay": hop_s, "length": asked["hop_km"] * 1000.0},
        cchannel_args={"bandwidth": 0, "delay": hop_s},
        memory_args=[{"capacity": 1000, "decoherence_rate": 1.0 / asked["memory_s"]}],
        nodes_apps=[EntanglementDistributionApp(init_fidelity=asked["fidelity"])],
    )
    network = QuantumNetwork(topo=topology, classic_topo=ClassicTopology.All, route=DijkstraRouteAlgorithm())
    network.build_route()
    ends = network.get_node("n1"), network.get_node(f"n{asked['nodes']}")
    network.add_request(src=ends[0], dest=ends[1], attr={"send_rate": PAIRS_PER_S})
    network.install(simulator)
    begun = time.process_time()
    simulator.run()
    spent_s = time.process_time() - begun
    got = ends[1].get_apps(EntanglementDistributionApp)[-1].success
    return {
        "version": version("qns"),
        "pairs": len(got),
        "spent_s": spent_s,
        "simulated_s": asked["pairs"] / PAIRS_PER_S,
        "fidelity": sum(pair.fidelity for pair in got) / len(got) if got else None,
    }


def main() -> None:
    """Answer one request; what the simulator prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(run(json.load(sys.stdin)), answers)


if __name__ == "__main__":
    main()

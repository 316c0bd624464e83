"""End-to-end pairs of a repeater chain in SeQUeNCe: ket states, Barrett-Kok, swap as soon as possible."""

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import pairwise
from typing import Any

PS_PER_S = 10**12
METRES_PER_KM = 1000


def network(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a row of routers, as the simulator reads it."""
    names = [f"r{number}" for number in range(asked["nodes"])]
    hop_m = asked["hop_km"] * METRES_PER_KM
    memory = {
        "fidelity": asked["fidelity"],
        "frequency": asked["attempt_rate_hz"],
        "efficiency": asked["memory_efficiency"],
        "coherence_time": asked["memory_s"],
        "wavelength": 1550,
    }
    detector = {
        "efficiency": asked["detector_efficiency"],
        "dark_count": 0,
        "time_resolution": 150,
        "count_rate": 2.5e7,
    }
    midpoint = {"SingleAtomBSM": {"detectors": [detector, detector]}}
    pairs = list(pairwise(names))
    delays = [
        {"node1": a, "node2": b, "delay": round(abs(i - j) * asked["hop_km"] * 5e6)}
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i < j
    ]
    return {
        "is_parallel": False,
        "stop_time": PS_PER_S * 1000,
        "templates": {"router": {"MemoryArray": memory}, "midpoint": midpoint},
        "nodes": [
            {"name": name, "type": "QuantumRouter", "seed": number, "memo_size": 2, "template": "router"}
            for number, name in enumerate(names)
        ],
        "qconnections": [
            {
                "node1": a,
                "node2": b,
                "attenuation": asked["db_per_km"] / METRES_PER_KM,
                "distance": hop_m,
                "type": "meet_in_the_middle",
                "seed": 100 + number,
                "template": "midpoint",
            }
            for number, (a, b) in enumerate(pairs)
        ],
        "cconnections": delays,
    }


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Simulate until so many pairs have come, or the limit of the clock."""
    from sequence.app.request_app import RequestApp
    from sequence.topology.router_net_topo import RouterNetTopo

    class Counting(RequestApp):  # type: ignore[misc]
        """Note the fidelity of each pair; stop when there are enough, or when it takes too long."""

        def get_memory(self, info: Any) -> None:
            before, fidelity = self.memory_counter, float(info.fidelity)
            super().get_memory(info)
            if self.memory_counter > before:
                fidelities.append(fidelity)
                if len(fidelities) >= asked["pairs"] or time.process_time() - begun > asked["limit_s"]:
                    self.node.timeline.stop()

    fidelities: list[float] = []
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(network(asked), file)
    try:
        topology = RouterNetTopo(file.name)
    finally:
        os.unlink(file.name)
    timeline = topology.get_timeline()
    routers = {router.name: router for router in topology.get_nodes_by_type(RouterNetTopo.QUANTUM_ROUTER)}
    first, last = routers["r0"], routers[f"r{asked['nodes'] - 1}"]
    app = Counting(first)
    RequestApp(last)
    timeline.init()
    app.start(last.name, PS_PER_S // 10, PS_PER_S * 900, 1, 0.1)
    begun = time.process_time()
    timeline.run()
    spent_s = time.process_time() - begun
    return {
        "version": version("sequence"),
        "pairs": len(fidelities),
        "spent_s": spent_s,
        "simulated_s": (timeline.now() - PS_PER_S // 10) / PS_PER_S,
        "fidelity": sum(fidelities) / len(fidelities) if fidelities else None,
    }


def main() -> None:
    """Answer one request; what the simulator prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(run(json.load(sys.stdin)), answers)


if __name__ == "__main__":
    main()

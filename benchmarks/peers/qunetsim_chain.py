"""End-to-end pairs of a chain in QuNetSim: perfect pairs, swapped along the route, no loss and no time."""

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Make pairs one after the other until there are enough, or the limit of the clock has passed."""
    from qunetsim.components import Host, Network

    network = Network.get_instance()
    names = [f"h{number}" for number in range(asked["nodes"])]
    network.start(names)
    network.delay = 0.0
    network.use_ent_swap = True
    hosts = []
    for number, name in enumerate(names):
        host = Host(name)
        for other in names[max(0, number - 1) : number] + names[number + 1 : number + 2]:
            host.add_connection(other)
        host.delay = 0.0
        host.start()
        hosts.append(host)
    network.add_hosts(hosts)
    first, last = hosts[0], hosts[-1]
    pairs, equal, begun = 0, 0, time.perf_counter()
    while pairs < asked["pairs"] and time.perf_counter() - begun < asked["limit_s"]:
        q_id, _ = first.send_epr(last.host_id, await_ack=True)
        one, other = first.get_epr(last.host_id, q_id, wait=5), last.get_epr(first.host_id, q_id, wait=5)
        if one is None or other is None:
            break
        equal += one.measure() == other.measure()
        pairs += 1
    spent_s = time.perf_counter() - begun
    return {"version": version("qunetsim"), "pairs": pairs, "spent_s": spent_s, "equal": equal}


def main() -> None:
    """Answer one request and leave: the simulator's threads and processes do not end by themselves."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(run(json.load(sys.stdin)), answers)
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

"""End-to-end pairs of a chain in QuNetSim: perfect pairs, swapped along the route, no loss and no time."""

import json
import os
import sys
import threading
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
    made = _Made()
    # Its threads sometimes wait for each other for ever: what was made before counts.
    maker = threading.Thread(target=made.make, args=(first, last, asked["pairs"]), daemon=True)
    maker.start()
    maker.join(asked["limit_s"])
    hung = maker.is_alive()
    return {
        "version": version("qunetsim"),
        "pairs": made.pairs,
        "spent_s": made.spent_s,
        "equal": made.equal,
        "hung": hung,
    }


class _Made:
    """How many pairs were made, one after the other, and when the last one was."""

    def __init__(self) -> None:
        self.pairs, self.equal, self.spent_s = 0, 0, 0.0

    def make(self, first: Any, last: Any, pairs: int) -> None:
        begun = time.perf_counter()
        while self.pairs < pairs:
            q_id, _ = first.send_epr(last.host_id, await_ack=True)
            one, other = first.get_epr(last.host_id, q_id, wait=5), last.get_epr(first.host_id, q_id, wait=5)
            if one is None or other is None:
                break
            self.equal += one.measure() == other.measure()
            self.pairs += 1
            self.spent_s = time.perf_counter() - begun


def main() -> None:
    """Answer one request and leave: the simulator's threads and processes do not end by themselves."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(run(json.load(sys.stdin)), answers)
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

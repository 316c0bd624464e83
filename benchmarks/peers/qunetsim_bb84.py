"""BB84 over one link in QuNetSim: single photons without loss, sent and measured one by one."""

import json
import os
import random
import sys
import time
from importlib.metadata import version
from typing import Any


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Send photons until there are enough, or the limit of the clock has passed."""
    from qunetsim.components import Host, Network
    from qunetsim.objects import Qubit

    network = Network.get_instance()
    network.start(["a", "b"])
    network.delay = 0.0
    hosts = []
    for name, other in (("a", "b"), ("b", "a")):
        host = Host(name)
        host.add_connection(other)
        host.delay = 0.0
        host.start()
        hosts.append(host)
    network.add_hosts(hosts)
    sender, receiver = hosts
    draws = random.Random(asked["seed"])
    pulses, sifted, begun = 0, 0, time.perf_counter()
    while pulses < asked["pulses"] and time.perf_counter() - begun < asked["limit_s"]:
        bit, basis, seen = (draws.randrange(2) for _ in range(3))
        qubit = Qubit(sender)
        if bit:
            qubit.X()
        if basis:
            qubit.H()
        sender.send_qubit("b", qubit, await_ack=True)
        got = receiver.get_qubit("a", wait=5)
        if got is None:
            break
        if seen:
            got.H()
        got.measure()
        pulses += 1
        sifted += basis == seen
    spent_s = time.perf_counter() - begun
    return {"version": version("qunetsim"), "pulses": pulses, "sifted": sifted, "spent_s": spent_s}


def main() -> None:
    """Answer one request and leave: the simulator's threads and processes do not end by themselves."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(run(json.load(sys.stdin)), answers)
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

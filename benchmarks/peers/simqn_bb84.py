"""BB84 over one link in SimQN: single photons and no decoys, for it knows no others."""

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Send so many photons and sift them."""
    from qns.entity.cchannel.cchannel import ClassicChannel
    from qns.entity.node.node import QNode
    from qns.entity.qchannel.qchannel import QuantumChannel
    from qns.network.protocol.bb84 import BB84RecvApp, BB84SendApp
    from qns.simulator.simulator import Simulator

    # Before all else: what is made later counts time as finely.
    simulator = Simulator(0, asked["pulses"] / asked["rate_hz"], accuracy=10_000_000_000)
    sender, receiver = QNode(name="a"), QNode(name="b")
    delay_s = asked["length_km"] * 5e-6
    light = QuantumChannel(
        name="light",
        delay=delay_s,
        bandwidth=0,
        drop_rate=1.0 - asked["eta_bob"] * 10.0 ** (-asked["loss_db"] / 10.0),
        length=asked["length_km"] * 1000.0,
    )
    words = ClassicChannel(name="words", bandwidth=0, delay=delay_s)
    for node in (sender, receiver):
        node.add_qchannel(light)
        node.add_cchannel(words)
    # Post-processing begins at so many sifted bits: never here.
    send = BB84SendApp(receiver, light, words, send_rate=asked["rate_hz"], length_for_post_processing=10**9)
    take = BB84RecvApp(sender, light, words, length_for_post_processing=10**9)
    sender.add_apps(send)
    receiver.add_apps(take)
    for node in (sender, receiver):
        node.install(simulator)
    begun = time.process_time()
    simulator.run()
    spent_s = time.process_time() - begun
    return {
        "version": version("qns"),
        "pulses": send.count,
        "sifted": len(take.raw_key_pool),
        "spent_s": spent_s,
    }


def main() -> None:
    """Answer one request; what the simulator prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(run(json.load(sys.stdin)), answers)


if __name__ == "__main__":
    main()

"""Run BB84 links in SeQUeNCe: a worker in that simulator's own environment, imports nothing of qstrata.

One JSON object a line each way. A request holds pulses by intensity and the figures of a link; the answer
what both ends sifted. Only sifting is taken from the simulator: its error correction counts too little
leakage. Detectors are set directly, because `QKDNode.update_detector_params` changes nothing.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

import numpy as np

TRAIN_PULSES = 50_000
"""So many pulses are simulated in one go."""

_PS_PER_S = 10**12
_LIGHT_M_PER_PS = 2e-4


def _load() -> tuple[Any, Any, Any, Any]:
    timeline = importlib.import_module("sequence.kernel.timeline").Timeline
    channels = importlib.import_module("sequence.components.optical_channel")
    node = importlib.import_module("sequence.topology.node").QKDNode
    pair = importlib.import_module("sequence.qkd.BB84").pair_bb84_protocols
    return timeline, channels, node, pair


class _Sifted:
    """What both ends sifted: bases of the sender, bits of both, and all clicks."""

    def __init__(self) -> None:
        self.bases: list[int] = []
        self.alice: list[int] = []
        self.bob: list[int] = []
        self.clicks = 0


def train(link: dict[str, Any], intensity: float, pulses: int, seed: int) -> _Sifted:
    """Simulate one train of pulses of one intensity and return what was sifted."""
    timeline_of, channels, node, pair = _load()
    rate_hz, length_m = link["rate_hz"], link["length_km"] * 1000.0
    light_ps = round(pulses / rate_hz * _PS_PER_S)
    flight_ps = round(length_m / _LIGHT_M_PER_PS)
    end_ps = light_ps + 4 * flight_ps + _PS_PER_S // 1000
    np.random.seed(seed)  # noqa: NPY002
    timeline = timeline_of(end_ps)
    alice, bob = node("alice", timeline, stack_size=1), node("bob", timeline, stack_size=1)
    alice.set_seed(seed)
    bob.set_seed(seed + 1)
    pair(alice.protocol_stack[0], bob.protocol_stack[0])
    for sender, other in ((alice, bob), (bob, alice)):
        fibre = channels.QuantumChannel(
            f"fibre from {sender.name}",
            timeline,
            attenuation=link["loss_db"] / length_m,
            distance=length_m,
            polarization_fidelity=1.0 - 2.0 * link["e_d"],
            light_speed=_LIGHT_M_PER_PS,
            frequency=rate_hz,
        )
        fibre.owner = sender
        fibre.set_ends(sender, other.name)
        channel = channels.ClassicalChannel(f"from {sender.name}", timeline, length_m, delay=flight_ps)
        channel.set_ends(sender, other.name)
    receiver = bob.components["bob.qsdetector"]
    for part in receiver.components:
        # What has no owner draws from a generator that is made anew and unseeded for each draw.
        part.owner = bob
    for detector in receiver.detectors:
        detector.efficiency = link["eta_bob"]
        detector.dark_count = link["y0"] * rate_hz / 2.0
    laser = alice.components["alice.lightsource"]
    laser.frequency, laser.mean_photon_num = rate_hz, 1.0
    timeline.init()
    sifted = _watched(alice, bob)
    # The protocol makes its train `length / (frequency * mean photon number)` long.
    alice.protocol_stack[0].push(pulses, 1, run_time=end_ps)
    laser.mean_photon_num = intensity
    timeline.run()
    return sifted


def _watched(alice: Any, bob: Any) -> _Sifted:
    """Keep what the two protocols hold when the first train has been sifted."""
    sifted = _Sifted()
    sender, receiver = alice.protocol_stack[0], bob.protocol_stack[0]
    heard, got = sender.received_message, bob.get_bits

    def count(*arguments: Any) -> Any:
        bits = got(*arguments)
        if not sifted.clicks:
            sifted.clicks = sum(bit != -1 for bit in bits)
        return bits

    def hear(source: str, message: Any) -> None:
        kind = message.msg_type.name
        if kind == "RECEIVED_QUBITS" and not sifted.bases:
            bases = sender.basis_lists[0]
            sifted.bases = [int(basis) for basis in bases]
        elif kind == "MATCHING_INDICES" and not sifted.alice:
            bits, bases = sender.bit_lists[0], sifted.bases
            sifted.alice = [int(bits[index]) for index in message.indices]
            sifted.bases = [bases[index] for index in message.indices]
            sifted.bob = [int(bit) for bit in receiver.key_bits[: len(sifted.alice)]]
        heard(source, message)

    bob.get_bits, sender.received_message = count, hear
    return sifted


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Simulate the pulses of a request and return counts by basis and intensity, and the bits of basis Z."""
    n, m, clicks, seed = np.zeros((2, 3), int), np.zeros((2, 3), int), 0, int(request["seed"])
    alice: list[int] = []
    bob: list[int] = []
    for kind, (intensity, pulses) in enumerate(zip(request["intensities"], request["pulses"], strict=True)):
        while pulses > 0:
            taken = min(pulses, TRAIN_PULSES)
            pulses, seed = pulses - taken, (seed + 2) % 2**31
            sifted = train(request, intensity, taken, seed)
            clicks += sifted.clicks
            bases = np.array(sifted.bases, int)[: len(sifted.alice)]
            wrong = np.array(sifted.alice, int) != np.array(sifted.bob, int)
            for basis in (0, 1):
                n[basis, kind] += int((bases == basis).sum())
                m[basis, kind] += int((wrong & (bases == basis)).sum())
            alice += [bit for bit, basis in zip(sifted.alice, bases, strict=True) if basis == 0]
            bob += [bit for bit, basis in zip(sifted.bob, bases, strict=True) if basis == 0]
    return {
        "sent": request["pulses"],
        "n": n.tolist(),
        "m": m.tolist(),
        "detections": clicks,
        "alice": "".join(map(str, alice)),
        "bob": "".join(map(str, bob)),
    }


def main() -> None:
    """Answer requests until standard input ends; what the simulator prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _load()
    for line in sys.stdin:
        begun = time.perf_counter()
        try:
            answer = run(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answer["took_s"] = time.perf_counter() - begun
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

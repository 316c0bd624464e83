"""One network file that runs on any engine, and protocol scripts that stand in for simulators."""

from qstrata.network.loader import load
from qstrata.network.recording import recorded_lines

NETWORK = """
name: three
domain: lab
nodes:
  - {name: a, site: [0.0, 0.0]}
  - {name: b, site: [0.1, 0.0]}
  - {name: c, site: [0.2, 0.0]}
defaults:
  link:
    channels: default
    engine: "ENGINE"
    engine-key-bits: 8192
    block-s: 10
    parameters:
      pulse-rate-hz: 40000
      signal-intensity: 0.7
      weak-intensity: 0.2
      signal-probability: 0.5
      weak-probability: 0.4
      vacuum-probability: 0.1
      sender-z-probability: 0.5
      receiver-z-probability: 0.5
      eta-bob: 1.0
      e-d: 0.005
      eps-sec: 1.0e-6
      eps-cor: 1.0e-6
links:
  - {ends: [a, b], length-km: 5.0, loss-db: 1.0}
  - {ends: [b, c], length-km: 5.0, loss-db: 1.0}
saes:
  - {name: "urn:qkd:lab:alice", node: a}
  - {name: "urn:qkd:lab:bob", node: b}
  - {name: "urn:qkd:lab:carol", node: c}
sessions:
  - {between: ["urn:qkd:lab:alice", "urn:qkd:lab:carol"], depth-keys: 4, rate-keys-per-s: 1.0}
demands:
  - {between: ["urn:qkd:lab:alice", "urn:qkd:lab:carol"], keys-per-s: 0.5}
"""
"""Links whose blocks are short and rich enough for a simulator that takes microseconds a pulse."""

FIGURES = NETWORK[NETWORK.index("    parameters:\n") : NETWORK.index("links:\n")]
OTHERS = {
    "bbm92": "    protocol: bbm92\n",
    "cv-qkd": "    protocol: cv-qkd\n",
    "one decoy": FIGURES.replace("signal-probability: 0.5", "signal-probability: 0.7")
    .replace("weak-probability: 0.4", "weak-probability: 0.3")
    .replace("vacuum-probability: 0.1", "vacuum-probability: 0")
    .replace("pulse-rate-hz: 40000", "pulse-rate-hz: 1000000"),
}
"""What the links have in place of the figures of decoy-state BB84, by technology."""

STUB = """
import json, random, sys
bits, length_km, parameters = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
given = dict(line.split(": ", 1) for line in open(parameters).read().splitlines())
drawn = random.Random(int(given["seed"]))
key = "".join(drawn.choice("01") for _ in range(bits))
answer = {"alice_key": key, "bob_key": key, "time": bits / 1000}
"""
"""Equal keys from the seed of PARAMS.yaml, at a kilobit a second."""


def stub(folder, body="", name="protocol.py"):
    """Write a script that prints `answer`, after `body` has changed it."""
    path = folder / name
    path.write_text(f"{STUB}{body}\nprint(json.dumps(answer))\n")
    return path


def of_technology(folder, name):
    """Load the network with links of a technology: nothing else in its file differs."""
    if name in OTHERS:
        return network(folder, "native", figures=(FIGURES, OTHERS[name]))
    if name == "trace":
        for link in (native := network(folder, "native")).links:
            head, *blocks = recorded_lines(native, link.name, 2, seed=3)
            lines = [head.replace('"stop"', '"repeat"'), *blocks]
            (folder / "recorded.jsonl").write_text("\n".join(lines))
        return network(folder, "trace:recorded.jsonl")
    return network(folder, f"script:{stub(folder)}" if name == "script" else name)


def network(folder, engine, **changes):
    """Load the network with an engine for every link; `changes` replace texts of the file."""
    text = NETWORK.replace("ENGINE", engine)
    for old, new in changes.items():
        text = text.replace(*new) if isinstance(new, tuple) else text.replace(old, new)
    path = folder / "three.yaml"
    path.write_text(text)
    return load(path)

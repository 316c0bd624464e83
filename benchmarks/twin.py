"""`python -m benchmarks.twin [--json] [--docs]`: the twin beside SeQUeNCe, QuNetSim and SimQN.

All get the same parameters. Ours, SeQUeNCe and SimQN are measured on the processor time of one core,
QuNetSim, which waits for its own threads and processes, by the clock. Each has an environment of its own,
made where there is none, and gets about a minute; one that cannot be installed or hangs is reported as such.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.chain import description
from benchmarks.environments import DRIVERS, PEERS, ROOT, Failure, Peer, ask, trouble
from benchmarks.postprocessing import BOTH_ENDS, FRAME_BITS, MEMORY, SLOWER_END, WORST, postprocessing
from benchmarks.twin_table import Line, show, with_table
from qstrata.core.randomness import stream
from qstrata.physics.chain import run
from qstrata.physics.clicks import ClickSampler
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.profiles import profile

SEQUENCE, QUNETSIM, SIMQN = PEERS
PAGE = ROOT / "docs" / "explanation" / "speed.md"
LIMIT_S = 40.0
LENGTH_KM, LOSS_DB = 50.0, 10.0
PULSES = 10**9
STRETCHES = 10
PAIRS = 2_000_000
NODES = 9
CHAIN = {
    "nodes": NODES,
    "hop_km": 10.0,
    "db_per_km": 0.2,
    "fidelity": 0.98,
    "attempt_rate_hz": 1e6,
    "memory_efficiency": 0.9,
    "detector_efficiency": 0.8,
    "memory_s": 1.0,
    "limit_s": LIMIT_S,
}
"""The chain of `benchmarks.chain`, as drivers are asked for it."""


class Measured(msgspec.Struct, frozen=True):
    """What a peer gave: its version, how much a second, and what was run."""

    version: str
    per_s: float
    note: str


def bb84() -> list[Line]:
    """Compare decoy BB84 over 50 km."""
    row = f"decoy BB84, {LENGTH_KM:g} km"
    link = msgspec.structs.replace(profile().link_parameters(LOSS_DB), pulse_rate_hz=1e9)
    ours = _clicks_per_s(link)
    asked = {
        "rate_hz": 1e6,
        "length_km": LENGTH_KM,
        "loss_db": LOSS_DB,
        "eta_bob": link.eta_bob,
        "y0": link.y0,
        "e_d": link.e_d,
        "seed": 1,
        "limit_s": LIMIT_S,
    }
    shares = [round(500_000 * share) for share in link.intensity_probabilities]
    worker = ROOT / "src" / "qstrata" / "network" / "sequence_worker.py"
    trains = asked | {"intensities": link.intensities, "pulses": shares, "worker": str(worker)}
    bright = _clicks_per_s(msgspec.structs.replace(link, eta_bob=0.8))
    note = "at clicks, 1 GHz, sampling at both ends; receiver of"
    real_time = ">= 1e9 pulses/s"
    return [
        Line(row, _ours(), ours, "pulses/s", None, real_time, ours >= 1e9, f"{note} {link.eta_bob}"),
        Line(row, _ours(), bright, "pulses/s", None, real_time, bright >= 1e9, f"{note} 0.8"),
        _peer(row, SEQUENCE, ours, "pulses/s", lambda: _trains(trains), 1000.0),
        _peer(row, SIMQN, ours, "photons/s", lambda: _photons(SIMQN, "simqn_bb84", asked, 200_000)),
        _peer(row, QUNETSIM, ours, "photons/s", lambda: _photons(QUNETSIM, "qunetsim_bb84", asked, 300)),
    ]  # fmt: skip


def _clicks_per_s(link: LinkParameters) -> float:
    sampler, generator = ClickSampler(link), stream(1, "benchmark", "twin")
    sampler.sample(generator, PULSES // STRETCHES)
    began_s = time.process_time()
    for _ in range(STRETCHES):
        clicks = sampler.sample(generator, PULSES // STRETCHES)
        sampler.sent(generator, clicks, PULSES // STRETCHES)
    return PULSES / (time.process_time() - began_s)


def _trains(asked: dict[str, Any]) -> Measured:
    answer = ask(SEQUENCE, DRIVERS / "sequence_bb84.py", asked)
    note = f"{answer['pulses']} pulses at 1 MHz, {answer['clicks']} clicks"
    return Measured(answer["version"], answer["pulses"] / answer["spent_s"], note)


def _photons(peer: Peer, driver: str, asked: dict[str, Any], pulses: int) -> Measured:
    answer = ask(peer, DRIVERS / f"{driver}.py", asked | {"pulses": pulses})
    note = f"single photons, {'no loss, ' if peer is QUNETSIM else ''}no decoys"
    note += f"; {answer['pulses']} sent, {answer['sifted']} sifted"
    return Measured(answer["version"], answer["pulses"] / answer["spent_s"], note)


def chain() -> list[Line]:
    """Compare end-to-end pairs of a chain of nine nodes."""
    row = f"pairs of a chain of {NODES} nodes"
    described = description(NODES)
    run(described, PAIRS, stream(1, "warm"))
    began_s = time.process_time()
    sampled = run(described, PAIRS, stream(1, "twin", "chain"))
    fidelity = float(sampled.fidelity.mean())
    ours = PAIRS / (time.process_time() - began_s)
    rate = PAIRS / (float(sampled.delivered_ps[-1]) * 1e-12)
    note = f"{rate:.0f} pairs per simulated s, fidelity {fidelity:.3f}"
    return [
        Line(row, _ours(), ours, "pairs/s", None, ">= 1e6 pairs/s", ours >= 1e6, note),
        _peer(row, SEQUENCE, ours, "pairs/s", lambda: _pairs(SEQUENCE, "sequence_chain", 150), 10_000.0),
        _peer(row, SIMQN, ours, "pairs/s", lambda: _pairs(SIMQN, "simqn_chain", 5_000)),
        _peer(row, QUNETSIM, ours, "pairs/s", lambda: _pairs(QUNETSIM, "qunetsim_chain", 40)),
    ]


_MODELS = {
    "SeQUeNCe": "ket states, Barrett-Kok",
    "SimQN": "Werner states, no loss, no heralding",
    "QuNetSim": "perfect pairs, no loss, no time",
}


def _pairs(peer: Peer, driver: str, pairs: int) -> Measured:
    answer = ask(peer, DRIVERS / f"{driver}.py", CHAIN | {"pairs": pairs})
    if answer.get("hung") and not answer["pairs"]:
        answer = ask(peer, DRIVERS / f"{driver}.py", CHAIN | {"pairs": pairs})
    if not answer["pairs"]:
        raise Failure("gave no pair")
    note = f"{_MODELS[peer.name]}; {answer['pairs']} pairs"
    if answer.get("simulated_s"):
        note += f", {answer['pairs'] / answer['simulated_s']:.0f} per simulated s"
    if answer.get("hung"):
        note += ", then it hung"
    if answer.get("fidelity"):
        note += f", fidelity {answer['fidelity']:.3f}"
    return Measured(answer["version"], answer["pairs"] / answer["spent_s"], note)


def distilled() -> list[Line]:
    """Measure sifted to secret key; no peer has all of its stages."""
    row = "sifted to secret key, 3 % QBER"
    figures = {figure.name: figure.value for figure in postprocessing()}
    worst = figures[WORST]
    note = f"f {figures['efficiency f, mean']:.3f}, worst {worst:.3f}"
    notes = {
        SLOWER_END: f"the slower end; {note}; frames of {FRAME_BITS:,} bits",
        BOTH_ENDS: f"both ends on one core; {note}; {figures[MEMORY]:.0f} MB at once",
    }
    bound = ">= 5e6 bit/s, f <= 1.15"
    lines = []
    for name, note in notes.items():
        per_s = figures[name] * 1e6
        kept = per_s >= 5e6 and worst <= 1.15
        lines.append(Line(row, _ours(), per_s, "sifted bit/s", None, bound, kept, note))
    return lines


def _peer(
    row: str,
    peer: Peer,
    ours: float,
    unit: str,
    measure: Callable[[], Measured],
    times: float | None = None,
) -> Line:
    """Return a peer's line; `times` is how much faster we must be."""
    bound = f"ours >= {times:,.0f} times" if times else ""
    try:
        measured = measure()
    except (Failure, KeyError, ZeroDivisionError) as failure:
        why = str(failure) if isinstance(failure, Failure) else f"answers nonsense: {failure!r}"
        return Line(row, peer.name, None, unit, None, bound, None, why)
    ratio = ours / measured.per_s
    kept = ratio >= times if times else None
    who = f"{peer.name} {measured.version}"
    return Line(row, who, measured.per_s, unit, ratio, bound, kept, measured.note)


def _ours() -> str:
    from importlib.metadata import version

    return f"qstrata {version('qstrata')}"


def machine() -> str:
    """Say what the figures depend on."""
    load = os.getloadavg()[0]
    return f"Python {platform.python_version()}, {os.cpu_count()} processors, load {load:.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.twin", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--docs", action="store_true", help=f"write the table into {PAGE.name} too")
    given = parser.parse_args()
    for peer in PEERS:
        trouble(peer)
    before = machine()
    lines = [line for measure in (bb84, chain, distilled) for line in measure()]
    after = machine()
    if given.docs:
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), lines, before, after), encoding="utf-8")
    if given.json:
        document = {"before": before, "after": after, "lines": lines}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        show(lines, before, after)


if __name__ == "__main__":
    main()

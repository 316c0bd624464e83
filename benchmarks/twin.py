"""`python -m benchmarks.twin [--json]`: the twin beside SeQUeNCe, QuNetSim and SimQN, same parameters.

Ours, SeQUeNCe and SimQN are measured on the processor time of one core; QuNetSim, which waits for its own
threads and processes, by the clock. Each peer runs in an environment of its own, which is made where there is
none, and gets about a minute; one that cannot be installed or hangs is reported as such.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.chain import description
from benchmarks.environments import DRIVERS, PEERS, ROOT, Failure, Peer, ask, installed
from benchmarks.postprocessing import BOTH_ENDS, FRAME_BITS, MEMORY, SLOWER_END, WORST, postprocessing
from qstrata.core.randomness import stream
from qstrata.physics.chain import run
from qstrata.physics.clicks import ClickSampler
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.profiles import profile

SEQUENCE, QUNETSIM, SIMQN = PEERS
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


class Line(msgspec.Struct, frozen=True):
    """One line of the table: `per_s` of `unit`, None where a peer gave none; `ratio` is ours over it."""

    row: str
    who: str
    per_s: float | None
    unit: str
    ratio: float | None = None
    bound: str = ""
    kept: bool | None = None
    note: str = ""


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


def _trains(asked: dict[str, Any]) -> tuple[float, str]:
    answer = ask(SEQUENCE, DRIVERS / "sequence_bb84.py", asked)
    return answer["pulses"] / answer[
        "spent_s"
    ], f"{answer['pulses']} pulses at 1 MHz, {answer['clicks']} clicks"


def _photons(peer: Peer, driver: str, asked: dict[str, Any], pulses: int) -> tuple[float, str]:
    answer = ask(peer, DRIVERS / f"{driver}.py", asked | {"pulses": pulses})
    note = f"single photons, {'no loss, ' if peer is QUNETSIM else ''}no decoys"
    return answer["pulses"] / answer["spent_s"], f"{note}; {answer['pulses']} sent, {answer['sifted']} sifted"


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


def _pairs(peer: Peer, driver: str, pairs: int) -> tuple[float, str]:
    answer = ask(peer, DRIVERS / f"{driver}.py", CHAIN | {"pairs": pairs})
    if not answer["pairs"]:
        raise Failure("gave no pair")
    note = f"{_MODELS[peer.name]}; {answer['pairs']} pairs"
    if answer.get("simulated_s"):
        note += f", {answer['pairs'] / answer['simulated_s']:.0f} per simulated s"
    if answer.get("fidelity"):
        note += f", fidelity {answer['fidelity']:.3f}"
    return answer["pairs"] / answer["spent_s"], note


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
    measured: Callable[[], tuple[float, str]],
    times: float | None = None,
) -> Line:
    """Return a peer's line; `times` is how much faster we must be."""
    bound = f"ours >= {times:,.0f} times" if times else ""
    try:
        per_s, note = measured()
        who = f"{peer.name} {_version(peer)}"
    except Failure as failure:
        return Line(row, peer.name, None, unit, None, bound, None, str(failure))
    ratio = ours / per_s
    kept = ratio >= times if times else None
    return Line(row, who, per_s, unit, ratio, bound, kept, note)


def _version(peer: Peer) -> str:
    installed(peer)
    name = peer.package.partition("==")[0]
    code = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run(
        [str(peer.python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def _ours() -> str:
    from importlib.metadata import version

    return f"qstrata {version('qstrata')}"


def machine() -> str:
    """Say what the figures depend on."""
    load = os.getloadavg()[0]
    return f"Python {platform.python_version()}, {os.cpu_count()} processors, load {load:.1f}"


def show(lines: list[Line], before: str, after: str) -> None:
    """Print the table."""
    table = Table("row", "who", "per second", "ours, times", "bound", "kept", "what was run")
    for line in lines:
        table.add_row(
            line.row,
            line.who,
            "none" if line.per_s is None else f"{line.per_s:,.0f} {line.unit}",
            "" if line.ratio is None else f"{line.ratio:,.0f}",
            line.bound,
            "" if line.kept is None else "yes" if line.kept else "no",
            line.note,
        )
    console = Console(width=180)
    console.print(table)
    console.print(f"before: {before}; after: {after}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.twin", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    before = machine()
    lines = [*bb84(), *chain(), *distilled()]
    after = machine()
    if given.json:
        document = {"before": before, "after": after, "lines": lines}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        show(lines, before, after)


if __name__ == "__main__":
    main()

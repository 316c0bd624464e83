"""Bell pairs: heralding, waiting, memories, distillation, measured pair by pair."""

import math
from functools import partial
from itertools import pairwise

import numpy as np

from qstrata.core.randomness import stream
from qstrata.fabric.messages.qubits import ApplyGate, CreatePair, DistilPairs, MoveQubit, SwapPairs
from qstrata.physics.bell import BellState
from qstrata.physics.entanglement_distillation import (
    ROTATIONS,
    Distillation,
    frame_after,
    frame_after_rotation,
    rotation,
)
from qstrata.physics.memories import MemoryParameters
from tests.unit.twin.pair_harness import PairScene, owner
from truth import closed_forms as cf
from truth.cells import NEAR, both, fidelity, fidelity_row, forget, free, scene, seconds
from truth.row import Row, at_least, of_share

MS = 1e-3


def _heralds(world: PairScene, count: int, cycle_ps: float) -> np.ndarray:
    """Return how many attempts each of `count` pairs took."""
    took = np.empty(count)
    for number in range(count):
        began = world.now
        herald = world.entangle("a", "b")
        took[number] = (herald.created_ps - began) / cycle_ps + 1
        for site in "ab":
            free(world, site, 0)
        if number % 1000 == 0:
            forget(world)
    return took


def heralding(share: float) -> list[Row]:
    """Herald pairs by two clicks and by one."""
    rows, arm, bright = [], 0.9 * 0.8 * 10 ** (-0.2), 0.2
    one_click = 2 * bright * (1 - bright) * arm + bright**2 * (2 * arm - arm**2)
    good = 2 * bright * (1 - bright) * arm / one_click
    cases = (
        ("barrett-kok", arm**2 / 2, 0.97, "eta_A eta_B/2, Barrett, Kok 2005"),
        ("single-click", one_click, good * 0.97 + (1 - good) * 0.03 / 3, "Cabrillo et al. 1999"),
    )
    for protocol, p, expected, source in cases:
        link = {
            "protocol": protocol,
            "length_km": 20.0,
            "loss_db": 4.0,
            "fidelity": 0.97,
            "bright_population": bright,
        }
        world = scene(link=link)
        # 20 km of fibre at a group index of 1.4682: there and back is one cycle.
        cycle_ps = 2 * math.ceil(10.0 * 1e15 * 1.4682 / 299_792_458)
        attempts = _heralds(world, at_least(2_000, 230_000, share), cycle_ps)
        error = math.sqrt(1 - p) / p / math.sqrt(len(attempts))
        rows.append(
            Row(
                f"{protocol}: attempts for a pair",
                float(attempts.mean()),
                error,
                1 / p,
                source,
                f"{len(attempts)} heralds, seed 1",
            )
        )

        def sample(basis: str, world: PairScene = world) -> tuple[int, BellState]:
            herald = world.entangle("a", "b")
            return both(world, basis), herald.frame

        rows.append(
            fidelity_row(
                f"{protocol}: fidelity",
                sample,
                at_least(500, 32_000 if p > 0.15 else 6_000, share),
                expected,
                source,
            )
        )
    return rows


def memories(share: float) -> list[Row]:
    """Let pairs wait in memories that depolarise, dephase, and are damped; in one wait and in two."""
    w, wait = cf.werner(0.95), 1 * MS
    cases = (
        (
            "depolarising in 20 ms",
            MemoryParameters(depolarising_s=20 * MS),
            0.25 + 0.7 * math.exp(-2 * wait / 20e-3),
            "1/4 + (F0 - 1/4) e^(-t/T) for each half",
        ),
        (
            "dephasing in 10 ms",
            MemoryParameters(t2_s=10 * MS),
            (1 + w) / 4 + w / 2 * math.exp(-2 * wait / 10e-3),
            "coherence e^(-t/T2) for each half",
        ),
        (
            "T1 50 ms, T2 10 ms",
            MemoryParameters(t1_s=50 * MS, t2_s=10 * MS),
            cf.damped(0.95, wait, 50e-3, 10e-3, -1),
            "both decays of a Psi pair",
        ),
    )
    rows = []
    for name, stored, expected, source in cases:
        for waits in (1, 2):
            world = scene(link=NEAR | {"fidelity": 0.95}, seed=waits, memory=stored)
            sample = partial(waited, world, wait, waits)
            said = f"memory {name}: fidelity after {waits} wait{'s of 0.5' if waits == 2 else ' of 1'} ms"
            rows.append(fidelity_row(said, sample, at_least(500, 22_000, share), expected, source))
    return rows


def waited(world: PairScene, wait: float, waits: int, basis: str) -> tuple[int, BellState]:
    """Let a new pair wait in so many pieces, and measure it."""
    herald = world.entangle("a", "b")
    cells = (0, 0)
    if waits == 2:
        seconds(world, wait / 2, herald.created_ps)
        for site in "ab":
            world.ask(site, MoveQubit, 0, 1)
        cells = (1, 1)
    seconds(world, wait, herald.created_ps)
    product = both(world, basis, cells=cells)
    forget(world)
    return product, herald.frame


P_TENTH_DB = -20 * math.log10(math.sqrt(0.2) / 0.72)
"""The loss at which one attempt in ten is heralded, with memories of 0.9 and detectors of 0.8."""


def waiting(share: float) -> list[Row]:
    """Wait for two links side by side, for ever and with a cut-off, and for eight links at once."""
    link = {"length_km": 10.0, "loss_db": P_TENTH_DB}
    cycle = 2 * math.ceil(5.0 * 1e15 * 1.4682 / 299_792_458)
    rows = []
    for name, cutoff, expected, full in (
        ("two links, kept for ever: attempts until both have a pair", None, 14.736842105263158, 133_000),
        (
            "two links, cut-off of 5 attempts: attempts until both have a pair",
            5,
            cf.attempts_with_cutoff(0.1, 5),
            220_000,
        ),
    ):
        world = scene("abc", link, cells=2)
        attempts = (
            np.array([_time_of_both(world, cutoff, cycle) for _ in range(at_least(500, full, share))]) / cycle
        )
        error = float(attempts.std()) / math.sqrt(len(attempts))
        rows.append(
            Row(
                name,
                float(attempts.mean()),
                error,
                expected,
                "Collins et al. 2007",
                f"{len(attempts)} rounds of p 0.1, seed 1",
            )
        )
    world = scene("abcdefghi", link, cells=2)
    rounds = [_time_of_all(world, "abcdefghi") / cycle for _ in range(at_least(200, 20_000, share))]
    error = float(np.std(rounds)) / math.sqrt(len(rounds))
    rows.append(
        Row(
            "eight links: attempts until all have a pair",
            float(np.mean(rounds)),
            error,
            cf.attempts_of_all(8, 0.1),
            "E[max], Bernardes et al. 2011",
            f"{len(rounds)} rounds of p 0.1, seed 1",
        )
    )
    return rows


def _time_of_all(world: PairScene, sites: str) -> int:
    began = world.now
    asked = []
    for a, b in pairwise(sites):
        for site, cell in ((a, 1), (b, 0)):
            name = f"{site}/{cell}/{began}"
            world.tell(site, CreatePair(name, f"{a}-{b}", cell))
            asked.append((site, name))
    while not all(world.answered(site, name) for site, name in asked):
        world.step()
    took = world.now - began
    for number, site in enumerate(sites):
        for cell in (0, 1):
            if (number or cell) and (number < len(sites) - 1 or not cell):
                free(world, site, cell)
    forget(world)
    return took


def _time_of_both(world: PairScene, cutoff: int | None, cycle: int) -> int:
    """Entangle a-b and b-c; the earlier pair is given up after `cutoff` more attempts. Return the time."""
    began = world.now
    while not world.entangle_both(cutoff, cycle):
        pass
    world.ask("b", SwapPairs, 0, 1)
    took = world.now - began
    for site in "ac":
        free(world, site, 0)
    forget(world)
    return took


def distillation(share: float) -> list[Row]:
    """Distil two Werner pairs of 0.8 by either protocol."""
    rows = []
    f, p = cf.bbpssw(0.8)
    for protocol in Distillation:
        world = scene(link=NEAR | {"fidelity": 0.8})
        tries = [0, 0]
        sample = partial(_distilled, world, protocol, tries)
        ours, error = fidelity(sample, at_least(500, 26_000, share))
        measured = f"{tries[1]} distilled of {tries[0]} tries, seed 1"
        source = "Bennett et al. 1996" if protocol is Distillation.BBPSSW else "Deutsch et al. 1996"
        name = protocol.name
        rows.append(Row(f"{name} of two Werner pairs of 0.8: fidelity", ours, error, f, source, measured))
        rows.append(
            of_share(f"{name} of two Werner pairs of 0.8: success", tries[1], tries[0], p, source, measured)
        )
    for row, worked in zip(list(rows), (0.838150, 0.768889), strict=False):
        rows.append(Row(f"{row.name}, worked value", row.ours, row.error, worked, row.source, row.sample))
    return rows


def turned_at_random(share: float) -> list[Row]:
    """Distil pairs that are no Werner states by BBPSSW; both ends turn each by one of twelve rotations first.

    Single clicks leave |11> in place of the Bell state at times, so that pairs are not even Bell-diagonal.
    """
    bright = 0.2
    eta = 0.9 * 0.8
    good = 2 * bright * (1 - bright) * eta
    of_link = good / (good + bright**2 * (2 * eta - eta**2))
    f, p = cf.bbpssw(of_link)
    figures = {"protocol": "single-click", "bright_population": bright, "fidelity": 1.0}
    world = scene(link=NEAR | figures)
    draws = stream(1, "truth", "rotations")
    tries = [0, 0]
    sample = partial(_distilled, world, Distillation.BBPSSW, tries, draws=draws)
    ours, error = fidelity(sample, at_least(500, 26_000, share))
    measured = f"{tries[1]} distilled of {tries[0]} tries, seed 1"
    name = f"BBPSSW of single-click pairs of {of_link:.4f}, turned at random"
    source = "Bennett et al. 1996, of Werner pairs"
    return [
        Row(f"{name}: fidelity", ours, error, f, source, measured),
        of_share(f"{name}: success", tries[1], tries[0], p, source, measured),
    ]


def _turn(world: PairScene, cell: int, number: int, frame: BellState) -> BellState:
    """Turn a pair at both ends by one of the twelve rotations; return its frame then."""
    for site, is_head in (("a", True), ("b", False)):
        for gate, angle in rotation(number, is_head=is_head):
            world.ask(site, ApplyGate, gate, (cell,), angle)
    return frame_after_rotation(number, frame)


def _distilled(
    world: PairScene,
    protocol: Distillation,
    tries: list[int],
    basis: str,
    draws: np.random.Generator | None = None,
) -> tuple[int, BellState]:
    while True:
        frames = [world.entangle("a", "b", cell, cell).frame for cell in (0, 1)]
        if draws is not None:
            numbers = draws.integers(0, ROTATIONS, 2).tolist()
            frames = [_turn(world, cell, numbers[cell], frames[cell]) for cell in (0, 1)]
        frame, parity = frame_after(protocol, frames[0], frames[1])
        bits = [world.ask(site, DistilPairs, 0, 1, protocol).bit for site in "ab"]
        tries[0] += 1
        if bits[0] ^ bits[1] == parity:
            tries[1] += 1
            product = both(world, basis)
            forget(world)
            return product, frame
        for site in "ab":
            free(world, site, 0)


def swapped_after_waiting(share: float) -> list[Row]:
    """Swap two pairs of which the earlier one has waited, in memories that depolarise."""
    link = {"length_km": 10.0, "loss_db": P_TENTH_DB, "fidelity": 0.98}
    cycle_s = 2 * math.ceil(5.0 * 1e15 * 1.4682 / 299_792_458) * 1e-12
    life_s = 2e-3
    world = scene("abc", link, cells=2, memory=MemoryParameters(depolarising_s=life_s))
    waited = math.exp(-4 * cycle_s / life_s) * cf.mean_decay_of_waiting(0.1, math.exp(-2 * cycle_s / life_s))
    expected = (1 + 3 * cf.werner(0.98) ** 2 * waited) / 4

    def sample(basis: str) -> tuple[int, BellState]:
        began = world.now
        sides = (("a", "a-b", 0), ("b", "a-b", 0), ("b", "b-c", 1), ("c", "b-c", 0))
        for site, name, cell in sides:
            world.tell(site, CreatePair(f"{site}/{cell}/{began}", name, cell))
        while not all(world.answered(site, f"{site}/{cell}/{began}") for site, _, cell in sides):
            world.step()
        frames = [world._answers[owner(site), f"{site}/0/{began}"].frame for site in "ac"]
        outcome = world.ask("b", SwapPairs, 0, 1).outcome
        product = both(world, basis, "ac")
        forget(world)
        return product, BellState(frames[0] ^ frames[1] ^ outcome)

    name = "two hops, swapped, memories of 2 ms: fidelity after the waits"
    return [fidelity_row(name, sample, at_least(500, 66_000, share), expected, "w^2 E[e^(-waits/T)]")]

"""Exact states in memory cells after instructions, against density matrices of an independent tool, qutip."""

import math
from itertools import pairwise

import numpy as np
import qutip as qt

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.qubits import (
    ApplyGate,
    CreatePair,
    DistilPairs,
    MeasureQubit,
    MoveQubit,
    SwapPairs,
)
from qstrata.physics.bell import BellState, from_probabilities
from qstrata.physics.density import pair
from qstrata.physics.entanglement_distillation import Distillation
from qstrata.physics.memories import MemoryParameters
from qstrata.twin.faults import SUBSTITUTION, TAMPERING, FaultBook
from tests.unit.physics.exact import (
    BELL,
    ONE,
    PAULI,
    ZERO,
    cnot,
    damping,
    dephasing,
    depolarising,
    mixture,
    on,
    through,
)
from tests.unit.twin.pair_harness import bit, owner
from truth import closed_forms as cf
from truth.cells import NEAR, exact, forget, put, scene
from truth.row import ROUNDING, Row

WORKED = ((0.85, 0.06, 0.05, 0.04), (0.90, 0.02, 0.05, 0.03))
SWAPPED = (0.7699, 0.0745, 0.0901, 0.0655)


def _apart(name: str, ours: np.ndarray, theirs: qt.Qobj, source: str) -> Row:
    """Return the row of two density matrices: half their trace distance, which must be nothing."""
    distance = float(np.abs(np.linalg.eigvalsh(ours - theirs.full())).sum()) / 2
    return Row(name, distance, ROUNDING, 0.0, source, "exact state")


def _projected(rho: qt.Qobj, outcomes: dict[int, int]) -> qt.Qobj:
    """Return the state of the other qubits, where some gave these bits along z."""
    size = len(rho.dims[0])
    for qubit, found in outcomes.items():
        projector = on((ONE if found else ZERO).proj(), qubit, size)
        rho = projector * rho * projector
    kept = [qubit for qubit in range(size) if qubit not in outcomes]
    return rho.ptrace(kept).unit()


def swaps(_: float) -> list[Row]:
    """Swap two Bell-diagonal pairs, noisy station included, and chains of Werner pairs."""
    rows = []
    world = scene("abc", cells=2)
    put(world, pair(from_probabilities(WORKED[0])), ("a", 0), ("b", 0))
    put(world, pair(from_probabilities(WORKED[1])), ("b", 1), ("c", 0))
    outcome = world.ask("b", SwapPairs, 0, 1).outcome
    rho = exact(world, ("a", 0), ("c", 0))
    for number, name in enumerate("IZXY"):
        state = BELL[number ^ outcome]
        weight = float((state.dag() * qt.Qobj(rho, dims=[[2, 2], [2, 2]]) * state).real)
        rows.append(
            Row(
                f"swap of two Bell-diagonal pairs: probability of the error {name}",
                weight,
                ROUNDING,
                SWAPPED[number],
                "worked value, p convolved with q",
                "exact state",
            )
        )
    rows.append(_swap_by_qutip())
    for stations, worked in ((3, 0.960533), (9, 0.854163)):
        fidelity = chain_fidelity("abcdefghi"[:stations], 0.98)
        links = stations - 1
        rows.append(
            Row(
                f"chain of {stations} nodes of links of 0.98: fidelity of the state",
                fidelity,
                ROUNDING,
                cf.chain(0.98, links),
                "(1 + 3 w^n)/4",
                "exact state",
            )
        )
        rows.append(
            Row(
                f"chain of {stations} nodes of links of 0.98: fidelity, worked value",
                fidelity,
                1e-6 / 5,
                worked,
                "six digits",
                "exact state",
            )
        )
    return rows


def _swap_by_qutip() -> Row:
    world = scene("abc", cells=2, gate_reliability=0.9, readout_fidelity=0.95)
    put(world, pair(from_probabilities(WORKED[0])), ("a", 0), ("b", 0))
    put(world, pair(from_probabilities(WORKED[1])), ("b", 1), ("c", 0))
    outcome = world.ask("b", SwapPairs, 0, 1).outcome
    rho = qt.tensor(mixture(WORKED[0]), mixture(WORKED[1]))
    gate = on(qt.gates.snot(), 1, 4) * cnot(1, 2, 4)
    works = gate * rho * gate.dag()
    noise = qt.tensor(rho.ptrace([0]), qt.qeye(2) / 2, qt.qeye(2) / 2, rho.ptrace([3]))
    rho = 0.9 * works + 0.1 * noise
    mixed = 0
    for z in (0, 1):
        for x in (0, 1):
            right = (0.95 if z == outcome & 1 else 0.05) * (0.95 if x == outcome >> 1 else 0.05)
            projector = on((ONE if z else ZERO).proj(), 1, 4) * on((ONE if x else ZERO).proj(), 2, 4)
            mixed = mixed + right * (projector * rho * projector).ptrace([0, 3])
    return _apart(
        "swap by a station that errs: distance to the exact state",
        exact(world, ("a", 0), ("c", 0)),
        mixed.unit(),
        "qutip: gates, noise, misread bits",
    )


def chain_fidelity(sites: str, fidelity: float) -> float:
    """Entangle neighbours, swap at every station, and return the fidelity of the ends to the told frame."""
    world = scene(sites, NEAR | {"fidelity": fidelity}, cells=2)
    asked = []
    for a, b in pairwise(sites):
        for site, cell in ((a, 1), (b, 0)):
            world.tell(site, CreatePair(f"{site}{cell}", f"{a}-{b}", cell))
            asked.append((site, f"{site}{cell}"))
    while not all(world.answered(*each) for each in asked):
        world.step()
    frame = 0
    for site in sites[1:]:
        frame ^= world._answers[owner(site), f"{site}0"].frame
    for site in sites[1:-1]:
        frame ^= world.ask(site, SwapPairs, 0, 1).outcome
    rho = qt.Qobj(exact(world, (sites[0], 1), (sites[-1], 0)), dims=[[2, 2], [2, 2]])
    state = BELL[frame]
    return float((state.dag() * rho * state).real)


def waits(_: float) -> list[Row]:
    """Let a pair wait in two memories, in one wait and in several, and move between cells meanwhile."""
    rows = []
    cases = (
        ("depolarising", MemoryParameters(depolarising_s=5e-3), depolarising, 5e-3),
        ("dephasing", MemoryParameters(t2_s=5e-3), dephasing, 5e-3),
    )
    wait = 1e-3
    for name, stored, channel, time_s in cases:
        rho = mixture(WORKED[0])
        for qubit in (0, 1):
            rho = through(rho, channel(math.exp(-wait / time_s)), qubit)
        rows += _waits_of(name, stored, rho)
    # Amplitude damping and what dephasing T2 has beyond it, of one qubit after the other.
    rho, t1, t2 = mixture(WORKED[0]), 8e-3, 6e-3
    for qubit in (0, 1):
        rho = through(rho, damping(1 - math.exp(-wait / t1)), qubit)
        rho = through(rho, dephasing(math.exp(-wait / t2 + wait / (2 * t1))), qubit)
    return [*rows, *_waits_of("T1 and T2", MemoryParameters(t1_s=t1, t2_s=t2), rho), _damped_worked()]


def _waits_of(name: str, stored: MemoryParameters, rho: qt.Qobj) -> list[Row]:
    rows = []
    for pieces in (1, 4):
        world = scene(memory=stored)
        put(world, pair(from_probabilities(WORKED[0])), ("a", 0), ("b", 0))
        cell = 0
        for piece in range(1, pieces + 1):
            world.run_until(round(piece * 1e-3 / pieces * PS_PER_S))
            if piece < pieces:
                for site in "ab":
                    world.ask(site, MoveQubit, cell, 1 - cell)
                cell = 1 - cell
        many = f"{pieces} pieces" if pieces > 1 else "1 piece"
        said = f"memory, {name}: distance to the exact state after a wait in {many}"
        rows.append(_apart(said, exact(world, ("a", cell), ("b", cell)), rho, "qutip: Kraus operators"))
    return rows


def _damped_worked() -> Row:
    world = scene(memory=MemoryParameters(t1_s=1.0, t2_s=10e-3))
    put(world, pair(from_probabilities((1.0, 0.0, 0.0, 0.0))), ("a", 0), ("b", 0))
    world.run_until(PS_PER_S // 1000)
    rho = qt.Qobj(exact(world, ("a", 0), ("b", 0)), dims=[[2, 2], [2, 2]])
    fidelity = float((BELL[0].dag() * rho * BELL[0]).real)
    return Row(
        "memory, T1 1 s and T2 10 ms: fidelity after 1 ms, worked value",
        fidelity,
        1e-8 / 5,
        0.90886613,
        "eight digits",
        "exact state",
    )


def distillations(_: float) -> list[Row]:
    """Distil unequal Bell-diagonal pairs by DEJMPS, and compare what is kept with the exact circuit."""
    rows = []
    for seed in (1, 2, 3):
        world = scene(seed=seed)
        for cell, weights in enumerate(WORKED):
            put(world, pair(from_probabilities(weights)), ("a", cell), ("b", cell))
        bits = [world.ask(site, DistilPairs, 0, 1, Distillation.DEJMPS).bit for site in "ab"]
        rho = qt.tensor(mixture(WORKED[0]), mixture(WORKED[1]))
        turn = (-1j * math.pi / 4 * qt.sigmax()).expm()
        for qubit, way in ((0, turn), (2, turn), (1, turn.dag()), (3, turn.dag())):
            rho = on(way, qubit, 4) * rho * on(way, qubit, 4).dag()
        gate = cnot(0, 2, 4) * cnot(1, 3, 4)
        kept = _projected(gate * rho * gate.dag(), {2: bits[0], 3: bits[1]})
        name = f"DEJMPS of unequal pairs, seed {seed}: distance to the exact state"
        rows.append(_apart(name, exact(world, ("a", 0), ("b", 0)), kept, "qutip: the circuit"))
    return rows


def gates(_: float) -> list[Row]:
    """Apply every gate to an entangled pair, and measure one of three entangled qubits."""
    by_qutip = {
        "h": qt.gates.snot(), "x": qt.sigmax(), "y": qt.sigmay(), "z": qt.sigmaz(),
        "s": qt.Qobj([[1, 0], [0, 1j]]), "t": qt.Qobj([[1, 0], [0, np.exp(0.25j * math.pi)]]),
        "rx": (-0.35j * qt.sigmax()).expm(), "ry": (-0.35j * qt.sigmay()).expm(),
        "rz": (-0.35j * qt.sigmaz()).expm(),
    }  # fmt: skip
    world = scene()
    put(world, pair(from_probabilities(WORKED[0])), ("a", 0), ("b", 0))
    rho = mixture(WORKED[0])
    for gate, unitary in by_qutip.items():
        world.ask("a", ApplyGate, gate, (0,), 0.7 if gate.startswith("r") else 0.0)
        rho = on(unitary, 0, 2) * rho * on(unitary, 0, 2).dag()
    rows = [
        _apart(
            f"gates {' '.join(by_qutip)}: distance to the exact state",
            exact(world, ("a", 0), ("b", 0)),
            rho,
            "qutip: the circuit",
        )
    ]
    theta, phi = 0.7, 0.4
    found = bit(world.ask("a", MeasureQubit, 0, theta, phi))
    along = (
        math.sin(theta) * (math.cos(phi) * qt.sigmax() + math.sin(phi) * qt.sigmay())
        + math.cos(theta) * qt.sigmaz()
    )
    projector = on((qt.qeye(2) + (1 - 2 * found) * along) / 2, 0, 2)
    left = (projector * rho * projector).ptrace([1]).unit()
    rows.append(
        _apart(
            "measurement along a slanted axis: distance of what is left to the exact state",
            exact(world, ("b", 0)),
            left,
            "qutip: projection",
        )
    )
    forget(world)
    return rows


def order_of_bell_states(_: float) -> list[Row]:
    """Put each Bell state, by its number, into cells: the fidelity to the state of that name."""
    rows = []
    for frame in BellState:
        world = scene()
        put(world, pair(from_probabilities((1.0, 0.0, 0.0, 0.0), frame)), ("a", 0), ("b", 0))
        rows.append(
            _apart(
                f"Bell state number {int(frame)} is {frame.name}: distance",
                exact(world, ("a", 0), ("b", 0)),
                BELL[frame].proj(),
                "qutip: Phi+, Phi-, Psi+, Psi-",
            )
        )
    return rows


def attacked(_: float) -> list[Row]:
    """Substitute pairs of one link, tamper with the memory between two, and swap: the state that is left."""
    share, tampered, w = 0.3, 0.2, cf.werner(0.95)
    world = scene("abc", link=NEAR | {"fidelity": 0.95}, cells=2)
    book = FaultBook({"a-b": "fibre/a-b"}, (), without_pulses=("fibre/a-b",), memories=("b",))
    for kind, where, amount in ((SUBSTITUTION, "a-b", share), (TAMPERING, "b", tampered)):
        world.perform(world.pairs.follow(book.inject(kind, where, amount, 0), book, 0))
    first, second = world.entangle("a", "b"), world.entangle("b", "c", 1, 0)
    plus, minus = (ZERO + ONE).unit(), (ZERO - ONE).unit()
    products = sum(qt.tensor(each, each).proj() / 4 for each in (ZERO, ONE, plus, minus))
    turn = qt.tensor(PAULI[first.frame], qt.qeye(2))
    white = qt.tensor(qt.qeye(2), qt.qeye(2)) / 4
    honest = [w * BELL[each.frame].proj() + (1 - w) * white for each in (first, second)]
    rho = qt.tensor((1 - share) * honest[0] + share * turn * products * turn.dag(), honest[1])
    for qubit in (1, 2):
        rho = through(rho, depolarising(1 - tampered), qubit)
    before = [
        _apart(
            f"pair of {name}: distance to the exact state",
            exact(world, *places),
            rho.ptrace(kept),
            "qutip: products in Z and X, Kraus operators",
        )
        for name, places, kept in (
            ("30% substituted and 20% tampered with", (("a", 0), ("b", 0)), [0, 1]),
            ("20% tampered with", (("b", 1), ("c", 0)), [2, 3]),
        )
    ]
    outcome = world.ask("b", SwapPairs, 0, 1).outcome
    gate = on(qt.gates.snot(), 1, 4) * cnot(1, 2, 4)
    theirs = _projected(gate * rho * gate.dag(), {1: outcome & 1, 2: outcome >> 1})
    name = "swap of an attacked pair in an attacked memory: distance to the exact state"
    return [*before, _apart(name, exact(world, ("a", 0), ("c", 0)), theirs, "qutip: the circuit")]

"""Circuits over the fabric: attacks on their pairs, judged by tests at both ends, and pumped pairs."""

import math

import numpy as np
from scipy.special import rel_entr
from scipy.stats import binom

from qstrata.physics.bell import werner
from qstrata.physics.entanglement_distillation import Distillation
from qstrata.physics.pair_attacks import CHSH_GAME, PairCounts, pair_findings
from qstrata.strata.forwarding.resource.pair_distiller import Pumping
from tests.simulation.pair_programs import AxisMeasuring, Measuring
from tests.simulation.pair_world import PairWorld
from truth import closed_forms as cf
from truth.cells import NEAR, PRODUCTS
from truth.row import Row, at_least, of_share

FIDELITY, BLOCK, FALSE_ALARM = 0.95, 100, 1e-4
SIGNS = {(0, 2): 1, (0, 3): 1, (1, 2): 1, (1, 3): -1}


def _attacked(kind: str, target: str, amount: float, pairs: int) -> PairWorld:
    world = PairWorld(2, Measuring, link=NEAR | {"fidelity": FIDELITY})
    world.inject(kind, target, amount)
    world.run(0.001)
    world.run_until(lambda: len(world.tail.own) >= pairs)
    return world


def _games(world: PairWorld) -> list[bool]:
    """Return which pairs measured in settings of the CHSH test had the sign that the setting wants."""
    head, won = world.head, []
    for name, bit in head.given_up.items():
        sign = SIGNS.get((head.own[name][0], head.theirs[name])) if name in head.own else None
        if sign is not None:
            won.append(sign * (1 - 2 * (bit ^ head.own[name][1])) > 0)
    return won


def _power(honest: float, attacked: float) -> float:
    """Return how probable an alarm of a block is: so many games are lost that honest pairs never do."""
    lost = np.arange(math.ceil(BLOCK * (1 - honest)), BLOCK + 1)
    seen = lost / BLOCK
    deviance = BLOCK * (rel_entr(seen, 1 - honest) + rel_entr(1 - seen, honest))
    least = int(lost[deviance >= math.log(2 / FALSE_ALARM)][0])
    return float(binom.sf(least - 1, BLOCK, 1 - attacked))


def attacks_on_pairs(share: float) -> list[Row]:
    """Give separable pairs, and tamper with a memory: what both ends of a circuit find by E91 and BBM92."""
    rows, w, pairs = [], cf.werner(FIDELITY), at_least(4_000, 22_000, share)
    cases = (
        ("entanglement-substitution", "n00-n01", 1.0, 0.5, "half of XX and ZZ: Horodecki et al. 1995"),
        ("entanglement-substitution", "n00-n01", 0.3, 0.7 * w + 0.15, "(1 - s) w + s/2"),
        ("memory-tampering", "n00", 0.45, 0.55 * w, "four Paulis alike: (1 - s) w"),
    )
    for kind, target, amount, left, source in cases:
        world = _attacked(kind, target, amount, pairs)
        won = _games(world)
        name, sample = f"{kind} of {amount:.0%} on a circuit", f"{len(won)} games of {pairs} pairs, seed 1"
        chance = 0.5 + math.sqrt(2) * 2 * left / 8
        rows.append(of_share(f"{name}: CHSH games won", sum(won), len(won), chance, source, sample))
        ours, theirs = world.head.key(), world.tail.key()
        common = [pair for pair in ours if pair in theirs]
        wrong = sum(ours[pair] != theirs[pair] for pair in common)
        said = f"{len(common)} sifted bits of {pairs} pairs, seed 1"
        rows.append(
            of_share(f"{name}: error rate of BBM92", wrong, len(common), (1 - left) / 2, source, said)
        )
        if amount > 0.3:
            rows.append(_alarms(name, won, chance))
    return [*rows, _through_a_station(share)]


def _alarms(name: str, won: list[bool], chance: float) -> Row:
    blocks = [won[start : start + BLOCK] for start in range(0, len(won) - BLOCK + 1, BLOCK)]
    findings = (
        pair_findings(PairCounts((BLOCK, sum(block))), werner(FIDELITY), FALSE_ALARM) for block in blocks
    )
    alarms = sum(any(found.instrument == CHSH_GAME for found in each) for each in findings)
    honest = 0.5 + math.sqrt(2) * 2 * cf.werner(FIDELITY) / 8
    return of_share(
        f"{name}: blocks of {BLOCK} games with an alarm",
        alarms,
        len(blocks),
        _power(honest, chance),
        "scipy: tail of the binomial law",
        f"{len(blocks)} blocks, seed 1",
    )


def _through_a_station(share: float) -> Row:
    """Attack the pairs of one link and the memory of the station between two ends, faintly."""
    world = PairWorld(3, AxisMeasuring, link=NEAR | {"fidelity": 1.0})
    world.inject("entanglement-substitution", "n00-n01", 0.05)
    world.inject("memory-tampering", "n01", 0.01)
    world.run(0.001)
    world.run_until(lambda: len(world.tail.outcomes) >= at_least(2_000, 18_000, share))
    ours, error, pairs = _fidelity(world)
    # Both cells of the station are tampered with, after which 0.99 of the correlators is left of each.
    expected = (1 + 0.99**2 * (0.975 + 0.95 + 0.975)) / 4
    return Row(
        "circuit with 5% of a link's pairs substituted, 1% of a station's qubits tampered with: fidelity",
        ours,
        error,
        expected,
        "correlators: 1 - s/2, 1 - s, 1 - s; 1 - t twice",
        f"{pairs} pairs, seed 1",
    )


def _fidelity(world: PairWorld) -> tuple[float, float, int]:
    """Return the fidelity to the told frames, its standard error, and how many pairs both ends measured."""
    products: dict[str, list[int]] = {axis: [] for axis in "xyz"}
    for name, (frame, bit) in world.head.outcomes.items():
        if name in world.tail.outcomes:
            axis = "xyz"[AxisMeasuring.axis(name)]
            other = world.tail.outcomes[name][1]
            products[axis].append(PRODUCTS[frame][axis] * (1 - 2 * (bit ^ other)))
    means = [float(np.mean(found)) for found in products.values()]
    variance = sum(
        (1 - mean * mean) / len(found) for mean, found in zip(means, products.values(), strict=True)
    )
    return (1 + sum(means)) / 4, math.sqrt(variance) / 4, sum(map(len, products.values()))


def pumping(share: float) -> list[Row]:
    """Let the ends of a circuit better each pair by two fresh ones, by either protocol."""
    rows = []
    for protocol, source in (
        (Distillation.BBPSSW, "Bennett et al. 1996, of unequal pairs"),
        (Distillation.DEJMPS, "Deutsch et al. 1996, of unequal pairs"),
    ):
        world = PairWorld(2, AxisMeasuring, link=NEAR | {"fidelity": 0.93}, pumping=Pumping(protocol, 2))
        wanted = at_least(1_000, 18_000 if protocol is Distillation.BBPSSW else 11_000, share)
        world.run_until(lambda world=world, wanted=wanted: len(world.tail.outcomes) >= wanted)
        fidelity, cost = cf.pumped(0.93, 2, deutsch=protocol is Distillation.DEJMPS)
        ours, error, pairs = _fidelity(world)
        name = f"{protocol.name} by pumping, a circuit's pairs of 0.93 bettered by two"
        sample = f"{pairs} pairs, seed 1"
        rows.append(Row(f"{name}: fidelity", ours, error, fidelity, source, sample))
        numbers = sorted(int(pair.rpartition("/")[2]) for pair in world.head.outcomes)
        took = np.diff([0, *numbers])
        spread = float(took.std()) / math.sqrt(len(took))
        rows.append(Row(f"{name}: pairs that one takes", float(took.mean()), spread, cost, source, sample))
    return rows

"""What pairs are used for: BBM92, E91, teleportation, over one link and through stations."""

import math

import numpy as np

from qstrata.core.randomness import stream
from qstrata.fabric.messages.qubits import ApplyGate, PrepareQubit
from tests.simulation.pair_programs import Measuring, Teleporting
from tests.simulation.pair_world import PairWorld
from tests.unit.twin.pair_harness import PairScene
from truth import closed_forms as cf
from truth.cells import NEAR, forget, measured, scene
from truth.row import Row, at_least, of_share

HALF = math.pi / 2


def _framed(theta: float, frame: int) -> float:
    """Return the angle in the x-z plane at which a framed pair correlates as Phi+ does at `theta`."""
    if frame & 2:
        theta = math.pi - theta
    return -theta if frame & 1 else theta


def _pair_product(world: PairScene, angle_a: float, angle_b: float) -> int:
    frame = world.entangle("a", "b").frame
    return measured(world, "a", 0, angle_a) * measured(world, "b", 0, _framed(angle_b, frame))


def bbm92(share: float) -> list[Row]:
    """Sift key from pairs: its error rate, and the key that is left of it."""
    rows = []
    for fidelity, full in ((0.6, 700_000), (0.98, 800_000)):
        world = scene(link=NEAR | {"fidelity": fidelity})
        bases, wrong = stream(1, "truth", "bases").integers(0, 2, at_least(4_000, full, share)), [0, 0]
        for number, basis in enumerate(bases.tolist()):
            wrong[basis] += _pair_product(world, basis * HALF, basis * HALF) < 0
            if number % 1000 == 0:
                forget(world)
        trials = [int((bases == basis).sum()) for basis in (0, 1)]
        expected = (1 - cf.werner(fidelity)) / 2
        sample = f"{len(bases)} sifted pairs, seed 1"
        source = "(1 - w)/2, Bennett, Brassard, Mermin 1992"
        rows.append(
            of_share(
                f"BBM92 on pairs of {fidelity:g}: error rate",
                sum(wrong),
                len(bases),
                expected,
                source,
                sample,
            )
        )
        if cf.h(expected) < 0.5:
            shares = [hits / many for hits, many in zip(wrong, trials, strict=True)]
            slope = math.log2((1 - expected) / expected)
            error = math.sqrt(sum(expected * (1 - expected) / many for many in trials)) * slope
            # The entropy bends downwards: its mean over draws is a little lower.
            bend = sum(1 / (2 * many * math.log(2)) for many in trials)
            key = 1 - sum(map(cf.h, shares)) - bend
            rows.append(
                Row(
                    f"BBM92 on pairs of {fidelity:g}: secret bits per sifted bit",
                    key,
                    error,
                    1 - 2 * cf.h(expected),
                    "1 - 2 h(Q)",
                    sample,
                )
            )
    return rows


def chsh(share: float) -> list[Row]:
    """Measure the four correlations of E91 on Werner pairs of 0.95."""
    world = scene(link=NEAR | {"fidelity": 0.95})
    each = at_least(2_000, 85_000, share)
    value, variance = 0.0, 0.0
    for angle_a, angle_b, sign in (
        (0.0, HALF / 2, 1),
        (0.0, -HALF / 2, 1),
        (HALF, HALF / 2, 1),
        (HALF, -HALF / 2, -1),
    ):
        products = np.array([_pair_product(world, angle_a, angle_b) for _ in range(each)])
        forget(world)
        value += sign * products.mean()
        variance += products.var() / each
    expected = 2 * math.sqrt(2) * cf.werner(0.95)
    sample = f"{4 * each} pairs, seed 1"
    name = "CHSH value of Werner pairs of 0.95"
    return [
        Row(name, float(value), math.sqrt(variance), expected, "2 sqrt2 w, Horodecki et al. 1995", sample),
        Row(
            f"{name}: never above Tsirelson's bound",
            float(value),
            math.sqrt(variance),
            2 * math.sqrt(2),
            "2 sqrt2",
            sample,
            "<=",
        ),
    ]


def teleportation(share: float) -> list[Row]:
    """Teleport qubits drawn evenly from the sphere, and check them along the direction drawn."""
    rows = []
    for fidelity in (0.75, 0.95):
        world = scene(link=NEAR | {"fidelity": fidelity})
        count, right = at_least(1_000, 60_000 if fidelity < 0.9 else 12_000, share), 0
        draws = stream(1, "truth", "sent").random((count, 2))
        for number, (one, other) in enumerate(draws.tolist()):
            right += _teleported(world, math.acos(1 - 2 * one), 2 * math.pi * other)
            if number % 1000 == 0:
                forget(world)
        name = f"teleportation by pairs of {fidelity:g}: mean fidelity"
        rows.append(
            of_share(
                name,
                right,
                count,
                (2 * fidelity + 1) / 3,
                "(2F + 1)/3, Horodecki et al. 1999",
                f"{count} qubits, seed 1",
            )
        )
    return rows


def _teleported(world: PairScene, theta: float, phi: float) -> int:
    frame = world.entangle("a", "b").frame
    world.ask("a", PrepareQubit, 1, theta, phi)
    world.ask("a", ApplyGate, "cx", (1, 0))
    world.ask("a", ApplyGate, "h", (1,))
    z, x = measured(world, "a", 1, 0.0) < 0, measured(world, "a", 0, 0.0) < 0
    if x ^ bool(frame & 2):
        world.ask("b", ApplyGate, "x", (0,))
    if z ^ bool(frame & 1):
        world.ask("b", ApplyGate, "z", (0,))
    return int(measured(world, "b", 0, theta, phi) > 0)


def through_stations(share: float) -> list[Row]:
    """Run BBM92, E91 and teleportation as programs of the ends of a circuit of two links, over the fabric."""
    rows = []
    world = PairWorld(3, Measuring, link=NEAR | {"fidelity": 0.9})
    pairs = at_least(4_000, 120_000, share)
    world.run_until(lambda: len(world.tail.own) >= pairs)
    w = cf.werner(0.9) ** 2
    ours, theirs = world.head.key(), world.tail.key()
    common = [name for name in ours if name in theirs]
    wrong = sum(ours[name] != theirs[name] for name in common)
    sample = f"{pairs} pairs, seed 1"
    rows.append(
        of_share(
            "BBM92 through a station, links of 0.9: error rate",
            wrong,
            len(common),
            (1 - w) / 2,
            "(1 - w^2)/2",
            f"{len(common)} sifted bits of {sample}",
        )
    )
    value, error = world.head.chsh()
    rows.append(
        Row(
            "E91 through a station, links of 0.9: CHSH value",
            value,
            error,
            2 * math.sqrt(2) * w,
            "2 sqrt2 w^2",
            sample,
        )
    )
    teleports = PairWorld(3, Teleporting, link=NEAR | {"fidelity": 0.95}, cells=3)
    count = at_least(1_000, 20_000, share)
    teleports.run_until(lambda: len(teleports.tail.checks) >= count)
    right = count - sum(teleports.tail.checks[:count])
    expected = (2 * cf.chain(0.95, 2) + 1) / 3
    rows.append(
        of_share(
            "teleportation through a station, links of 0.95: mean fidelity",
            right,
            count,
            expected,
            "(2F + 1)/3",
            f"{count} qubits, seed 1",
        )
    )
    return rows

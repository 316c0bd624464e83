"""Pairs by the instruction set alone: devices side by side, what they herald, hold and measure."""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.qubits import FreeCell, MeasureQubit
from qstrata.physics.bell import BellState
from qstrata.physics.density import Tensor, density_matrix
from qstrata.twin.qubits import Cell, age, place
from tests.unit.twin.pair_harness import PairScene, bit, memory, owner, pair_link
from truth.row import Row

NEAR = {"length_km": 0.1, "loss_db": 0.0}
ALONG = {"x": (math.pi / 2, 0.0), "y": (math.pi / 2, math.pi / 2), "z": (0.0, 0.0)}
PRODUCTS = {
    BellState.PHI_PLUS: {"x": 1, "y": -1, "z": 1},
    BellState.PHI_MINUS: {"x": -1, "y": 1, "z": 1},
    BellState.PSI_PLUS: {"x": 1, "y": 1, "z": -1},
    BellState.PSI_MINUS: {"x": -1, "y": -1, "z": -1},
}
"""XX, YY and ZZ of the four Bell states: Phi+, Phi-, Psi+, Psi- in this order (Nielsen and Chuang, 1.3.6)."""

Sample = Callable[[str], tuple[int, BellState]]
"""Make a pair, measure both halves along x, y or z: the product of the outcomes, and the frame."""


def scene(
    sites: str = "ab", link: Mapping[str, float | str] | None = None, seed: int = 1, **figures: object
) -> PairScene:
    """Return devices in a row, each linked with the next."""
    figures.setdefault("cells", 4)
    links = [pair_link(a, b, **(link or NEAR)) for a, b in pairwise(sites)]
    return PairScene([memory(site, **figures) for site in sites], links, seed)


def measured(world: PairScene, site: str, cell: int, theta: float, phi: float = 0.0) -> int:
    """Measure a qubit and return 1 for outcome 0, -1 for outcome 1."""
    return 1 - 2 * bit(world.ask(site, MeasureQubit, cell, theta, phi))


def both(world: PairScene, basis: str, ends: str = "ab", cells: tuple[int, int] = (0, 0)) -> int:
    """Measure both ends along an axis and return the product of the outcomes."""
    one, other = (measured(world, site, cell, *ALONG[basis]) for site, cell in zip(ends, cells, strict=True))
    return one * other


def forget(world: PairScene) -> None:
    """Forget what has been told: a long run would remember all of it."""
    world.told.clear()
    world._answers.clear()


def fidelity(sample: Sample, count: int) -> tuple[float, float]:
    """Return the fidelity to the told frame from `count` pairs in each of three bases, and its error."""
    means, variances = [], []
    for basis in "xyz":
        found = (sample(basis) for _ in range(count))
        products = np.array([product * PRODUCTS[frame][basis] for product, frame in found])
        means.append(float(products.mean()))
        variances.append(max(float(products.var()), 1.0 / count) / count)
    return (1 + sum(means)) / 4, math.sqrt(sum(variances)) / 4


def fidelity_row(name: str, sample: Sample, count: int, expected: float, source: str) -> Row:
    """Return the row of a measured fidelity."""
    ours, error = fidelity(sample, count)
    return Row(name, ours, error, expected, source, f"{3 * count} measured pairs, seed 1")


def cell_of(world: PairScene, site: str, number: int) -> Cell:
    """Return a cell of a device, to read the exact state in it or to put one into it."""
    cell: Cell = world.pairs._devices[owner(site)].cells[number]
    return cell


def put(world: PairScene, state: Tensor, *places: tuple[str, int]) -> None:
    """Put a state into cells, as it would be heralded now."""
    place(state, [cell_of(world, site, number) for site, number in places], world.now)


def exact(world: PairScene, *places: tuple[str, int]) -> np.ndarray:
    """Return the exact density matrix of the qubits in cells, aged until now, in the order of the cells."""
    cells = [cell_of(world, *where) for where in places]
    for cell in cells:
        age(cell, world.now)
    group = cells[0].held()
    order = [group.cells.index(cell) for cell in cells]
    return density_matrix(group.state.transpose(order))


def free(world: PairScene, site: str, number: int) -> None:
    """Free a cell."""
    world.ask(site, FreeCell, number)


def seconds(world: PairScene, wait_s: float, since_ps: int) -> None:
    """Let the clock go on to so many seconds after an instant."""
    world.run_until(since_ps + round(wait_s * PS_PER_S))

"""The qubits in memory cells: groups that share one exact state, aged when they are touched.

Each cell remembers the instant up to which its qubit has aged. Operations at two ends of a pair commute, so
each end is aged on its own; the state of a group is what all its cells' instants together say.
"""

import math
from collections.abc import Callable

from qstrata.core.errors import InternalError
from qstrata.physics import density
from qstrata.physics.bell import BellState
from qstrata.physics.density import QUBITS_MAX, Tensor
from qstrata.physics.entanglement_distillation import Distillation
from qstrata.physics.memories import decay
from qstrata.physics.pair_link import DeviceParameters

Uniform = Callable[[], float]
_ALONG_Z = (0.0, 0.0, 1.0)


class Group:
    """Qubits with a common state; axis i of the tensor is cell i."""

    __slots__ = ("cells", "state")

    def __init__(self, state: Tensor, cells: list["Cell"]) -> None:
        self.state = state
        self.cells = cells


class Cell:
    """One memory cell of a device: empty where it has no group."""

    __slots__ = ("device", "group", "parameters", "touched_ps", "until_ps")

    def __init__(self, device: str, parameters: DeviceParameters) -> None:
        self.device = device
        self.parameters = parameters
        self.group: Group | None = None
        self.touched_ps = 0
        self.until_ps: int | None = None

    def held(self) -> Group:
        """Return the group of the qubit in the cell; InternalError when it is empty."""
        if self.group is None:
            raise InternalError(f"a cell of {self.device} is used while it is empty")
        return self.group

    def expire(self, now: int) -> bool:
        """Tell whether the qubit has passed its cut-off; it is lost then."""
        if self.group is None or self.until_ps is None or now <= self.until_ps:
            return False
        free(self)
        return True


def place(state: Tensor, cells: list[Cell], at_ps: int) -> None:
    """Put the qubits of a state, as it was at an instant, into empty cells."""
    group = Group(state, cells)
    for cell in cells:
        if cell.group is not None:
            raise InternalError(f"a cell of {cell.device} is filled twice")
        cell.group, cell.touched_ps, cell.until_ps = group, at_ps, None


def age(cell: Cell, now: int) -> None:
    """Let the qubit of a cell have waited until now. InternalError where that is before it was touched."""
    elapsed_ps = now - cell.touched_ps
    if elapsed_ps < 0:
        raise InternalError(f"a qubit of {cell.device} was touched at {cell.touched_ps} ps, {now} is before")
    if elapsed_ps:
        group = cell.held()
        waited = decay(cell.parameters.memory, elapsed_ps)
        group.state = density.apply_decay(group.state, waited, group.cells.index(cell))
        cell.touched_ps = now


def free(cell: Cell) -> None:
    """Forget the qubit of a cell, if it holds one: the others keep what is theirs."""
    group = cell.group
    if group is None:
        return
    axis = group.cells.index(cell)
    _without(cell, density.trace_out(group.state, axis))


def move(cell: Cell, to: Cell, now: int) -> None:
    """Move a qubit to an empty cell, with its cut-off."""
    age(cell, now)
    group = cell.held()
    group.cells[group.cells.index(cell)] = to
    to.group, to.touched_ps, to.until_ps = group, now, cell.until_ps
    cell.group, cell.until_ps = None, None


def fits(*cells: Cell) -> bool:
    """Tell whether the groups of cells may become one."""
    groups = {id(cell.held()): len(cell.held().cells) for cell in cells}
    return sum(groups.values()) <= QUBITS_MAX


def apply_gate(cells: tuple[Cell, ...], gate: str, angle: float, now: int) -> None:
    """Apply a gate to one cell, or to two of one device, with the device's noise on two."""
    group = _joined(cells, now)
    axes = tuple(group.cells.index(cell) for cell in cells)
    group.state = density.apply_gate(group.state, gate, axes, angle)
    if len(cells) > 1:
        group.state = density.depolarise(group.state, axes, cells[0].parameters.gate_reliability)


def measure(cell: Cell, along: tuple[float, float, float], uniform: Uniform, now: int) -> int:
    """Measure a qubit and return the bit as it was read; the cell is empty then."""
    age(cell, now)
    group = cell.held()
    axis = group.cells.index(cell)
    bit, rest = density.measure(group.state, axis, along, uniform(), cell.parameters.readout_fidelity)
    _without(cell, rest)
    return bit


def swap(cell: Cell, other: Cell, uniform: Uniform, now: int) -> BellState:
    """Measure two qubits in the Bell basis by a CNOT, a Hadamard gate and two measurements."""
    apply_gate((cell, other), "cx", 0.0, now)
    apply_gate((cell,), "h", 0.0, now)
    z = measure(cell, _ALONG_Z, uniform, now)
    x = measure(other, _ALONG_Z, uniform, now)
    return BellState(2 * x + z)


def are_two_pairs(keep: Cell, spend: Cell) -> bool:
    """Tell whether two cells hold halves of two pairs, or of pairs that the other end has distilled."""
    one, two = keep.held(), spend.held()
    others = [cell.device for cell in (*one.cells, *(two.cells if one is not two else ()))]
    own = [device for device in others if device == keep.device]
    far = {device for device in others if device != keep.device}
    return len(own) == 2 and len(far) == 1 and len(others) in ((3,) if one is two else (4,))


def distil(keep: Cell, spend: Cell, protocol: Distillation, uniform: Uniform, now: int) -> int:
    """Do one end's half of a distillation and return its bit.

    DEJMPS turns about x by +pi/2 at the device whose name sorts first, by -pi/2 at the other.
    """
    if protocol is Distillation.DEJMPS:
        far = next(cell.device for cell in keep.held().cells if cell.device != keep.device)
        angle = math.pi / 2.0 if keep.device < far else -math.pi / 2.0
        for cell in (keep, spend):
            apply_gate((cell,), "rx", angle, now)
    apply_gate((keep, spend), "cx", 0.0, now)
    return measure(spend, _ALONG_Z, uniform, now)


def _joined(cells: tuple[Cell, ...], now: int) -> Group:
    for cell in cells:
        age(cell, now)
    first = cells[0].held()
    for cell in cells[1:]:
        other = cell.held()
        if other is first:
            continue
        first.state = density.together(first.state, other.state)
        first.cells = [*first.cells, *other.cells]
        for moved in other.cells:
            moved.group = first
    return first


def _without(cell: Cell, rest: Tensor) -> None:
    group = cell.held()
    group.cells = [each for each in group.cells if each is not cell]
    group.state = rest
    cell.group = cell.until_ps = None

"""Exact states of a few qubits, for gates, damping and measurements that leave the Bell-diagonal states.

A density matrix of n qubits is held as its real Pauli coefficients r[i, j, ...] = tr(rho s_i x s_j ...), in
the order I, X, Y, Z, shape (4,) * n: rho = 2^-n sum r s x s ... Tracing a qubit out takes index 0 of its
axis, a channel of one qubit is a real 4 x 4 matrix on its axis, and r[0, 0, ...] is the trace.
"""

import functools
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError
from qstrata.physics.bell import SIGNS, BellDiagonal, BellState
from qstrata.physics.memories import Decay

Tensor = NDArray[np.float64]
Matrix = NDArray[np.complex128]

QUBITS_MAX = 6
"""A group of more qubits is refused: its state has 4^n numbers."""

PAULIS: tuple[Matrix, ...] = (
    np.array([[1, 0], [0, 1]], dtype=np.complex128),
    np.array([[0, 1], [1, 0]], dtype=np.complex128),
    np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
    np.array([[1, 0], [0, -1]], dtype=np.complex128),
)

_R = math.sqrt(0.5)
_FIXED: Mapping[str, Matrix] = {
    "x": PAULIS[1],
    "y": PAULIS[2],
    "z": PAULIS[3],
    "h": np.array([[_R, _R], [_R, -_R]], dtype=np.complex128),
    "s": np.array([[1, 0], [0, 1j]], dtype=np.complex128),
    "sdg": np.array([[1, 0], [0, -1j]], dtype=np.complex128),
    "t": np.array([[1, 0], [0, complex(_R, _R)]], dtype=np.complex128),
    "cx": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], dtype=np.complex128),
    "cz": np.diag([1, 1, 1, -1]).astype(np.complex128),
}
_TURNS: Mapping[str, Matrix] = {"rx": PAULIS[1], "ry": PAULIS[2], "rz": PAULIS[3]}

GATES: Mapping[str, int] = {name: 1 if len(_FIXED[name]) == 2 else 2 for name in _FIXED} | dict.fromkeys(
    _TURNS, 1
)
"""Every gate, and on how many qubits it acts; rx, ry and rz take an angle in radians."""


def qubit(theta: float = 0.0, phi: float = 0.0) -> Tensor:
    """Return the pure qubit at polar angle `theta` and azimuth `phi` (radians) of the Bloch sphere."""
    return np.array([1.0, *direction(theta, phi)])


def direction(theta: float, phi: float) -> tuple[float, float, float]:
    """Return the unit vector at polar angle `theta` and azimuth `phi`, in radians."""
    return math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)


def pair(state: BellDiagonal) -> Tensor:
    """Return a Bell-diagonal state; its frame becomes signs of the correlators."""
    x, y, z = SIGNS[state.frame]
    return np.diag([1.0, x * state.xx, y * state.yy, z * state.zz])


def with_both_bright(fidelity: float, frame: BellState) -> Tensor:
    """Return a single-click pair: the frame's Bell state, or |11> with probability 1 - F."""
    both = np.outer([1.0, 0.0, 0.0, -1.0], [1.0, 0.0, 0.0, -1.0])
    state: Tensor = fidelity * pair(BellDiagonal(1.0, 1.0, 1.0, frame)) + (1.0 - fidelity) * both
    return state


def bell_diagonal(state: Tensor, frame: BellState = BellState.PHI_PLUS) -> BellDiagonal:
    """Return the correlators of a pair relative to a frame; what is not Bell-diagonal in it is left out."""
    x, y, z = SIGNS[frame]
    return BellDiagonal(float(state[1, 1]) * x, float(state[2, 2]) * y, float(state[3, 3]) * z, frame)


def density_matrix(state: Tensor) -> Matrix:
    """Return rho, shape (2^n, 2^n), the first axis of the tensor being the most significant qubit."""
    rho: Matrix = np.zeros((2**state.ndim, 2**state.ndim), dtype=np.complex128)
    for index in np.ndindex(state.shape):
        product: Matrix = np.ones((1, 1), dtype=np.complex128)
        for pauli in index:
            product = np.kron(product, PAULIS[pauli]).astype(np.complex128)
        rho = rho + state[index] / 2**state.ndim * product
    return rho


def unitary(gate: str, angle: float = 0.0) -> Matrix:
    """Return the matrix of a gate; `angle` in radians turns about x, y or z. InputError for no such gate."""
    if gate in _TURNS:
        return np.asarray(math.cos(angle / 2) * PAULIS[0] - 1j * math.sin(angle / 2) * _TURNS[gate])
    if gate not in _FIXED:
        raise InputError(f"no gate is called {gate!r}: there are {', '.join(sorted(GATES))}")
    return _FIXED[gate]


@functools.lru_cache(maxsize=256)
def transfer_matrix(gate: str, angle: float = 0.0) -> Tensor:
    """Return what a gate does to Pauli coefficients, shape (4^k, 4^k) for a gate on k qubits."""
    matrix = unitary(gate, angle)
    basis: tuple[Matrix, ...] = PAULIS
    if len(matrix) == 4:
        basis = tuple(np.kron(a, b).astype(np.complex128) for a in PAULIS for b in PAULIS)
    turned = [matrix @ one @ matrix.conj().T for one in basis]
    return np.array([[np.trace(a @ b).real / len(matrix) for b in turned] for a in basis])


def apply_gate(state: Tensor, gate: str, axes: tuple[int, ...], angle: float = 0.0) -> Tensor:
    """Return the state after a gate on one qubit, or on two (control first for cx)."""
    channel = transfer_matrix(gate, angle)
    if len(axes) == 1:
        return apply_channel(state, channel, axes[0])
    if len(axes) != GATES[gate]:
        raise InputError(f"gate {gate} acts on {GATES[gate]} qubits, {len(axes)} were given")
    there, back = _to_front(state.ndim, axes)
    moved = state.transpose(there)
    return (channel @ moved.reshape(16, -1)).reshape(moved.shape).transpose(back)


@functools.lru_cache(maxsize=256)
def _to_front(size: int, axes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the order of axes that brings two of them to the front, and the order that undoes it."""
    there = (*axes, *(axis for axis in range(size) if axis not in axes))
    return there, tuple(there.index(axis) for axis in range(size))


def apply_channel(state: Tensor, channel: Tensor, axis: int) -> Tensor:
    """Return the state after a channel of one qubit, given as its 4 x 4 matrix."""
    if len(channel) != 4:
        raise InputError("a gate on two qubits was given one")
    done: Tensor = channel @ state.reshape(4**axis, 4, -1)
    return done.reshape(state.shape)


def apply_decay(state: Tensor, decay: Decay, axis: int) -> Tensor:
    """Return the state after one qubit has waited."""
    before = state.reshape(4**axis, 4, -1)
    after: Tensor = before * np.array([[1.0], [decay.xy], [decay.xy], [decay.z]])
    if decay.rest_z:
        after[:, 3] += decay.rest_z * before[:, 0]
    return after.reshape(state.shape)


def depolarise(state: Tensor, axes: tuple[int, ...], reliability: float) -> Tensor:
    """Return the state whose given qubits are left as they are with that probability, and else as noise.

    Source: Briegel, Duer, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998).
    """
    if reliability == 1.0:
        return state
    noise = np.zeros_like(state)
    traced = [0 if axis in axes else slice(None) for axis in range(state.ndim)]
    noise[tuple(traced)] = state[tuple(traced)]
    mixed: Tensor = reliability * state + (1.0 - reliability) * noise
    return mixed


def together(a: Tensor, b: Tensor) -> Tensor:
    """Return the joint state of two independent groups. InputError beyond QUBITS_MAX qubits."""
    if a.ndim + b.ndim > QUBITS_MAX:
        raise InputError(f"{a.ndim + b.ndim} qubits are more than the {QUBITS_MAX} of an exact state")
    return np.multiply.outer(a, b)


def trace_out(state: Tensor, axis: int) -> Tensor:
    """Return the state of the other qubits."""
    kept: Tensor = np.take(state, 0, axis=axis)
    return kept


def project(
    state: Tensor, axis: int, along: tuple[float, float, float], bit: int, readout_fidelity: float = 1.0
) -> Tensor:
    """Return the other qubits' state, times the probability, where one qubit is measured as `bit`.

    `along` is the direction of the outcome 0. A misread outcome is part of the state: that of a reader of the
    report.
    """
    sign = (1 - 2 * bit) * (2.0 * readout_fidelity - 1.0)
    effect = np.array([1.0, sign * along[0], sign * along[1], sign * along[2]]) / 2.0
    kept: Tensor = effect @ state.reshape(4**axis, 4, -1)
    return kept.reshape((4,) * (state.ndim - 1))


def measure(
    state: Tensor, axis: int, along: tuple[float, float, float], uniform: float, readout_fidelity: float = 1.0
) -> tuple[int, Tensor]:
    """Measure one qubit with a number drawn from [0, 1); return the reported bit and the others' state."""
    kept = project(state, axis, along, 0, readout_fidelity)
    chance = float(kept.flat[0])
    if uniform < chance:
        return 0, kept / chance
    kept = project(state, axis, along, 1, readout_fidelity)
    return 1, kept / float(kept.flat[0])


def bell_fidelity(state: Tensor, frame: BellState) -> float:
    """Return the fidelity of a pair, shape (4, 4), to a Bell state."""
    x, y, z = SIGNS[frame]
    return float(1.0 + x * state[1, 1] + y * state[2, 2] + z * state[3, 3]) / 4.0

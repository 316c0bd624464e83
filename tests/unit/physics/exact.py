"""Exact states by an independent tool, qutip: pairs, channels, gates and measurements on density matrices."""

import math

import numpy as np
import qutip as qt

ZERO, ONE = qt.basis(2, 0), qt.basis(2, 1)
BELL = [
    (a + sign * b).unit()
    for a, b in (
        (qt.tensor(ZERO, ZERO), qt.tensor(ONE, ONE)),
        (qt.tensor(ZERO, ONE), qt.tensor(ONE, ZERO)),
    )
    for sign in (1, -1)
]
"""Phi+, Phi-, Psi+, Psi-."""
PAULI = [qt.qeye(2), qt.sigmaz(), qt.sigmax(), qt.sigmay()]
"""I, Z, X, Y."""


def mixture(probabilities, frame=0):
    """Return the pair of a frame after Pauli errors I, Z, X, Y on its first qubit."""
    return sum(
        p * (qt.tensor(pauli, qt.qeye(2)) * BELL[frame]).proj()
        for p, pauli in zip(probabilities, PAULI, strict=True)
    )


def on(operator, qubit, size):
    """Return an operator of one qubit among `size`."""
    return qt.tensor([operator if index == qubit else qt.qeye(2) for index in range(size)])


def through(rho, kraus, qubit):
    """Return a state after a channel on one of its qubits."""
    size = len(rho.dims[0])
    return sum(on(k, qubit, size) * rho * on(k, qubit, size).dag() for k in kraus)


def damping(share):
    """Return amplitude damping by its operators."""
    return [qt.Qobj([[1, 0], [0, math.sqrt(1 - share)]]), qt.Qobj([[0, math.sqrt(share)], [0, 0]])]


def dephasing(factor):
    """Return dephasing that multiplies the coherence."""
    return [math.sqrt((1 + factor) / 2) * qt.qeye(2), math.sqrt((1 - factor) / 2) * qt.sigmaz()]


def depolarising(factor):
    """Return white noise that multiplies the Bloch vector."""
    weights = [(1 + 3 * factor) / 4, *[(1 - factor) / 4] * 3]
    return [math.sqrt(w) * pauli for w, pauli in zip(weights, PAULI, strict=True)]


def cnot(control, target, size):
    """Return a CNOT among `size` qubits."""
    zero, one = ZERO.proj(), ONE.proj()
    return on(zero, control, size) + on(one, control, size) * on(qt.sigmax(), target, size)


def random_probabilities(seed):
    """Return four probabilities, the first the largest."""
    drawn = np.random.default_rng(seed).dirichlet([4, 1, 1, 1])
    return tuple(map(float, drawn))

"""Bell pairs: Bell-diagonal states as correlators, and what follows from them in closed form.

A state is three correlators and a 2-bit Pauli frame. `xx`, `yy`, `zz` are the expectation values of XX, YY
and ZZ divided by those of the Bell state that the frame names: (1, 1, 1) is that Bell state itself, (w, w, w)
a Werner state, (0, 0, 0) noise. A swap multiplies them component by component, Pauli noise scales them.
"""

import enum
import math
from collections.abc import Sequence

import msgspec

from qstrata.core.errors import InputError

TOLERANCE = 1e-9


class BellState(enum.IntEnum):
    """The four Bell states in the one order used everywhere: bit 1 counts an X on Phi+, bit 0 a Z.

    Combining two frames is the exclusive or of their numbers. Other orders are converted at the edge.
    """

    PHI_PLUS = 0
    PHI_MINUS = 1
    PSI_PLUS = 2
    PSI_MINUS = 3


SIGNS: tuple[tuple[int, int, int], ...] = ((1, -1, 1), (-1, 1, 1), (1, 1, -1), (-1, -1, -1))
"""The expectation values of XX, YY and ZZ of each Bell state, by its number."""


class BellDiagonal(msgspec.Struct, frozen=True):
    """Hold a Bell-diagonal state: correlators relative to the Bell state `frame`, each -1 to 1."""

    xx: float
    yy: float
    zz: float
    frame: BellState = BellState.PHI_PLUS


def werner(fidelity: float, frame: BellState = BellState.PHI_PLUS) -> BellDiagonal:
    """Return the Werner state of a fidelity from 1/4 to 1: w = (4F - 1)/3.

    Raises InputError for a fidelity below 1/4, which no noise on a Bell pair gives. Source: Werner,
    Phys. Rev. A 40, 4277 (1989).
    """
    if not 0.25 <= fidelity <= 1.0:
        raise InputError(f"fidelity {fidelity!r}: give a number from 0.25 (noise) to 1")
    w = (4.0 * fidelity - 1.0) / 3.0
    return BellDiagonal(w, w, w, frame)


def from_probabilities(probabilities: Sequence[float], frame: BellState = BellState.PHI_PLUS) -> BellDiagonal:
    """Return the mixture of the frame's Bell state after the Pauli errors I, Z, X, Y, in this order.

    Raises InputError unless there are four probabilities that add up to 1.
    """
    if (
        len(probabilities) != 4
        or min(probabilities) < -TOLERANCE
        or abs(math.fsum(probabilities) - 1.0) > TOLERANCE
    ):
        raise InputError(
            f"{tuple(probabilities)!r} are no probabilities of I, Z, X, Y: they must add up to 1"
        )
    i, z, x, y = probabilities
    return BellDiagonal(i + x - y - z, i + y - x - z, i + z - x - y, frame)


def probabilities(state: BellDiagonal) -> tuple[float, float, float, float]:
    """Return the probabilities of the Pauli errors I, Z, X, Y on the frame's Bell state."""
    return (
        (1.0 + state.xx + state.yy + state.zz) / 4.0,
        (1.0 - state.xx - state.yy + state.zz) / 4.0,
        (1.0 + state.xx - state.yy - state.zz) / 4.0,
        (1.0 - state.xx + state.yy - state.zz) / 4.0,
    )


def is_physical(state: BellDiagonal) -> bool:
    """Tell whether the correlators are those of a state: no probability is negative."""
    return min(probabilities(state)) >= -TOLERANCE


def fidelity(state: BellDiagonal) -> float:
    """Return the fidelity to the frame's Bell state, 0 to 1."""
    return (1.0 + state.xx + state.yy + state.zz) / 4.0


def swap(
    a: BellDiagonal,
    b: BellDiagonal,
    outcome: BellState = BellState.PHI_PLUS,
    gate_reliability: float = 1.0,
    readout_fidelity: float = 1.0,
) -> BellDiagonal:
    """Return the pair that a Bell measurement with a reported `outcome` makes of two pairs.

    With probability `gate_reliability` the two-qubit gate works, otherwise it leaves noise; each of the two
    bits is reported right with probability `readout_fidelity`: the state is the mixture that a reader of the
    report has. Source: Briegel, Duer, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998), its noise model.
    """
    bit = 2.0 * readout_fidelity - 1.0
    return BellDiagonal(
        a.xx * b.xx * gate_reliability * bit,
        a.yy * b.yy * gate_reliability * bit * bit,
        a.zz * b.zz * gate_reliability * bit,
        BellState(a.frame ^ b.frame ^ outcome),
    )


def chain_fidelity(link_fidelity: float, links: int) -> float:
    """Return the fidelity after ideal swaps of `links` >= 1 equal Werner pairs: (1 + 3 w^n)/4.

    Source: Briegel, Duer, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998), without errors at the
    stations.
    """
    return (1.0 + 3.0 * werner(link_fidelity).xx ** links) / 4.0


def chsh(state: BellDiagonal) -> float:
    """Return the largest CHSH value, 2 sqrt(sum of the two largest squares); 2 sqrt2 w for Werner.

    Source: Horodecki, Horodecki, Horodecki, Phys. Lett. A 200, 340 (1995).
    """
    squares = sorted((state.xx**2, state.yy**2, state.zz**2))
    return 2.0 * math.sqrt(squares[1] + squares[2])


def qber(state: BellDiagonal) -> tuple[float, float]:
    """Return the BBM92 error rates in the bases Z and X, once the frame is corrected; (1 - w)/2 for Werner.

    Source: Bennett, Brassard, Mermin, Phys. Rev. Lett. 68, 557 (1992).
    """
    return (1.0 - state.zz) / 2.0, (1.0 - state.xx) / 2.0


def teleportation_fidelity(pair_fidelity: float) -> float:
    """Return the mean fidelity of teleported pure qubits, (2F + 1)/3.

    Source: Horodecki, Horodecki, Horodecki, Phys. Rev. A 60, 1888 (1999), for qubits.
    """
    return (2.0 * pair_fidelity + 1.0) / 3.0

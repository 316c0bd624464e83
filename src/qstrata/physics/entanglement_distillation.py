"""Entanglement distillation on Bell-diagonal pairs: two pairs in, with luck a better one out.

Both ends apply a CNOT from the pair that is kept to the one that is spent, measure the spent one in Z and
compare. A Pauli error is two bits, x and z: the outcomes agree where x is equal on both pairs, and what is
kept has that x and the sum of both z. Frames go the same way as errors, for the gates are Clifford gates.
"""

import enum
import math

import msgspec

from qstrata.physics.bell import BellDiagonal, BellState, from_probabilities, probabilities


class Distillation(enum.Enum):
    """The protocols: BBPSSW is for Werner states, which `rotation` makes; DEJMPS turns qubits about x."""

    BBPSSW = "bbpssw"
    DEJMPS = "dejmps"


class Distilled(msgspec.Struct, frozen=True):
    """Hold how often the ends agree, the pair if they do, and the parity of the bits that means success.

    Where they never agree, the pair is noise.
    """

    probability: float
    pair: BellDiagonal
    parity: int


_TURNED = (0, 3, 2, 1)
"""The numbers of the Pauli errors I, Z, X, Y after the turn by pi/2 about x: Z and Y change places."""


ROTATIONS = 12
"""So many rotations of both ends together make a Werner state of any pair, on average over all of them."""

_PAULI_GATES = ("", "z", "x", "y")
_CYCLED = (0, 2, 3, 1)
"""The numbers of I, Z, X, Y after a turn by pi/2 about x, then about z: X, Y, Z change places in a circle."""


def rotation(number: int, *, is_head: bool) -> tuple[tuple[str, float], ...]:
    """Return the gates, with their angles, of one of the ROTATIONS at one end; the other conjugates them.

    The twelve are a Pauli gate, then none, one or two turns of X, Y, Z in a circle. Source: Bennett,
    DiVincenzo, Smolin, Wootters, Phys. Rev. A 54, 3824 (1996), appendix A.
    """
    pauli, turns = divmod(number % ROTATIONS, 3)
    quarter = math.pi / 2.0 if is_head else -math.pi / 2.0
    first = ((_PAULI_GATES[pauli], 0.0),) if pauli else ()
    return (*first, *((("rx", quarter), ("rz", quarter)) * turns))


def frame_after_rotation(number: int, frame: BellState) -> BellState:
    """Return the frame of a pair whose ends have applied one of the ROTATIONS."""
    for _ in range(number % 3):
        frame = BellState(_CYCLED[frame])
    return frame


def twirl(state: BellDiagonal) -> BellDiagonal:
    """Return the Werner state of the same fidelity: the mean over equal random rotations at both ends.

    Source: Bennett et al., Phys. Rev. Lett. 76, 722 (1996).
    """
    w = (state.xx + state.yy + state.zz) / 3.0
    return BellDiagonal(w, w, w, state.frame)


def frame_after(protocol: Distillation, keep: BellState, spend: BellState) -> tuple[BellState, int]:
    """Return the frame of the pair that is kept, and the parity of the two bits that means success."""
    if protocol is Distillation.DEJMPS:
        keep, spend = BellState(_TURNED[keep]), BellState(_TURNED[spend])
    return BellState(keep ^ (spend & 1)), (keep ^ spend) >> 1


def distil(
    protocol: Distillation,
    keep: BellDiagonal,
    spend: BellDiagonal,
    gate_reliability: float = 1.0,
    readout_fidelity: float = 1.0,
) -> Distilled:
    """Return what distilling `keep` with `spend` gives.

    `gate_reliability`: how often the CNOT of one end works, noise on both its qubits otherwise;
    `readout_fidelity`: how often one end reads its bit right. Sources: Bennett et al., Phys. Rev. Lett. 76,
    722 (1996) (BBPSSW); Deutsch et al., Phys. Rev. Lett. 77, 2818 (1996) (DEJMPS); noise:
    Briegel, Duer, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998).
    """
    frame, parity = frame_after(protocol, keep.frame, spend.frame)
    if protocol is Distillation.BBPSSW:
        keep, spend = twirl(keep), twirl(spend)
    a, b = probabilities(keep), probabilities(spend)
    if protocol is Distillation.DEJMPS:
        a, b = (a[0], a[3], a[2], a[1]), (b[0], b[3], b[2], b[1])
    works = gate_reliability**2
    misread = 2.0 * readout_fidelity * (1.0 - readout_fidelity)
    agree, differ = _kept(a, b, 0), _kept(a, b, 2)
    noise = (1.0 - works) / 8.0
    kept = [works * ((1.0 - misread) * y + misread * n) + noise for y, n in zip(agree, differ, strict=True)]
    total = sum(kept)
    if total <= 0.0:
        return Distilled(0.0, BellDiagonal(0.0, 0.0, 0.0, frame), parity)
    return Distilled(total, from_probabilities([one / total for one in kept], frame), parity)


def _kept(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float], differ: int
) -> tuple[float, float, float, float]:
    """Return the weights of I, Z, X, Y on the kept pair where the x of both errors differ by `differ`."""
    i, z, x, y = (b[number ^ differ] for number in range(4))
    return (a[0] * i + a[1] * z, a[0] * z + a[1] * i, a[2] * x + a[3] * y, a[2] * y + a[3] * x)

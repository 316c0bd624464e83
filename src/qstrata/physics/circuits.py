"""What a circuit should give at least, as it was commissioned and as long as its halves were stored.

How old halves of pairs are when they are swapped or measured, stations count themselves, so that a circuit
that waits longer, for light that was lost or for words that were slow, is held against what waiting does.
What is returned is a lower bound: a decay is convex in time, so that the mean of decays is no less than the
decay in the mean time (Jensen), and a link of single clicks is taken at its worst loss.
"""

import math
from collections.abc import Sequence

from qstrata.physics.bell import BellDiagonal, BellState
from qstrata.physics.density import bell_diagonal
from qstrata.physics.entanglement_distillation import distil
from qstrata.physics.pair_link import heralded_state
from qstrata.physics.pair_parameters import CommissionedCircuit

WORST_LOSS_DB = 200.0
_FRAME = BellState.PSI_PLUS


def least_state(circuit: CommissionedCircuit, ages_ps: Sequence[float]) -> BellDiagonal:
    """Return correlators that the measured pairs of a circuit have at least on average, without an attack.

    `ages_ps` are the mean ages of one half when it was used, by station; a station between the ends uses two
    halves of each pair. Readout at the ends counts. Where ends distil, all halves are taken to be as old as
    the oldest. Sources: Briegel, Duer, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998), for swaps; Nielsen
    and Chuang (2000), 8.3.4 to 8.3.6, for decay. Of amplitude damping (T1) a pair keeps
    zz - (1 - u) - (1 - v) at least, with u and v what is left of the excitations.
    """
    xx = yy = zz = 1.0
    for link in circuit.links:
        state = bell_diagonal(heralded_state(link, _FRAME, WORST_LOSS_DB), _FRAME)
        xx, yy, zz = xx * state.xx, yy * state.yy, zz * state.zz
    lost = 0.0
    last = len(circuit.devices) - 1
    for index, (device, age_ps) in enumerate(zip(circuit.devices, ages_ps, strict=True)):
        is_end = index in (0, last)
        bit = 1.0 if is_end else 2.0 * device.readout_fidelity - 1.0
        gate = 1.0 if is_end else device.gate_reliability
        xx, yy, zz = xx * gate * bit, yy * gate * bit * bit, zz * gate * bit
        memory, halves, age_s = device.memory, 1 if is_end else 2, age_ps * 1e-12
        white = math.exp(-halves * age_s / memory.depolarising_s)
        coherent = white * math.exp(-halves * age_s / min(memory.t2_s, 2.0 * memory.t1_s))
        xx, yy, zz = xx * coherent, yy * coherent, zz * white
        lost -= halves * math.expm1(-age_s / memory.t1_s)
    ends = circuit.devices[0], circuit.devices[-1]
    found = distilled(circuit, BellDiagonal(xx, yy, max(-1.0, zz - lost)))
    read = math.prod(2.0 * end.readout_fidelity - 1.0 for end in ends)
    return BellDiagonal(found.xx * read, found.yy * read, found.zz * read)


def distilled(circuit: CommissionedCircuit, raw: BellDiagonal) -> BellDiagonal:
    """Return what the ends of a circuit make of such pairs; unequal ends count as two equal ones do."""
    if circuit.distillation is None:
        return raw
    ends = circuit.devices[0], circuit.devices[-1]
    gate = math.sqrt(math.prod(end.gate_reliability for end in ends))
    readout = (1.0 + math.sqrt(math.prod(2.0 * end.readout_fidelity - 1.0 for end in ends))) / 2.0
    kept = raw
    for _ in range(circuit.rounds):
        kept = distil(circuit.distillation, kept, raw, gate, readout).pair
    return kept

"""Quantum memories: how a stored qubit decays while it waits, in closed form for any waiting time.

One model holds them all. In the Bloch picture x and y decay with the rate 1/T2 + 1/T, z with 1/T1 + 1/T
towards its rest, where T1 damps the amplitude, T2 dephases, and T depolarises. The decay is a semigroup:
waiting t1 + t2 equals waiting t1, then t2. Without T1 a Bell-diagonal state stays one; with T1 it does not,
and its exact state is followed (`qstrata.physics.density`).
"""

import math

import msgspec

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.physics.bell import BellDiagonal

SLACK = 1.0 + 1e-12


class MemoryParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a memory cell: its times in seconds, infinite where there is no such decay.

    `t1_s`: amplitude damping; `t2_s`: coherence, T1's share included; `depolarising_s`: white noise.
    """

    t1_s: float = math.inf
    t2_s: float = math.inf
    depolarising_s: float = math.inf


class Decay(msgspec.Struct, frozen=True):
    """Hold what a wait does to one qubit: x and y times `xy`, z times `z` plus `rest_z` (all 0 to 1)."""

    xy: float
    z: float
    rest_z: float


def check_memory(memory: MemoryParameters) -> None:
    """Refuse times that no memory has: InputError for one that is not positive, or for T2 > 2 T1.

    A shorter T1 damps the coherence too: a decay with T2 > 2 T1 is not completely positive.
    """
    for name in ("t1_s", "t2_s", "depolarising_s"):
        value = getattr(memory, name)
        if not value > 0.0:
            raise InputError(
                f"memory time {name} is {value!r}: give seconds above 0, or none for no such decay"
            )
    if memory.t2_s > 2.0 * memory.t1_s * SLACK:
        raise InputError(
            f"memory with t2_s {memory.t2_s:g} above twice its t1_s {memory.t1_s:g}: damping alone gives "
            f"T2 = 2 T1, so give t2_s of at most {2.0 * memory.t1_s:g}"
        )


def rates_per_ps(memory: MemoryParameters) -> tuple[float, float]:
    """Return the decay rates of x and y, and of z, per picosecond."""
    common = 1.0 / memory.depolarising_s
    t2_s = min(memory.t2_s, 2.0 * memory.t1_s)
    return (1.0 / t2_s + common) / PS_PER_S, (1.0 / memory.t1_s + common) / PS_PER_S


def decay(memory: MemoryParameters, elapsed_ps: int) -> Decay:
    """Return what waiting does to one stored qubit. InputError for a negative wait: time goes forward.

    Where only T1 is given, T2 is 2 T1. Source: Nielsen and Chuang, Quantum Computation and
    Quantum Information (2000), 8.3.4 to 8.3.6, as one generator.
    """
    if elapsed_ps < 0:
        raise InputError(
            f"a memory cannot wait {elapsed_ps} ps: time goes forward, it was touched after that"
        )
    rate_xy, rate_z = rates_per_ps(memory)
    z = math.exp(-rate_z * elapsed_ps)
    rest = 0.0 if math.isinf(memory.t1_s) else 1.0 / (memory.t1_s * PS_PER_S) / rate_z
    return Decay(math.exp(-rate_xy * elapsed_ps), z, rest * (1.0 - z))


def age(state: BellDiagonal, memory: MemoryParameters, elapsed_ps: int) -> BellDiagonal:
    """Return a Bell-diagonal state after one of its qubits has waited.

    Raises InputError for a memory with T1, which leads out of the Bell-diagonal states.
    """
    if not math.isinf(memory.t1_s):
        raise InputError("a memory with T1 leaves the Bell-diagonal states: follow the exact state instead")
    factor = decay(memory, elapsed_ps)
    return BellDiagonal(state.xx * factor.xy, state.yy * factor.xy, state.zz * factor.z, state.frame)


def damped_fidelity(
    start_fidelity: float, elapsed_a_ps: int, elapsed_b_ps: int, memory: MemoryParameters
) -> float:
    """Return the fidelity to Phi+ of a Werner pair whose qubits have waited in memories with T1 and T2.

    F = [1 + w(1 - gA)(1 - gB) + gA gB]/4 + (w/2) e^(-(tA + tB)/T2), g = 1 - e^(-t/T1): the two decays of
    `decay` on a Werner state, w = (4 F0 - 1)/3.
    """
    w = (4.0 * start_fidelity - 1.0) / 3.0
    a, b = decay(memory, elapsed_a_ps), decay(memory, elapsed_b_ps)
    return (1.0 + w * a.z * b.z + a.rest_z * b.rest_z) / 4.0 + w / 2.0 * a.xy * b.xy

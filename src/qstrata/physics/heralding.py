"""Heralded entanglement over a midpoint station: success probability, state, and attempts by skipping.

`eta` is the transmittance of one arm: memory emission, half the fibre, detector.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstrata.core.errors import InputError


class Heralding(msgspec.Struct, frozen=True):
    """Hold what one attempt gives: how often it is heralded, and the fidelity of the pair if so."""

    probability: float
    fidelity: float


def barrett_kok(eta_a: float, eta_b: float, fidelity: float = 1.0) -> Heralding:
    """Return the two-click scheme: p = eta_A eta_B / 2; `fidelity` is that of the devices' interference.

    Arms: efficiencies 0 to 1; InputError outside. Source: Barrett, Kok, Phys. Rev. A 71, 060310 (2005).
    """
    _check_arm(eta_a)
    _check_arm(eta_b)
    if not 0.25 <= fidelity <= 1.0:
        raise InputError(f"fidelity {fidelity!r}: give a number from 0.25 (noise) to 1")
    return Heralding(eta_a * eta_b / 2.0, fidelity)


def single_click(bright: float, eta: float) -> Heralding:
    """Return the one-click scheme with equal arms and detectors that do not count photons.

    `bright` is the population a of the emitting state, in (0, 1). p = 2a(1-a) eta + a^2 (2 eta - eta^2),
    F = 2a(1-a) eta/p: what errs is both memories bright. Source: Cabrillo, Cirac, Garcia-Fernandez, Zoller,
    Phys. Rev. A 59, 1025 (1999); as used by Humphreys et al., Nature 558, 268 (2018).
    """
    _check_arm(eta)
    if not 0.0 < bright < 1.0:
        raise InputError(f"bright-state population {bright!r}: give a number between 0 and 1")
    good = 2.0 * bright * (1.0 - bright) * eta
    probability = good + bright**2 * (2.0 * eta - eta**2)
    return Heralding(probability, good / probability if probability > 0.0 else 1.0 - bright)


def attempts_until_success(
    generator: np.random.Generator, probability: float, count: int
) -> NDArray[np.int64]:
    """Draw how many attempts `count` heralds take, each at least 1, without a loop over attempts.

    An exponential of rate -ln(1 - p), rounded up, is geometric. Probability in (0, 1]; InputError outside.
    """
    if not 0.0 < probability <= 1.0:
        raise InputError(f"success probability {probability!r}: give a number above 0, at most 1")
    if probability == 1.0:
        return np.ones(count, dtype=np.int64)
    drawn = generator.standard_exponential(count)
    drawn *= -1.0 / math.log1p(-probability)
    attempts: NDArray[np.int64] = drawn.astype(np.int64)
    attempts += 1
    return attempts


def _check_arm(eta: float) -> None:
    if not 0.0 <= eta <= 1.0:
        raise InputError(f"efficiency of an arm is {eta!r}: give a number from 0 to 1")

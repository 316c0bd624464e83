"""What describes a link that heralds pairs at its midpoint, and a device with memory cells."""

import math

from qstrata.core.time import PS_PER_S
from qstrata.physics import density
from qstrata.physics.bell import BellDiagonal, BellState, werner
from qstrata.physics.fibre import propagation_delay_ps, transmittance
from qstrata.physics.heralding import Heralding, barrett_kok, single_click
from qstrata.physics.pair_parameters import (
    BARRETT_KOK,
    PROTOCOLS,
    SINGLE_CLICK,
    DeviceParameters,
    PairLinkParameters,
    check_device,
    check_pair_link,
)

__all__ = [
    "BARRETT_KOK",
    "PROTOCOLS",
    "SINGLE_CLICK",
    "DeviceParameters",
    "PairLinkParameters",
    "check_device",
    "check_pair_link",
    "cycle_ps",
    "herald_ps",
    "heralded_state",
    "heralding",
]


def herald_ps(link: PairLinkParameters) -> int:
    """Return the time from an emission to its herald at the ends: to the midpoint and back."""
    return 2 * propagation_delay_ps(link.length_km / 2.0)


def cycle_ps(link: PairLinkParameters) -> int:
    """Return the time of one attempt of one memory: it waits for the herald, or for its next emission."""
    return max(herald_ps(link), math.ceil(PS_PER_S / link.attempt_rate_hz))


def heralding(link: PairLinkParameters, extra_loss_db: float = 0.0) -> Heralding:
    """Return how often an attempt is heralded, and the fidelity of the pair at its emission."""
    arm = link.memory_efficiency * link.detector_efficiency
    arm *= transmittance((link.loss_db + extra_loss_db) / 2.0)
    if link.protocol == BARRETT_KOK:
        return barrett_kok(arm, arm, link.fidelity)
    ideal = single_click(link.bright_population, arm)
    # |11> is orthogonal to Psi+ and Psi-: white noise gives it a third of what a Bell state loses.
    fidelity = ideal.fidelity * link.fidelity + (1.0 - ideal.fidelity) * (1.0 - link.fidelity) / 3.0
    return Heralding(ideal.probability, fidelity)


def heralded_state(link: PairLinkParameters, frame: BellState, extra_loss_db: float = 0.0) -> density.Tensor:
    """Return the exact state of a heralded pair at its emission; the frame is Psi+ or Psi-."""
    if link.protocol == BARRETT_KOK:
        return density.pair(werner(link.fidelity, frame))
    arm = link.memory_efficiency * link.detector_efficiency
    arm *= transmittance((link.loss_db + extra_loss_db) / 2.0)
    state = density.with_both_bright(single_click(link.bright_population, arm).fidelity, frame)
    w = werner(link.fidelity).xx
    noisy: density.Tensor = w * state + (1.0 - w) * density.pair(BellDiagonal(0.0, 0.0, 0.0))
    return noisy

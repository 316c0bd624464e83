"""Fibre: what arrives, and when."""

import math

SPEED_OF_LIGHT_M_PER_S = 299_792_458
"""Exact by definition of the metre (SI brochure, 9th edition)."""

GROUP_INDEX_1550 = 1.4682
"""Effective group index of refraction of standard single-mode fibre (ITU-T G.652.D) at 1550 nm;
source: Corning SMF-28 Ultra product information."""


def loss_db(length_km: float, attenuation_db_per_km: float) -> float:
    """Return the loss of a fibre in dB (>= 0), from its length in km and its attenuation in dB/km."""
    return length_km * attenuation_db_per_km


def transmittance(loss_db: float) -> float:
    """Return the share of the photons that pass a loss of `loss_db` >= 0 dB, in (0, 1]."""
    return math.exp(-loss_db * math.log(10) / 10)


def propagation_delay_ps(length_km: float, group_index: float = GROUP_INDEX_1550) -> int:
    """Return the time that light takes through `length_km` of fibre, in ps, rounded up.

    `group_index` is the group index (1 to 2, no unit). Rounded up so that nothing arrives early.
    """
    return math.ceil(length_km * 1e15 * group_index / SPEED_OF_LIGHT_M_PER_S)

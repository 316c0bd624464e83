"""Raman noise: what classical channels in the same fibre scatter into the quantum channel.

Source: P. Eraerds, N. Walenta, M. Legre, N. Gisin, H. Zbinden, New J. Phys. 12, 063027 (2010). Scattered
power of one channel of launch power P over a fibre of length L and attenuation a (1/km), both wavelengths
alike, into a filter of width dl: co-propagating P beta dl L e^(-a L), counter-propagating
P beta dl (1 - e^(-2 a L))/(2 a). The first is largest at L = 1/a, the second saturates.
"""

import math
from collections.abc import Iterable

import msgspec

from qstrata.core.errors import InputError

PLANCK_J_S = 6.62607015e-34
"""Exact by definition of the kilogram (SI brochure, 9th edition)."""
LIGHT_M_PER_S = 299_792_458.0
RAMAN_CROSS_SECTION_PER_KM_NM = 2e-9
"""Scattered share per km of fibre and nm of filter, both in the C band; source: Eraerds et al. 2010, figure 3
(1.5e-9 to 3e-9 a few nm to a few tens of nm away)."""


class ClassicalChannel(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one classical channel: launch power in dBm, and whether it runs with the photons."""

    launch_power_dbm: float
    co_propagating: bool


def scattered_power_w(
    channel: ClassicalChannel,
    length_km: float,
    attenuation_db_per_km: float,
    filter_nm: float,
    cross_section_per_km_nm: float = RAMAN_CROSS_SECTION_PER_KM_NM,
) -> float:
    """Return the power in W that leaves the quantum channel's end of the fibre, through its filter.

    `length_km` >= 0, `attenuation_db_per_km` > 0, `filter_nm` > 0; InputError for others.
    """
    if length_km < 0.0 or attenuation_db_per_km <= 0.0 or filter_nm <= 0.0:
        raise InputError(
            f"Raman noise of {length_km!r} km at {attenuation_db_per_km!r} dB/km in {filter_nm!r} nm: give a "
            "length from 0, an attenuation and a filter width above 0"
        )
    launch_w = 1e-3 * math.exp(channel.launch_power_dbm * math.log(10.0) / 10.0)
    per_km = attenuation_db_per_km * math.log(10.0) / 10.0
    if channel.co_propagating:
        effective_km = length_km * math.exp(-per_km * length_km)
    else:
        effective_km = -math.expm1(-2.0 * per_km * length_km) / (2.0 * per_km)
    return launch_w * cross_section_per_km_nm * filter_nm * effective_km


def photons_per_s(power_w: float, wavelength_nm: float = 1550.0) -> float:
    """Return how many photons of a wavelength in vacuum carry a power."""
    return power_w * wavelength_nm * 1e-9 / (PLANCK_J_S * LIGHT_M_PER_S)


def raman_click_rate_hz(
    channels: Iterable[ClassicalChannel],
    length_km: float,
    attenuation_db_per_km: float,
    filter_nm: float,
    seen_share: float,
    open_share: float = 1.0,
) -> float:
    """Return the clicks per second that classical channels cause: `LinkParameters.raman_rate_hz`.

    `seen_share` is the probability that a photon behind the fibre clicks, `open_share` the share of the time
    that falls into the windows of pulses (0 to 1 both).
    """
    power_w = sum(
        scattered_power_w(channel, length_km, attenuation_db_per_km, filter_nm) for channel in channels
    )
    return photons_per_s(power_w) * seen_share * open_share

"""Credit: how many keys a KME may send over a path before it asks again."""

import math
from collections.abc import Iterable

import msgspec

CREDIT_HORIZON_S = 60.0
"""How long a grant lasts at its own rate."""

POOL_HORIZON_S = 10.0
"""Over how long pooled key is spread when a link's rate is forecast; idle key is of no use."""

BATCH_KEYS = 32
"""The least grant: one batch of a transfer."""

START_KEYS_PER_S = 1.0
"""The least rate, so that a session starts while nothing is known of its path."""


class Credit(msgspec.Struct, frozen=True, gc=False):
    """What one KME is granted: at most `rate_keys_per_s`, `total_keys` in all."""

    rate_keys_per_s: float
    total_keys: int


def link_forecast_bps(rate_bps: float, pool_bits: int) -> float:
    """Return the rate that a link sustains for the next POOL_HORIZON_S, from new and pooled key."""
    return rate_bps + pool_bits / POOL_HORIZON_S


def fair_share_bps(links: Iterable[tuple[float, int]]) -> float:
    """Return a session's share of a path in bit/s, from (forecast in bit/s, sessions) of each link.

    Each link is shared evenly among the sessions that cross it; the scarcest share bounds the path.
    """
    return min((forecast / max(1, sessions) for forecast, sessions in links), default=0.0)


def credit(rate_bps: float, size_bits: int, kmes: int = 2) -> Credit:
    """Return the credit of one KME of a session whose path sustains `rate_bps`; the KMEs share it evenly."""
    rate = max(START_KEYS_PER_S, rate_bps / size_bits / kmes)
    return Credit(rate, max(BATCH_KEYS, math.ceil(rate * CREDIT_HORIZON_S)))


def is_outdated(granted_bps: float, rate_bps: float) -> bool:
    """Tell whether a forecast has moved so far (by half, or to the double) that credit must follow."""
    return rate_bps > 2.0 * granted_bps or rate_bps < 0.5 * granted_bps

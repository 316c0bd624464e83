"""The demands under which the Madrid sub-network is measured and tested."""

import msgspec

from qstrata.network.description import Demand, Description
from qstrata.network.loader import load

BOTTLENECK = "quijote-aquiles"
"""The longest fibre: about 2.8 kbit/s of key, over which every demand here goes."""

BUSY_KEYS_PER_S = 9.0
"""All demands together: 2.3 kbit/s of 256-bit keys."""

KEYS_PER_REQUEST = 8


def sae(site: str) -> str:
    """Return the name of the SAE at a site of Madrid."""
    return f"urn:qkd:madqci:{site}:sae"


def busy_madrid() -> Description:
    """Return Madrid without provisioned key, where two pairs ask for keys in both directions."""
    demands = tuple(
        Demand(between=(sae(site), sae("aquiles")), keys_per_s=BUSY_KEYS_PER_S / 4, number=KEYS_PER_REQUEST)
        for site in ("quintin", "quevedo")
    )
    return _with_demands(demands)


def one_sided_madrid() -> Description:
    """Return Madrid without provisioned key, where one SAE asks for all keys of one pair."""
    demand = Demand(
        between=(sae("quintin"), sae("aquiles")),
        keys_per_s=BUSY_KEYS_PER_S,
        number=KEYS_PER_REQUEST,
        both_directions=False,
    )
    return _with_demands((demand,))


def _with_demands(demands: tuple[Demand, ...]) -> Description:
    return msgspec.structs.replace(load("madrid").with_overrides(initial_key_bits=0), demands=demands)

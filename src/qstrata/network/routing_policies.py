"""The routing policies of circuits: the names that a network file may give, and what stands behind them."""

from qstrata.core.errors import InputError
from qstrata.network.plugins import find_plugin, plugin_names
from qstrata.planes.pair_policies import BUILT_IN, BUILT_IN_NAMES
from qstrata.planes.pair_routes import RoutingPolicy

GROUP = "qstrata.routing_policies"
"""Entry points of this group are routing policies too: each names a `RoutingPolicy`."""


def policy_names() -> tuple[str, ...]:
    """Return the routing policies that there are: the built-in ones, then those of other packages."""
    return plugin_names(GROUP, BUILT_IN_NAMES)


def find_policy(name: str) -> RoutingPolicy:
    """Return the routing policy of a name; raises InputError, with the names there are, for another."""
    for policy in BUILT_IN:
        if policy.name == name:
            return policy
    found: RoutingPolicy | None = find_plugin(GROUP, name)
    if found is None:
        raise InputError(f"no routing policy is called {name!r}: choose {', '.join(policy_names())}")
    return found

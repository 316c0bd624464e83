"""The key protocols of links: the names that a network file may give, and what stands behind them."""

from collections.abc import Mapping
from typing import Any

from qstrata.core.errors import InputError
from qstrata.network.plugins import find_plugin, plugin_names
from qstrata.physics.protocols.base import KeyProtocol
from qstrata.physics.protocols.bbm92 import BBM92
from qstrata.physics.protocols.cv import CV_QKD
from qstrata.physics.protocols.decoy import DECOY_BB84

GROUP = "qstrata.protocols"
"""Entry points of this group are key protocols too: each names a `LinkProtocol` or a `QuadratureProtocol`."""

BUILT_IN: tuple[KeyProtocol[Any], ...] = (DECOY_BB84, BBM92, CV_QKD)
BUILT_IN_NAMES = tuple(protocol.name for protocol in BUILT_IN)


def protocol_names() -> tuple[str, ...]:
    """Return the key protocols that there are: the built-in ones, then those of other packages."""
    return plugin_names(GROUP, BUILT_IN_NAMES)


def find_protocol(name: str) -> KeyProtocol[Any]:
    """Return the key protocol of a name. InputError for one that no package offers names those there are."""
    for protocol in BUILT_IN:
        if protocol.name == name:
            return protocol
    found: KeyProtocol[Any] | None = find_plugin(GROUP, name)
    if found is None:
        raise InputError(f"no protocol of key links is called {name!r}: choose {', '.join(protocol_names())}")
    return found


def profile_names() -> tuple[str, ...]:
    """Return the device profiles of all key protocols."""
    return tuple(known.name for name in protocol_names() for known in find_protocol(name).profiles)


def are_known(link: Mapping[str, Any]) -> bool:
    """Tell whether protocol and profile of a link, as plain data, are there; of others is told elsewhere."""
    return link.get("protocol", DECOY_BB84.name) in protocol_names() and (
        "profile" not in link or link["profile"] in profile_names()
    )

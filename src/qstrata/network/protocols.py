"""The key protocols of links: names that a network file may give, and what is wrong with their figures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from qstrata.core.errors import InputError
from qstrata.network.document import Place, Problem, View
from qstrata.network.plugins import find_plugin, plugin_names
from qstrata.network.suggestion import did_you_mean, nearest
from qstrata.network.tables import DeviceFigures
from qstrata.physics.pair_parameters import PROTOCOLS as PAIR_PROTOCOLS
from qstrata.physics.protocols.bbm92 import BBM92
from qstrata.physics.protocols.decoy import DECOY_BB84
from qstrata.physics.protocols.model import LinkProtocol

GROUP = "qstrata.protocols"
"""Entry points of this group are key protocols too: each names a `LinkProtocol`."""

BUILT_IN: tuple[LinkProtocol[Any], ...] = (DECOY_BB84, BBM92)
NATIVE = "native"
BUILT_IN_NAMES = tuple(protocol.name for protocol in BUILT_IN)


def protocol_names() -> tuple[str, ...]:
    """Return the key protocols that there are: the built-in ones, then those of other packages."""
    return plugin_names(GROUP, BUILT_IN_NAMES)


def find_protocol(name: str) -> LinkProtocol[Any]:
    """Return the key protocol of a name. InputError for one that no package offers names those there are."""
    for protocol in BUILT_IN:
        if protocol.name == name:
            return protocol
    found: LinkProtocol[Any] | None = find_plugin(GROUP, name)
    if found is None:
        raise InputError(f"no protocol of key links is called {name!r}: choose {', '.join(protocol_names())}")
    return found


def profile_names() -> tuple[str, ...]:
    """Return the device profiles of all key protocols."""
    return tuple(known.name for name in protocol_names() for known in find_protocol(name).profiles)


def check_protocols(root: View) -> list[Problem]:
    """Return the protocols of a file that are not there."""
    kinds = [view for _, view in root.get("kinds").get("links").tables()]
    tables = (*root.get("links").items(), *kinds, root.get("defaults").get("link"))
    return [problem for table in tables for problem in _check(table.get("protocol"))]


def _check(view: View) -> Iterator[Problem]:
    if view.text is None or view.text in BUILT_IN_NAMES:
        return
    known = (*protocol_names(), *PAIR_PROTOCOLS)
    if view.text not in known:
        hint = did_you_mean(view.text, known)
        message = f"no protocol of links is called `{view.text}`{hint}"
        yield Problem(view.place, message, nearest(view.text, known))


def are_known(link: Mapping[str, Any]) -> bool:
    """Tell whether protocol and profile of a link, as plain data, are there; of others is told elsewhere."""
    return link.get("protocol", DECOY_BB84.name) in protocol_names() and (
        "profile" not in link or link["profile"] in profile_names()
    )


def check_devices(link: Mapping[str, Any], views: Sequence[View]) -> list[Problem]:
    """Return the profile, figures and engine of a link that its protocol does not have.

    `link` is its plain data, of which `are_known`; `views` give it figures: itself, its kind, the defaults.
    """
    protocol = find_protocol(link.get("protocol", DECOY_BB84.name))
    problems = []
    profiles = [each.name for each in protocol.profiles]
    if "profile" in link and link["profile"] not in profiles:
        message = f"`{link['profile']}` is no profile of {protocol.name}; choose {' or '.join(profiles)}"
        problems.append(Problem(_place("profile", views), message, profiles[0]))
    if protocol is not DECOY_BB84 and link.get("engine", NATIVE) != NATIVE:
        message = f"the engine `{link['engine']}` runs {DECOY_BB84.name} alone, not {protocol.name}"
        problems.append(Problem(_place("engine", views), message, NATIVE))
    own = [parameter.name.replace("_", "-") for parameter in protocol.table]
    figures = [key for key in own if key in _FIGURES]
    for view in views:
        for key, _ in view.get("parameters").tables():
            if key.text in _FIGURES and key.text not in own:
                message = f"`{key.text}` is no figure of {protocol.name}{did_you_mean(key.text, figures)}"
                problems.append(Problem(key.place, message, nearest(key.text, figures)))
    return problems


def _place(key: str, views: Sequence[View]) -> Place:
    return next((found.place for view in views if (found := view.get(key)).tree is not None), views[0].place)


_FIGURES = frozenset(field.encode_name for field in msgspec.structs.fields(DeviceFigures))
"""All that a network file knows under `parameters`; of other keys is told elsewhere."""

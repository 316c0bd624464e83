"""What is wrong with the protocols of links in a network file, and with the figures that they have."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from qstrata.network.document import Place, Problem, View
from qstrata.network.protocols import BUILT_IN_NAMES, find_protocol, protocol_names
from qstrata.network.suggestion import did_you_mean, nearest
from qstrata.network.tables import DeviceFigures
from qstrata.physics.pair_link import PROTOCOLS as PAIR_PROTOCOLS
from qstrata.physics.protocols.decoy import DECOY_BB84

NATIVE = "native"
OF_ANY_PROTOCOL = (NATIVE, "trace")
"""The engines that run links of every protocol."""


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
    if protocol is not DECOY_BB84 and link.get("engine", NATIVE).partition(":")[0] not in OF_ANY_PROTOCOL:
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

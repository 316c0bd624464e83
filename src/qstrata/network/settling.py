"""Settling: whether control has made of a description what it says, and what it has not made yet. Pure."""

from collections.abc import Iterator

from qstrata.fabric.messages.policy import ForwardingState, ServiceState, UnitState
from qstrata.network.description import Description
from qstrata.network.difference import pair_text
from qstrata.network.views import Heard

LIVE = ("proposed", "negotiated", "open", "draining")
PENDING = "pending"


def unsettled(description: Description, heard: Heard) -> tuple[str, ...]:
    """Return what is not as the description says, in words; empty once all is.

    A link that is dark and a session that is refused have settled: control has done what it can.
    """
    if heard.forwarding is None or heard.service is None:
        return ("management has not answered",)
    return (*_links(description, heard.forwarding), *_sessions(description, heard.service))


def _links(description: Description, state: ForwardingState) -> Iterator[str]:
    wanted = dict.fromkeys(
        [*(link.name for link in description.links), *(link.name for link in description.pair_links)]
    )
    shown = {link.link: link for link in (*state.links, *state.pair_links)}
    for name in wanted:
        if name not in shown:
            yield f"link {name} is not known to control yet"
        elif shown[name].state == PENDING:
            yield f"link {name} is not up yet: {shown[name].reason}"
    for name in shown:
        if name not in wanted:
            yield f"link {name} is still there"


def _waits_for_route(unit: UnitState) -> bool:
    """Tell whether a session cannot open as links are: control has done what it can."""
    return unit.state == "proposed" and bool(unit.reason)


def _sessions(description: Description, state: ServiceState) -> Iterator[str]:
    allowed = set(description.allowed_pairs)
    units: dict[tuple[str, str], UnitState] = {}
    for unit in state.units:
        pair = (min(unit.a, unit.b), max(unit.a, unit.b))
        if unit.state in LIVE:
            units[pair] = unit
            if pair not in allowed or unit.state == "draining":
                yield f"session {pair_text(pair)} is still {unit.state}"
            elif unit.state != "open" and not _waits_for_route(unit):
                yield f"session {pair_text(pair)} is not open yet"
        elif unit.state == "refused":
            units.setdefault(pair, unit)
    for session in description.sessions:
        pair = (min(session.between), max(session.between))
        if pair not in units:
            yield f"session {pair_text(pair)} is not open yet"

"""What an intruder at a site of a network attempts: to speak as control, management or an operator would.

Each stratum is lied to: tables emptied, links stopped, credit for nobody, bearers taken back, alarms cleared,
and announcements of what has not happened.
"""

import msgspec

from qstrata.core.address import Address, End
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.connectivity_control import ReleaseBearers
from qstrata.fabric.messages.forwarding_control import DeactivateLink, InstallTable
from qstrata.fabric.messages.media import MediaChanged
from qstrata.fabric.messages.operator import Configure
from qstrata.fabric.messages.policy import ForwardingPolicy
from qstrata.fabric.messages.reports import WatchLinks
from qstrata.fabric.messages.service_control import GrantCredit
from qstrata.network.plan import NetworkPlan, twin_plan
from qstrata.planes import places
from qstrata.twin.plan import Attempt, IntruderPlan, TwinPlan

NAME = "intruder"
_LATEST = 2**53
"""A serial that would outdate every other."""


def world_plan(plan: NetworkPlan, seed: int | None, newest_blocks: dict[str, int]) -> TwinPlan:
    """Describe the world, as `twin_plan`, and who may come in at its sites."""
    inside = tuple(IntruderPlan(site.site, _attempts(plan, site.site)) for site in plan.sites)
    return msgspec.structs.replace(twin_plan(plan, seed, newest_blocks), intruders=inside)


def impostors(plan: TwinPlan) -> dict[Address, None]:
    """Return the addresses in whose name intruders speak, in order."""
    attempts = (attempt for intruder in plan.intruders for attempt in intruder.attempts)
    return dict.fromkeys(attempt.sender for attempt in attempts)


def _attempts(plan: NetworkPlan, site: str) -> tuple[Attempt, ...]:
    domain = plan.domain
    here = next(each for each in plan.sites if each.site == site)
    forwarding = places.controller(End.FORWARDING_CTL, domain)
    watch = places.telemetry(End.FORWARDING_TEL, domain)
    relay, termination = places.relay(domain, site), places.termination(domain, site)
    nothing = ForwardingPolicy(sites=(), links=())
    tried: list[tuple[End, Address, Message]] = [
        (End.FORWARDING_CTL, relay, InstallTable(_LATEST, ())),
        (End.FORWARDING_CTL, watch, WatchLinks(())),
        (End.SERVICE_CTL, places.kme(domain, site), GrantCredit(NAME, _LATEST, 1, 1e6, 10**9)),
        (End.FORWARDING_MGT, forwarding, nothing),
        (End.OPERATOR, places.manager(End.FORWARDING_MGT, domain), Configure(0, nothing)),
    ]
    tried += [
        (End.FORWARDING_CTL, agent.address, DeactivateLink(agent.link, _LATEST)) for agent in here.agents
    ]
    for bearers in here.bearers:
        told = MediaChanged(bearers.link, bearers.fibre, False, "an intruder says so")
        tried.append((End.CONNECTIVITY_CTL, termination, ReleaseBearers(_LATEST, bearers.link)))
        tried.append((End.CONNECTIVITY_CTL, forwarding, told))
    return tuple(Attempt(Address(end, domain, site, NAME), to, message) for end, to, message in tried)

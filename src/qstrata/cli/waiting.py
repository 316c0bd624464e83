"""`up --wait-for-keys`: wait until every declared session has keys at both ends."""

import asyncio
import time

from qstrata.cli.places import Place, ask
from qstrata.network.description import Description
from qstrata.network.face import TimedOutError
from qstrata.network.remote import AskInspect, NetworkView
from qstrata.network.supervisor import RunningNetwork

_PAUSE_S = 0.2


class Wait:
    """A wait for keys of the declared sessions of a network, at most `within_s` from now."""

    def __init__(self, description: Description, within_s: float) -> None:
        self._pairs = [session.between for session in description.sessions]
        self._name = description.name
        self._within_s = within_s
        self._limit = time.monotonic() + within_s

    def over(self, view: NetworkView) -> bool:
        """Say whether all have keys; raises TimedOutError with what lacks and why when it takes too long."""
        lacking = [(pair, why) for pair in self._pairs if (why := why_without_keys(view, pair))]
        if lacking and time.monotonic() > self._limit:
            listed = "; ".join(f"{a} and {b}: {why}" for (a, b), why in lacking)
            raise TimedOutError(
                f"no keys within {self._within_s:g} s for {listed}. `qstrata inspect {self._name}` tells "
                "more; with `initial-key-bits` there are keys before the first block"
            )
        return not lacking


def why_without_keys(view: NetworkView, pair: tuple[str, str]) -> str:
    """Return why a pair has no keys ready at both of its KMEs; empty where it has."""
    session = next((row for row in view.sessions if {row.unit.a, row.unit.b} == set(pair)), None)
    if session is None:
        return "the session is not open yet"
    held = dict(session.kmes)
    sites = sorted({sae.node for sae in view.saes if sae.name in pair})
    without = [site for site in sites if site not in held or not held[site].keys_ready]
    if not without:
        return ""
    refills = dict.fromkeys(held[site].refill for site in without if site in held and held[site].refill)
    alarms = [alarm.finding for alarm in view.alarms]
    why = session.unit.reason or "; ".join(alarms or refills) or "they are being made"
    return f"none at {' and '.join(without)} ({why})"


async def inside(network: RunningNetwork, within_s: float) -> None:
    """Wait in the process of the network."""
    wait = Wait(network.description, within_s)
    while True:
        if wait.over(await network.desk.inspect()):
            return
        await asyncio.sleep(_PAUSE_S)


def outside(description: Description, place: Place, within_s: float) -> None:
    """Wait for a network of another process; raises NotUpError where it ends."""
    wait = Wait(description, within_s)
    while not wait.over(ask(place, AskInspect(), NetworkView)):
        time.sleep(_PAUSE_S)

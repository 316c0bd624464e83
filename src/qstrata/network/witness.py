"""What became of a virtual run, read from control and telemetry by local calls, as a supervisor may.

Nothing is sent, so that the event log is the same whoever looks.
"""

from collections import deque
from typing import Any

import msgspec

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.fabric.messages.policy import Exposure
from qstrata.fabric.messages.reports import Alarm
from qstrata.network.assembly import Assembly
from qstrata.network.remote import CircuitView, LinkView, PairLinkView
from qstrata.network.views import Heard, Instant, link_views, pair_views
from qstrata.planes.places import CONTROL_SITE
from qstrata.planes.probing import Telemetry

LOOK_PS = PS_PER_S
ALARMS_KEPT = 1000
"""So many alarms of a run are told, the newest; all are counted."""


class AlarmSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm of a run, in its newest words; `cleared_s` is None while it stands, else to the second."""

    subject: str
    channel: str
    finding: str
    raised_s: float
    cleared_s: float | None = None


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What control and telemetry made of a run: alarms, links, circuits, keys under suspicion."""

    alarms_raised: int
    alarms: tuple[AlarmSeen, ...]
    links: tuple[LinkView, ...]
    pair_links: tuple[PairLinkView, ...]
    circuits: tuple[CircuitView, ...]
    exposures: tuple[Exposure, ...]


class Witness:
    """Look at the alarms of a network every second of its time, from its start on."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._standing: dict[tuple[str, str, int], Alarm] = {}
        self._over: deque[AlarmSeen] = deque(maxlen=ALARMS_KEPT)
        self._raised = 0
        self._again()

    def _again(self) -> None:
        self._look()
        queue = self._assembly.queue
        queue.push(queue.now + LOOK_PS, self._again)

    def _elements(self) -> dict[End, Any]:
        return {each.address.end: each for each in self._assembly.host.elements(CONTROL_SITE)}

    def _look(self) -> None:
        before, self._standing = self._standing, {}
        for element in self._elements().values():
            for alarm in element.alarms.standing() if isinstance(element, Telemetry) else ():
                self._standing[alarm.subject, alarm.channel, alarm.raised_ps] = alarm
        self._raised += sum(key not in before for key in self._standing)
        cleared_s = to_seconds(self._assembly.queue.now)
        self._over += [_seen(alarm, cleared_s) for key, alarm in before.items() if key not in self._standing]

    def findings(self) -> Findings:
        """Tell what there is to tell now."""
        self._look()
        seen = [*self._over, *(_seen(alarm) for alarm in self._standing.values())]
        seen.sort(key=lambda alarm: (alarm.raised_s, alarm.subject, alarm.channel))
        now, elements = self._assembly.queue.now, self._elements()
        instant = Instant(description=self._assembly.plan.description, started_ps=0, now_ps=now, lateness=())
        heard = _heard(elements, now)
        pairs = pair_views(instant, heard)
        return Findings(
            alarms_raised=self._raised,
            alarms=tuple(seen[-ALARMS_KEPT:]),
            links=link_views(instant, heard),
            pair_links=pairs.links(),
            circuits=pairs.circuits(),
            exposures=() if heard.service is None else heard.service.exposures,
        )


def _heard(elements: dict[End, Any], now: int) -> Heard:
    """Return what control and telemetry would answer; nothing while their node is down."""
    if not elements:
        return Heard()
    return Heard(
        connectivity=elements[End.CONNECTIVITY_CTL].state(),
        forwarding=elements[End.FORWARDING_CTL].state(),
        service=elements[End.SERVICE_CTL].state(),
        links=elements[End.FORWARDING_TEL].report(now),
    )


def _seen(alarm: Alarm, cleared_s: float | None = None) -> AlarmSeen:
    return AlarmSeen(
        subject=alarm.subject,
        channel=alarm.channel,
        finding=alarm.finding,
        raised_s=to_seconds(alarm.raised_ps),
        cleared_s=cleared_s,
    )

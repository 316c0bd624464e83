"""What telemetry knows of blocks after its own restart: agents keep it, and say it when they are probed.

Both ends of a link keep it, so that it is lost only where telemetry and both sites stop together.
"""

from collections.abc import Collection

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Send
from qstrata.fabric.messages.reports import Suspicion
from qstrata.fabric.messages.samples import KeepVerdicts, Verdicts, VerdictsKept
from qstrata.fabric.port import Port
from qstrata.strata.forwarding.telemetry.watch import LinkWatch, in_words


class VerdictBook:
    """Have agents keep verdicts, and recall them to watches that begin."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._began_ps = 0
        self._agents: dict[str, dict[Address, None]] = {}
        self._kept: dict[str, Verdicts] = {}
        self._told: dict[str, Verdicts] = {}

    def start(self, now: int) -> None:
        """Know that what was judged before now is recalled, and what is from now on is not."""
        self._began_ps = now

    def keep(self, links: Collection[str], agents: Collection[Address]) -> None:
        """Forget all other links, and all other agents."""
        for table in (self._agents, self._kept, self._told):
            for link in [link for link in table if link not in links]:
                del table[link]
        for link, known in self._agents.items():
            self._agents[link] = {agent: None for agent in known if agent in agents}

    def is_heard(self, link: str, agent: Address) -> bool:
        """Tell whether an agent has said what it keeps."""
        return agent in self._agents.get(link, ())

    def begin(self, watch: LinkWatch) -> None:
        """Have a new watch know what agents have said that they keep."""
        kept = self._kept.pop(watch.link, None)
        if kept is not None:
            watch.recall(kept)

    def heard(self, message: VerdictsKept, agent: Address, watch: LinkWatch | None) -> list[Effect]:
        """Recall what an agent keeps to the watch; have it keep what is newer."""
        link, kept = message.link, message.verdicts
        self._agents.setdefault(link, {})[agent] = None
        if kept is not None and kept.at_ps < self._began_ps:
            known = self._kept.get(link)
            if watch is not None:
                watch.recall(kept)
            elif known is None or kept.at_ps > known.at_ps:
                self._kept[link] = kept
        told = self._told.get(link)
        if told is None or (kept is not None and kept.at_ps >= told.at_ps):
            return []
        return [Send(self._port.bind(agent), KeepVerdicts(link, told))]

    def tell(self, watch: LinkWatch, now: int) -> list[Effect]:
        """Have agents keep what a watch has judged, if it has changed."""
        told, new = self._told.get(watch.link), watch.verdicts(now)
        if told is not None and msgspec.structs.replace(new, at_ps=told.at_ps) == told:
            return []
        self._told[watch.link] = new
        agents = self._agents.get(watch.link, ())
        return [Send(self._port.bind(agent), KeepVerdicts(watch.link, new)) for agent in agents]


def attack_in_words(suspicion: Suspicion) -> str:
    """Return a suspicion for operators, also one that is recalled without its evidence."""
    if suspicion.evidence:
        return in_words(suspicion)
    first, last = suspicion.first_block, suspicion.last_block
    return f"possible attack in blocks {first} to {last}: found before telemetry started anew"

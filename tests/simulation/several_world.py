"""The crash world with one master and four slaves: at its own KME, on the way, and two at the far end.

Every key is asked for all of them at once; an SAE that is never named and the master try to fetch it too.
"""

from qstrata.core.time import PS_PER_S
from qstrata.fabric.memory import Mischief
from qstrata.interfaces.etsi014.virtual import ClientEntry
from tests.simulation.crash_world import (
    ASK_FOR_PS,
    BACK_WITHIN_PS,
    DOWN_PS,
    DRAIN_PS,
    INTERVAL_PS,
    LINE,
    WINDOW_PS,
    Point,
    World,
)

MASTER, SLAVE, UNNAMED = "urn:qkd:lab:a:sae", "urn:qkd:lab:b:sae", "urn:qkd:lab:b:unnamed"
OTHERS = ("urn:qkd:lab:b:two", "urn:qkd:lab:r:sae", "urn:qkd:lab:a:two")
NAMED = (SLAVE, *OTHERS)
ADDED = f"""
  - {{name: "{OTHERS[0]}", node: b}}
  - {{name: "{OTHERS[2]}", node: a}}
  - {{name: "{UNNAMED}", node: b}}
sessions:
  - {{between: ["{MASTER}", "{OTHERS[0]}"]}}
  - {{between: ["{MASTER}", "{OTHERS[1]}"]}}
  - {{between: ["{MASTER}", "{OTHERS[2]}"]}}
  - {{between: ["{MASTER}", "{UNNAMED}"]}}
"""
SEVERAL = (
    LINE.replace("\nsessions:\n", ADDED)
    .replace("depth-keys: 24", "depth-keys: 8")
    .replace("initial-key-bits: 8000", "initial-key-bits: 60000")
)


class SeveralSlaves(World):
    """One run in which keys are shared by a master and its four slaves."""

    def __init__(self, point: Point | None = None, seed: int = 1, mischief: Mischief | None = None) -> None:
        super().__init__(point, seed, mischief, SEVERAL)
        self.tries: tuple[str, ...] = (*NAMED, UNNAMED, MASTER)

    def play(self) -> None:
        """Ask for keys of all slaves until a crashed node has had its time to recover."""
        self.sim.queue.push(INTERVAL_PS, self._ask_all)
        while self.crashed_ps < 0 and self.now < WINDOW_PS:
            self.run(PS_PER_S)
        self.sim.run_until(self._since_ps + DOWN_PS + max(DRAIN_PS, BACK_WITHIN_PS))

    def _ask_all(self) -> None:
        if self.now >= self._since_ps + DOWN_PS + ASK_FOR_PS:
            return
        self.sim.queue.push(self.now + INTERVAL_PS, self._ask_all)

        def told(entry: ClientEntry, now: int) -> None:
            if entry.outcome == 200:
                for number, sae in enumerate(self.tries, 1):
                    self.sim.queue.push(now + number * self.tell_ps, fetch, sae, entry.key_ids)

        def fetch(sae: str, key_ids: tuple[str, ...]) -> None:
            self.sim.saes[sae].get_keys_by_id(MASTER, key_ids, self.now)

        self.sim.saes[MASTER].get_keys(SLAVE, self.now, 2, None, told, OTHERS)

    def got(self, sae: str, verb: str) -> dict[str, str]:
        """Return what an SAE was given by a verb: the digest of each key."""
        return {
            key_id: digest
            for entry in self.sim.history
            if (entry.sae, entry.verb, entry.outcome) == (sae, verb, 200)
            for key_id, digest in zip(entry.key_ids, entry.digests, strict=True)
        }

    def _fresh_keys(self) -> list[str]:
        fresh = {
            key_id
            for entry in self.sim.history
            if entry.verb == "enc" and entry.outcome == 200 and entry.time_ps > self._since_ps
            for key_id in entry.key_ids
        }
        given = [{key: d for key, d in self.got(sae, "dec").items() if key in fresh} for sae in NAMED]
        faults = [f"{sae} has no fresh key" for sae, keys in zip(NAMED, given, strict=True) if not keys]
        if not set.intersection(*(set(keys.items()) for keys in given)):
            faults.append("no fresh key has come to all slaves")
        return faults

    def _depth(self) -> list[str]:
        return []

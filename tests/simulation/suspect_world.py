"""Two sites whose link is attacked while nobody hears its instruments, crashed once amid the quarantine."""

from typing import Any

from qstrata.core.address import End
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.memory import Mischief
from qstrata.fabric.port import BoundHandle
from qstrata.kernel.commit import Verdict as CommitVerdict
from qstrata.kernel.host import Changes
from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.store.records import KeyRecord, KeyState, TransferLeg
from qstrata.testing.checker import check
from qstrata.testing.evidence import Message, read
from qstrata.testing.history import calls_of
from qstrata.testing.verdict import Verdict
from tests.simulation.looking import run

SITES = ("east", "west")
A, B = "urn:qkd:pair:east:app", "urn:qkd:pair:west:app"
LINK = "east-west"
TEXT = f"""
name: pair
domain: pair
nodes:
  - {{name: east, site: [0.0, 0.0]}}
  - {{name: west, site: [0.1, 0.0]}}
links:
  - {{ends: [east, west], length-km: 10.0, loss-db: 2.0, channels: default, block-s: 4,
     initial-key-bits: 8000, parameters: {{pulse-rate-hz: 2.0e+8}}}}
saes:
  - {{name: "{A}", node: east}}
  - {{name: "{B}", node: west}}
sessions:
  - {{between: ["{A}", "{B}"], depth-keys: 256, rate-keys-per-s: 80, key-size-bits: 1024}}
"""
ORDERS = ("QuarantineBlocks", "BlocksQuarantined", "KeysSuspected", "QuarantineKeys", "KeysQuarantined")
MESSAGES = (*ORDERS, "SuspectsHeard")
DOWN_PS = PS_PER_S
QUIET_PS = (13 * PS_PER_S, 17 * PS_PER_S)
"""While nobody asks, so that pools fill up with keys that suspect blocks mask."""


class SuspectWorld:
    """One run; SAEs of both sites ask, and fetch what the other was given at once or seconds later.

    `point` is how a node crashes (`lose`, `keep-then-crash` at a commit that sets keys aside, `deliver` in
    place of hearing a message of the quarantine), and at the how-many-th of these.
    """

    def __init__(self, point: tuple[str, int] | None = None, mischief: Mischief | None = None) -> None:
        self.point = point
        self.points: list[tuple[str, int]] = []
        self.crashed_ps = -1
        self.lines: list[bytes] = []
        self._counts = {"commit": 0, "deliver": 0}
        self._open = False
        self.sim = Simulation(
            load_text(TEXT, "pair.yaml"), seed=3, log=self.lines, mischief=mischief, checked=True
        )
        self.sim.commits.on_commit = self._on_commit
        self.sim.commits.crash = self._crash
        self.sim.assembly.fabric.hooks.before_deliver = self._before_deliver
        for index, (sae, peer) in enumerate(((A, B), (B, A))):
            self.sim.queue.push((index + 1) * 70 * PS_PER_MS, self._ask, sae, peer)

    def _ask(self, sae: str, peer: str) -> None:
        queue = self.sim.queue
        queue.push(queue.now + 300 * PS_PER_MS, self._ask, sae, peer)
        if QUIET_PS[0] < queue.now < QUIET_PS[1]:
            return

        def told(entry: Any, now: int) -> None:
            if entry.outcome == 200:
                wait = 20 if len(self.sim.history) % 2 else 3000
                queue.push(now + wait * PS_PER_MS, fetch, entry.key_ids)

        def fetch(key_ids: tuple[str, ...]) -> None:
            self.sim.saes[peer].get_keys_by_id(sae, key_ids, queue.now)

        self.sim.saes[sae].get_keys(peer, queue.now, 8, None, told)

    def play(self) -> "SuspectWorld":
        """Attack unseen, be heard again and set aside, heal, and go on until keys are given again."""
        sim = self.sim
        run(sim, 13)
        for site in SITES:
            self._do(sim.assembly.inject, "cut", f"management/{site}", 1.0)
        self._do(sim.assembly.inject, "intercept-resend", LINK, 0.05)
        run(sim, 11)
        self._open = True
        for site in SITES:
            self._do(sim.assembly.heal, "cut", f"management/{site}")
        run(sim, 14)
        self._open = False
        self._do(sim.assembly.heal, "intercept-resend", LINK)
        run(sim, 25)
        return self

    def _do(self, act: Any, *args: Any) -> None:
        answers: list[Any] = []
        act(*args, answers.append)
        run(self.sim, 0.001)
        assert not answers[0].error

    def _crash(self, node: str) -> None:
        self.crashed_ps = self.sim.queue.now
        self.sim.crash(node)
        self.sim.queue.push(self.sim.queue.now + DOWN_PS, self.sim.restart, node)

    def _is_here(self, how: str, number: int) -> bool:
        if self.point is None:
            self.points.append((how, number))
            return False
        return self.point == (how, number) and self.crashed_ps < 0

    def _on_commit(self, node: str, changes: Changes) -> CommitVerdict:
        states = {getattr(getattr(change, "record", None), "state", None) for change in changes}
        if not self._open or KeyState.QUARANTINED not in states:
            return "keep"
        self._counts["commit"] += 1
        if self._is_here("lose", self._counts["commit"]):
            return "lose"
        return "keep-then-crash" if self._is_here("keep-then-crash", self._counts["commit"]) else "keep"

    def _before_deliver(self, handle: BoundHandle, message: Any) -> bool:
        if not self._open or type(message).__name__ not in MESSAGES:
            return True
        self._counts["deliver"] += 1
        if self._is_here("deliver", self._counts["deliver"]):
            self._crash(str(handle.to.site))
            return False
        return True

    def judged(self) -> Verdict:
        """Let the checker judge the run."""
        self.sim.recorder.flush()
        entries = [*self.sim.history, *(e for sae in self.sim.saes.values() for e in sae.unanswered())]
        return check(self.lines, calls_of(entries))

    def windows(self) -> list[tuple[int, int]]:
        """Return the suspect windows that relays were told of."""
        self.sim.recorder.flush()
        said = [event for _, _, event in read(self.lines) if isinstance(event, Message)]
        orders = [event.texts() for event in said if event.type == "QuarantineBlocks"]
        return sorted({(int(first), int(last)) for _, _, first, last in orders})

    def left(self) -> list[str]:
        """Return the live keys that suspect blocks masked: none may be left after the quarantine."""
        windows = self.windows()
        store = self.sim.assembly.store
        masked = {
            row.transfer
            for site in SITES
            for row in store.load(site)
            if isinstance(row, TransferLeg)
            and any(a <= s.number <= b for s in (*row.incoming, *row.outgoing) for a, b in windows)
        }
        other = {"east": "west", "west": "east"}
        return [
            f"{row.key_id} at {site} ({row.state.value})"
            for site in SITES
            for row in store.load(site)
            if isinstance(row, KeyRecord)
            and row.state is KeyState.POOLED
            and f"{row.session}/{site if row.own else other[site]}/{row.sequence}" in masked
        ]

    def quarantined(self, site: str) -> int:
        """Return how many keys a site has set aside."""
        rows = self.sim.assembly.store.load(site)
        return sum(isinstance(row, KeyRecord) and row.state is KeyState.QUARANTINED for row in rows)

    def alarms(self) -> Any:
        """Return the alarms that stand."""
        elements = self.sim.assembly.host.elements("control")
        (telemetry,) = (e for e in elements if e.address.end is End.FORWARDING_TEL)
        return telemetry.alarms.standing()

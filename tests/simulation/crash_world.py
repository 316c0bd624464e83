"""A line of three sites that is crashed once, at any durable write or any message, and judged afterwards.

Two SAEs at the ends share keys in both directions while a node crashes and comes back; then both ask for
all that is stored, so that the pools must be filled up from empty.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from qstrata.core.address import End
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.memory import Mischief
from qstrata.fabric.port import BoundHandle
from qstrata.interfaces.etsi014.virtual import ClientEntry
from qstrata.kernel.commit import Verdict as CommitVerdict
from qstrata.kernel.host import Changes
from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.planes import places
from qstrata.store.accounts import link_account, session_account
from qstrata.store.records import (
    BatchRecord,
    BlockState,
    KeyRecord,
    KeyTotals,
    PoolTotals,
    SessionRecord,
)
from qstrata.strata.service.resource.kme import KmeElement
from qstrata.strata.service.resource.session import Session
from qstrata.testing.checker import check
from qstrata.testing.history import calls_of
from qstrata.testing.verdict import Verdict

LINE = """
name: line
domain: lab
nodes:
  - {name: a, site: [0, 0]}
  - {name: r, site: [0, 1]}
  - {name: b, site: [0, 2]}
links:
  - {ends: [a, r], length-km: 10, loss-db: 2, channels: default, block-s: 4, initial-key-bits: 8000,
     parameters: {pulse-rate-hz: 5.0e+7}}
  - {ends: [r, b], length-km: 20, loss-db: 2, channels: default, block-s: 4, initial-key-bits: 8000,
     parameters: {pulse-rate-hz: 5.0e+7}}
saes:
  - {name: "urn:qkd:lab:a:sae", node: a}
  - {name: "urn:qkd:lab:r:sae", node: r}
  - {name: "urn:qkd:lab:b:sae", node: b}
sessions:
  - {between: ["urn:qkd:lab:a:sae", "urn:qkd:lab:b:sae"]}
defaults: {session: {depth-keys: 24, rate-keys-per-s: 20}}
"""
NODES = ("a", "r", "b", places.CONTROL_SITE)
SITES = ("a", "r", "b")
LINKS = {"a-r": ("a", "r"), "r-b": ("r", "b")}
SAES = {site: f"urn:qkd:lab:{site}:sae" for site in SITES}
DIRECTIONS = (("a", "b"), ("b", "a"), ("r", "b"))
"""Who asks, and who fetches; the session of the first two is declared, the other opens when asked for."""
OWN_HALF = 12
KEY_BITS = 256

WINDOW_PS = 12 * PS_PER_S
DOWN_PS = PS_PER_S
BACK_WITHIN_PS = 60 * PS_PER_S
ASK_FOR_PS = 35 * PS_PER_S
DRAIN_PS = 45 * PS_PER_S
LARGE_BITS = 512
LARGE_EVERY = 8
SETTLE_PS = 12 * PS_PER_S
"""More than a mark period: what was spent is settled at both ends afterwards."""
LOSSY_PS = 120 * PS_PER_S
INTERVAL_PS = 400 * PS_PER_MS
TELL_PS = 20 * PS_PER_MS


class Point(NamedTuple):
    """Where a node crashes: at the n-th commit, delivery or sending of the run.

    `how` is `lose` or `keep-then-crash` at a commit, `deliver` (the receiver crashes in place of taking
    the message) or `sent` (the sender crashes once the message has left). Number 0 stands for the first
    one at the node whose `what` (row kinds, or message type and ends) begins so.
    """

    how: str
    number: int
    node: str
    what: str


class Outcome(NamedTuple):
    """What became of a run; `faults` are the promises that were broken, in words."""

    point: Point | None
    verdict: Verdict
    faults: tuple[str, ...]
    burnt_link_bits: int
    burnt_key_bits: int


class World:
    """One run: count the points of the scenario, or crash at one of them.

    SAEs fetch what they are told of `tell_ps` later, `fetches` times; `fetchers` names those who do by site.
    """

    def __init__(
        self,
        point: Point | None = None,
        seed: int = 1,
        mischief: Mischief | None = None,
        text: str = LINE,
    ) -> None:
        self.point = point
        self.tell_ps = TELL_PS
        self.fetches = 1
        self.fetchers = SAES
        self.points: list[Point] = []
        self.lines: list[bytes] = []
        self.crashed_ps = -1
        self._lossy = mischief is not None
        self._commits = self._deliveries = self._sendings = 0
        self.sim = Simulation(
            load_text(text, "line.yaml"), seed, log=self.lines, mischief=mischief, checked=True
        )
        self.sim.commits.on_commit = self._on_commit
        self.sim.commits.crash = self._crash
        self.sim.assembly.fabric.hooks.before_deliver = self._before_deliver
        self.sim.assembly.fabric.taps.append(self._on_sent)

    @property
    def now(self) -> int:
        """Return the instant."""
        return self.sim.queue.now

    def run(self, duration_ps: int) -> None:
        """Run on."""
        self.sim.run_until(self.now + duration_ps)

    def _ask_on(self, site: str, peer: str, turn: int) -> None:
        if self.now >= self._since_ps + DOWN_PS + ASK_FOR_PS:
            return
        self.sim.queue.push(self.now + INTERVAL_PS, self._ask_on, site, peer, turn + 1)
        self.ask(site, peer, 1, None if turn % LARGE_EVERY else LARGE_BITS)

    @property
    def _since_ps(self) -> int:
        return self.crashed_ps if self.crashed_ps >= 0 else WINDOW_PS

    def ask(self, site: str, peer: str, number: int, size_bits: int | None = None) -> None:
        """Let the SAE of a site ask for keys, and that of the other fetch them."""

        def told(entry: ClientEntry, now: int) -> None:
            if entry.outcome == 200:
                for time in range(self.fetches):
                    self.sim.queue.push(now + (time + 1) * self.tell_ps, fetch, entry.key_ids)

        def fetch(key_ids: tuple[str, ...]) -> None:
            self.sim.saes[self.fetchers[peer]].get_keys_by_id(SAES[site], key_ids, self.now)

        self.sim.saes[SAES[site]].get_keys(SAES[peer], self.now, number, size_bits, told)

    def _crash(self, node: str) -> None:
        self.crashed_ps = self.now
        self.sim.crash(node)
        self.sim.queue.push(self.now + DOWN_PS, self.sim.restart, node)

    def _is_here(self, how: str, number: int, node: str, what: str) -> bool:
        if node not in NODES or self.now > WINDOW_PS:
            return False
        if self.point is None:
            self.points.append(Point(how, number, node, what))
            return False
        if self.point.how != how or self.crashed_ps >= 0:
            return False
        if self.point.number:
            return self.point.number == number
        return self.point.node == node and what.startswith(self.point.what)

    def _on_commit(self, node: str, changes: Changes) -> CommitVerdict:
        self._commits += 1
        what = ",".join(sorted({c.record.kind if hasattr(c, "record") else f"-{c.kind}" for c in changes}))
        if self._is_here("lose", self._commits, node, what):
            return "lose"
        if self._is_here("keep-then-crash", self._commits, node, what):
            return "keep-then-crash"
        return "keep"

    def _before_deliver(self, handle: BoundHandle, message: Any) -> bool:
        self._deliveries += 1
        node = _node_of(handle.to)
        if self._is_here("deliver", self._deliveries, node, _what(handle, message)):
            self._crash(node)
            return False
        return True

    def _on_sent(self, handle: BoundHandle, message: Any, now: int) -> None:
        self._sendings += 1
        node = _node_of(handle.sender)
        if node == _node_of(handle.to):
            return
        if self._is_here("sent", self._sendings, node, _what(handle, message)):
            self._crash(node)

    def scenario(self) -> Outcome:
        """Run the scenario and judge it; without a crash it ends as if one had been at the window's end."""
        self.play()
        faults = [] if self.point is None or self.crashed_ps >= 0 else ["the point was never reached"]
        faults += self._fresh_keys()
        self._wait_for(self._depth)
        faults += self._depth()
        self.run(SETTLE_PS)
        self._wait_for(self._ledgers)
        faults += self._ledgers()
        return Outcome(self.point, self.judged(), tuple(faults), self._burnt_links(), self._burnt_keys())

    def _wait_for(self, faults: Callable[[], list[str]]) -> None:
        """Run on until nothing is at fault, where messages get lost: what is lost is said again."""
        last_ps = self.now + (LOSSY_PS if self._lossy else 0)
        while faults() and self.now < last_ps:
            self.run(SETTLE_PS)

    def play(self) -> None:
        """Run the scenario until a crashed node has had its time to recover."""
        for index, (site, peer) in enumerate(DIRECTIONS):
            self.sim.queue.push((index + 1) * INTERVAL_PS // 4, self._ask_on, site, peer, 1)
        while self.crashed_ps < 0 and self.now < WINDOW_PS:
            self.run(PS_PER_S)
        back_ps = self._since_ps + DOWN_PS
        self.sim.run_until(back_ps + DRAIN_PS)
        for site, peer in DIRECTIONS:
            session = self._session(site, peer)
            self.ask(site, peer, max(1, len(session.ready) if session is not None else 1))
        self.sim.run_until(back_ps + BACK_WITHIN_PS)

    def judged(self) -> Verdict:
        """Let the checker judge what has happened so far."""
        self.sim.recorder.flush()
        entries = [*self.sim.history, *(e for sae in self.sim.saes.values() for e in sae.unanswered())]
        return check(self.lines, calls_of(entries))

    def _session(self, site: str, peer: str) -> Session | None:
        address = places.kme("lab", site)
        kme = next(e for e in self.sim.assembly.host.elements(site) if e.address == address)
        assert isinstance(kme, KmeElement)
        return kme.store.pairs.get((SAES[site], SAES[peer]))

    def _fresh_keys(self) -> list[str]:
        faults: list[str] = []
        for site, peer in DIRECTIONS:
            given = {
                key_id: digest
                for entry in self.sim.history
                if (entry.sae, entry.verb, entry.outcome) == (SAES[site], "enc", 200)
                and entry.time_ps > self._since_ps
                for key_id, digest in zip(entry.key_ids, entry.digests, strict=True)
            }
            got = {
                key_id: digest
                for entry in self.sim.history
                if (entry.sae, entry.verb, entry.outcome) == (SAES[peer], "dec", 200)
                for key_id, digest in zip(entry.key_ids, entry.digests, strict=True)
            }
            if not any(got.get(key_id) == digest for key_id, digest in given.items()):
                faults.append(f"no fresh key from {site} to {peer} within the time allowed")
        return faults

    def _depth(self) -> list[str]:
        faults: list[str] = []
        for site, peer in DIRECTIONS:
            session = self._session(site, peer)
            ready = len(session.ready) if session is not None else 0
            if ready != OWN_HALF:
                reason = session.refill if session is not None else "there is no session"
                faults.append(f"{ready} of {OWN_HALF} keys are ready at {site}: {reason}")
        return faults

    def rows(self, site: str, kind: type[Any]) -> Sequence[Any]:
        """Return the durable rows of a kind at a site."""
        return [row for row in self.sim.assembly.store.load(site) if isinstance(row, kind)]

    def _ledgers(self) -> list[str]:
        faults: list[str] = []
        for link, ends in LINKS.items():
            faults += [fault for site in ends for fault in self._link_fault(link, site)]
            faults += self._apart(link, ends)
        for site in SITES:
            for session in self.rows(site, SessionRecord):
                account = session_account(
                    (k for k in self.rows(site, KeyRecord) if k.session == session.session),
                    (b for b in self.rows(site, BatchRecord) if b.session == session.session),
                    next((t for t in self.rows(site, KeyTotals) if t.session == session.session), None),
                )
                if not account.balanced:
                    faults.append(f"the session's account at {site} is not balanced: {account}")
        return faults

    def blocks(self, link: str, site: str) -> dict[int, BlockState]:
        """Return the durable accounts of a link's blocks at one end."""
        return {row.number: row for row in self.rows(site, BlockState) if row.link == link}

    def _link_fault(self, link: str, site: str) -> list[str]:
        totals = next((t for t in self.rows(site, PoolTotals) if t.link == link), None)
        account = link_account(self.blocks(link, site).values(), totals)
        if not account.balanced:
            return [f"the account of {link} at {site} is not balanced: {account}"]
        return [f"{account.in_flight} bits of {link} are in flight at {site}"] if account.in_flight else []

    def _apart(self, link: str, ends: tuple[str, str]) -> list[str]:
        ours, theirs = (self.blocks(link, site) for site in ends)
        newest = max(ours | theirs, default=0)
        return [
            f"block {link}/{number} differs between its ends: {ours.get(number)}, {theirs.get(number)}"
            for number in sorted(ours | theirs)
            if number < newest and _account(ours.get(number)) != _account(theirs.get(number))
        ]

    def _burnt_links(self) -> int:
        return sum(
            row.destroyed for link, (end, _) in LINKS.items() for row in self.blocks(link, end).values()
        )

    def _burnt_keys(self) -> int:
        return sum(
            row.size_bits
            for site in SITES
            for row in self.rows(site, KeyRecord)
            if row.own and row.state.value == "destroyed"
        )


def _what(handle: BoundHandle, message: Any) -> str:
    sender, to = handle.sender, handle.to
    return f"{type(message).__name__} {sender.site}/{sender.name}>{to.site}/{to.name}"


def _node_of(address: Any) -> str:
    if address.end in (End.WORLD, End.OPERATOR):
        return str(address.end.value)
    return str(address.site)


def _account(state: BlockState | None) -> tuple[object, ...]:
    """Return what both ends must agree on; when a block was made is each end's own."""
    return state.logged if state is not None else ()

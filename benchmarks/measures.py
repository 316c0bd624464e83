"""The measurements, each on the processor time of this process alone, except where a disk is waited for."""

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.scenarios import BOTTLENECK, busy_madrid
from qstrata.core.address import Address, End
from qstrata.core.effects import Effects, Put, Send
from qstrata.core.time import PS_PER_S
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.messages.samples import ProbeService
from qstrata.fabric.port import Port
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.element import Element
from qstrata.kernel.host import Host
from qstrata.kernel.queue import EventQueue
from qstrata.network.simulation import Simulation
from qstrata.store.records import SessionMark
from qstrata.store.sealing import FileKeyProvider
from qstrata.store.sqlite import SqliteStore
from qstrata.strata.forwarding.resource.relay import RelayElement

MESSAGES = 200_000
EVENTS = 500_000
PATIENCE_S = 60.0


class Figure(msgspec.Struct, frozen=True):
    """One figure; `bound` is what it is held against, empty where nothing is."""

    measure: str
    name: str
    value: float
    unit: str
    bound: str = ""


def virtual_hours(hours: float) -> list[Figure]:
    """Run busy Madrid in virtual time, with the event log hashed and the store in memory."""
    sim = Simulation(busy_madrid(), seed=1)
    sim.start_demands()
    seconds = hours * 3600
    spent_s = _spent(lambda: sim.run_until(round(seconds * PS_PER_S)))
    report = sim.report()
    name = f"busy Madrid, {hours:g} virtual h"
    return [
        Figure(name, "processor time", spent_s, "s", f"at most {30 * hours / 6:g}"),
        Figure(name, "ratio to real time", seconds / spent_s, "virtual s/s", "at least 720"),
        Figure(name, "messages", report.messages / seconds, "1/virtual s"),
        Figure(name, "per message", spent_s / report.messages * 1e6, "us"),
        Figure(name, "log entries", report.events_logged / seconds, "1/virtual s"),
        Figure(name, "keys at both SAEs", report.keys_fetched, "keys"),
        Figure(name, "scarcest link used", 100 * _utilisation(sim), "%", "at least 70"),
    ]


def _utilisation(sim: Simulation) -> float:
    """Return the share of the scarcest link's key that is relayed, at its worse end."""
    shares = []
    for site in BOTTLENECK.split("-"):
        (relay,) = (e for e in sim.assembly.host.elements(site) if isinstance(e, RelayElement))
        pool = relay.station.pools[BOTTLENECK]
        _, relayed, _ = pool.spent()
        shares.append(relayed / pool.generated)
    return min(shares)


def kernel() -> list[Figure]:
    """Run events that each push the next, 1000 of them waiting."""
    queue = EventQueue()
    left = [EVENTS]

    def step() -> None:
        left[0] -= 1
        if left[0] >= 1000:
            queue.push(queue.now + 1000, step)

    for start in range(1000):
        queue.push(start, step)
    spent_s = _spent(lambda: queue.run_until(EVENTS * 1000))
    return [Figure("event queue", "per event", spent_s / EVENTS * 1e6, "us")]


class _Player(Element):
    """Send every message back."""

    def __init__(self, address: Address, port: Port, to: Address) -> None:
        super().__init__(address)
        self._back = Send(port.bind(to), ProbeService(1))
        self.on(ProbeService, self._play)

    def start(self, now: int) -> Effects:
        return [self._back]

    def _play(self, message: ProbeService, sender: Address, now: int) -> Effects:
        return [self._back]


def fabric() -> list[Figure]:
    """Send messages through host, fabric, queue and hashed log: one pair of ends, one message under way.

    The least that a message can cost: nothing is decided on it, and nothing else waits.
    """
    queue, recorder = EventQueue(), Recorder()
    carrier = MemoryFabric(queue, BearerTable(), recorder, Directory())
    host = Host(
        queue,
        send=carrier.send,
        commit=lambda node, changes, done, now: done(),
        note=recorder.note,
        set_bearer=lambda effect, now: None,
    )
    ends = [Address(end, "d", "control", "player") for end in (End.SERVICE_TEL, End.SERVICE_RES)]
    element = _Player(ends[0], carrier.port(ends[0]), ends[1])
    host.spawn("control", element)
    carrier.attach(ends[1], host.receiver(element))
    spent_s = _spent(lambda: _step(queue, MESSAGES))
    return [Figure("host and memory fabric", "per message, least", spent_s / MESSAGES * 1e6, "us")]


def _step(queue: EventQueue, times: int) -> None:
    for _ in range(times):
        queue.step()


def store() -> list[Figure]:
    """Commit sealed rows to SQLite on this disk: each waited for, then 64 queued at a time."""
    with tempfile.TemporaryDirectory() as folder:
        provider = FileKeyProvider(Path(folder) / "key")
        ledger = SqliteStore(Path(folder) / "ledger", provider, _fail)
        try:
            single_s = _commits(ledger, rounds=500, queued=1)
            grouped_s = _commits(ledger, rounds=100, queued=64)
        finally:
            ledger.close()
    return [
        Figure("SQLite store", "single commits", 500 / single_s, "1/s"),
        Figure("SQLite store", "64 commits queued", 6400 / grouped_s, "1/s"),
    ]


def _commits(ledger: SqliteStore, rounds: int, queued: int) -> float:
    began_s = time.perf_counter()
    for number in range(rounds):
        durable = threading.Semaphore(0)
        for index in range(queued):
            mark = SessionMark(session=f"session-{index}", next_sequence=number)
            ledger.commit("node", (Put(mark),), durable.release)
        for _ in range(queued):
            if not durable.acquire(timeout=PATIENCE_S):
                raise TimeoutError(f"a commit took more than {PATIENCE_S:g} s")
    return time.perf_counter() - began_s


def _fail(fault: Exception) -> None:
    raise fault


def _spent(act: Callable[[], object]) -> float:
    began_s = time.process_time()
    act()
    return time.process_time() - began_s

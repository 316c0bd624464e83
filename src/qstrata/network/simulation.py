"""A network in virtual time: the same elements, the same handlers, and an event log to hash."""

from functools import partial
from pathlib import Path

import msgspec

from qstrata.core.address import End
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_MS, PS_PER_S, EpochAnchor, to_seconds
from qstrata.fabric.memory import Mischief
from qstrata.fabric.messages.operator import Inspect, Inspected
from qstrata.fabric.messages.policy import ForwardingState, ServiceState
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.tally import Traffic
from qstrata.interfaces.etsi014.virtual import ClientEntry, VirtualSae
from qstrata.kernel.commit import ModelledCommit
from qstrata.kernel.host import CommitExecutor
from qstrata.kernel.queue import EventQueue
from qstrata.network.adoption import adopt, sites_to_read
from qstrata.network.assembly import Assembly
from qstrata.network.demand import Demand, DemandSpec, start_demands
from qstrata.network.description import Description
from qstrata.network.difference import difference
from qstrata.network.engines import EngineRoom
from qstrata.network.operator_desk import state_of
from qstrata.network.plan import make_plan
from qstrata.network.settling import unsettled
from qstrata.network.steps import Plan
from qstrata.network.views import Heard
from qstrata.network.witness import Findings, Witness
from qstrata.store.interface import Store
from qstrata.store.memory import MemoryStore

LOOK_PS = 250 * PS_PER_MS
VIRTUAL_EPOCH_S = 1_767_225_600
"""Virtual runs start on 2026-01-01T00:00:00Z, whatever the calendar says."""


class SimulationReport(msgspec.Struct, frozen=True):
    """What a virtual run did and came to; `event_log_sha256` is equal for equal file, seed and versions."""

    network: str
    seed: int
    virtual_s: float
    keys_delivered: int
    keys_fetched: int
    requests_unserved: int
    messages: int
    events_logged: int
    refusals: int
    event_log_sha256: str
    traffic: tuple[Traffic, ...]
    findings: Findings


class Applied(msgspec.Struct, frozen=True):
    """What `apply` did: its plan, and what control had not made of it when patience ended."""

    plan: Plan
    missing: tuple[str, ...] = ()


class Simulation:
    """Run a description in virtual time; equal seeds give equal event logs, byte for byte.

    `log` is where the event log goes (a list of lines, a path, None for its hash alone). Crash and
    restart nodes through `assembly`; `saes` are the applications, by name.
    """

    def __init__(
        self,
        description: Description,
        seed: int,
        *,
        log: list[bytes] | Path | None = None,
        store: Store | None = None,
        mischief: Mischief | None = None,
        checked: bool = False,
    ) -> None:
        self.seed = seed
        self.description = description
        self.salt = stream(seed, "salt").bytes(32)
        self.recorder = Recorder(log)
        self.engines = EngineRoom()
        self.assembly = Assembly(
            make_plan(description),
            store or MemoryStore(),
            self.recorder,
            self._commits,
            seed,
            self.salt,
            EpochAnchor(VIRTUAL_EPOCH_S),
            mischief=mischief,
            checked=checked,
            jobs=self.engines.virtual,
        )
        self.queue = self.assembly.queue
        self.history: list[ClientEntry] = []
        self.saes: dict[str, VirtualSae] = {}
        self._make_saes()
        self.demands: tuple[Demand, ...] = ()
        self._demanding = False
        self.assembly.start()
        self._witness = Witness(self.assembly)

    def _commits(self, queue: EventQueue, store: Store) -> CommitExecutor:
        self.commits = ModelledCommit(queue, store.commit)
        return self.commits.commit

    def _make_saes(self) -> None:
        """Make the applications of the description; those whose KME is the same stay."""
        before, self.saes = self.saes, {}
        for sae in self.description.saes:
            handler, known = self.assembly.handlers[sae.node], before.get(sae.name)
            if known is None or not known.asks(handler):
                known = VirtualSae(handler, sae.name, self.salt, self.history)
            self.saes[sae.name] = known

    def close(self) -> None:
        """End the processes of engines; links that run on the native engine alone have none."""
        self.engines.close()

    def start_demands(self) -> None:
        """Let the applications of the description's demands begin."""
        self._demanding = True
        specs = demand_specs(self.description)
        self.demands = start_demands(self.queue, specs, self.saes.__getitem__, self.demands)

    def apply(self, description: Description, patience_s: float = 30.0) -> Applied:
        """Change the network by the difference, and run on until control has settled, or for `patience_s`.

        Raises InputError, and changes nothing, for what no running network can change.
        """
        plan = difference(self.description, description)
        if not plan.steps:
            return Applied(plan)
        after, assembly = make_plan(description), self.assembly
        rows = {site: assembly.store.load(site) for site in sites_to_read(assembly.plan, after)}
        adopt(assembly, after, rows)
        self.description = description
        self._make_saes()
        if self._demanding:
            self.start_demands()
        limit_ps = self.queue.now + round(patience_s * PS_PER_S)
        missing = self._look()
        while missing and self.queue.now < limit_ps:
            missing = self._look()
        return Applied(plan, missing)

    def _look(self) -> tuple[str, ...]:
        """Go on for a moment, and return what control has not made of the description."""
        self.run_until(self.queue.now + LOOK_PS)
        answers = self.hear(End.FORWARDING_MGT, End.SERVICE_MGT)
        forwarding, service = (answers.get(end) for end in (End.FORWARDING_MGT, End.SERVICE_MGT))
        return unsettled(
            self.description,
            Heard(forwarding=state_of(forwarding, ForwardingState), service=state_of(service, ServiceState)),
        )

    def hear(self, *ends: End) -> dict[End, Inspected]:
        """Ask the managers of these ends, and go on until they have answered; who does not is left out."""
        answers: dict[End, Inspected] = {}
        for end in ends:
            heard = partial(self._heard, answers, end)
            self.assembly.operate(partial(self.assembly.operator.manager, end, Inspect, heard))
        self.run_until(self.queue.now + LOOK_PS)
        return answers

    @staticmethod
    def _heard(answers: dict[End, Inspected], end: End, answer: Inspected | None) -> None:
        if answer is not None:
            answers[end] = answer

    def run_until(self, time_ps: int) -> None:
        """Run to an instant of virtual time."""
        self.queue.run_until(time_ps)

    def crash(self, node: str) -> None:
        """Crash a node now: what it has not synced is lost."""
        self.commits.forget(node)
        self.assembly.crash(node)

    def restart(self, node: str) -> None:
        """Restart a crashed node from its durable rows."""
        self.assembly.restart(node)

    def report(self) -> SimulationReport:
        """Report what has been done so far."""
        traffic = self.assembly.fabric.traffic()
        return SimulationReport(
            network=self.description.name,
            seed=self.seed,
            virtual_s=to_seconds(self.queue.now),
            keys_delivered=sum(demand.delivered for demand in self.demands),
            keys_fetched=sum(demand.fetched for demand in self.demands),
            requests_unserved=sum(demand.unserved for demand in self.demands),
            messages=sum(row.messages for row in traffic),
            events_logged=self.recorder.entries,
            refusals=sum(row.count for row in self.assembly.fabric.refusals()),
            event_log_sha256=self.recorder.sha256(),
            traffic=traffic,
            findings=self._witness.findings(),
        )


def demand_specs(description: Description) -> tuple[DemandSpec, ...]:
    """Return the demands of a description, one for each direction."""
    specs: list[DemandSpec] = []
    for demand in description.demands:
        a, b = demand.between
        pairs = ((a, b), (b, a)) if demand.both_directions else ((a, b),)
        specs += [
            DemandSpec(sae, peer, demand.keys_per_s, demand.number, demand.key_size_bits)
            for sae, peer in pairs
        ]
    return tuple(specs)

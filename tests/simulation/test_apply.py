"""Changing a network that runs: it converges, what is outside the plan goes on, no guarantee breaks."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from qstrata.core.address import Address, End
from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.log import BlockHeld
from qstrata.fabric.messages.policy import ServiceState
from qstrata.kernel.element import Element
from qstrata.network.difference import difference
from qstrata.network.simulation import Simulation
from qstrata.network.steps import Plan
from qstrata.planes import places
from qstrata.testing.checker import check
from qstrata.testing.evidence import read
from qstrata.testing.history import calls_of
from tests.simulation.ledgers import Rows, is_conserved, sampled
from tests.simulation.looking import inspect, run
from tests.simulation.random_edits import CORE_SAES, Editor, File, base, loaded

SILENCE_S = 30
"""Longer than the core may ever be without a key: its link and its sites are never touched."""


def elements(sim: Simulation) -> dict[Address, Element]:
    """Return every element that runs, by address."""
    host = sim.assembly.host
    return {element.address: element for node in host.nodes() for element in host.elements(node)}


def expected(sim: Simulation) -> set[Address]:
    """Return the addresses of the elements of the sites and links in the description."""
    domain = sim.description.domain
    wanted = set()
    for node in sim.description.nodes:
        wanted |= {places.kme(domain, node.name), places.relay(domain, node.name)}
        wanted |= {
            places.termination(domain, node.name),
            Address(End.APPLICATION, domain, node.name, "etsi014"),
        }
    for link in sim.description.links:
        if link.distillation_delay_ps is not None and link.relay_delay_ps is not None:
            wanted |= {places.agent(domain, end, link.name) for end in link.ends}
    return wanted


def sessions(sim: Simulation) -> dict[tuple[str, ...], str]:
    """Return the open sessions by their SAEs."""
    state = inspect(sim, End.SERVICE_MGT).state
    assert isinstance(state, ServiceState)
    return {tuple(sorted((unit.a, unit.b))): unit.session for unit in state.units if unit.state == "open"}


def untouched(plan: Plan, found: dict[tuple[str, ...], str], sim: Simulation) -> dict[tuple[str, ...], str]:
    """Return the sessions that a plan does not touch: not they, their SAEs, or policy."""
    if any(step.kind in ("policy", "defaults", "routes") for step in plan.steps):
        return {CORE_SAES: found[CORE_SAES]}
    named = plan.touches("session") | plan.touches("sae")
    return {
        pair: session
        for pair, session in found.items()
        if not named & {*pair, " - ".join(pair)} and all(name in sim.saes for name in pair)
    }


class Changing:
    """A network under edits, and what is expected of it after each."""

    def __init__(self, seed: int) -> None:
        self.lines: list[bytes] = []
        self.editor = Editor(seed)
        self.file: File = base()
        self.sim = Simulation(loaded(self.file), seed=seed, log=self.lines, checked=True)
        self.sim.start_demands()
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        run(self.sim, 5)

    def edit(self, kind: str) -> bool:
        """Draw one edit of a kind and apply it; returns False where there was nothing to change."""
        file = self.editor.draw(self.file, kind)
        if file is None or file == self.file:
            return False
        if kind in self.editor.wrong:
            before = self.sim.description
            with pytest.raises(InputError):
                self.sim.apply(loaded(file))
            assert self.sim.description is before
            self.refused[kind] += 1
            return True
        self._apply(loaded(file), kind)
        self.file = file
        self.done[kind] += 1
        run(self.sim, self.editor.seconds())
        return True

    def _apply(self, description: Any, kind: str) -> None:
        sim = self.sim
        before, found = elements(sim), sessions(sim)
        demands, saes = sim.demands, dict(sim.saes)
        plan = difference(sim.description, description)
        applied = sim.apply(description)
        assert applied.missing == (), (kind, applied.plan)
        assert applied.plan == plan
        assert sim.apply(description).plan == Plan(())
        after = elements(sim)
        outside = {address for address in after if address.end in (End.OPERATOR, End.WORLD)}
        control = {address for address in after if address.site == places.CONTROL_SITE}
        assert after.keys() - outside - control == expected(sim), (kind, plan)
        gone = plan.touches("node")
        for address, element in before.items():
            if address in after and address.site not in gone:
                assert after[address] is element
        for pair, session in untouched(plan, found, sim).items():
            assert sessions(sim)[pair] == session, (kind, plan)
        assert sim.demands[: len(demands)] == demands
        moved = plan.touches("sae") | {name for name in saes if saes[name].name.split(":")[3] in gone}
        for sae, client in saes.items():
            if sae in sim.saes and sae not in moved and not gone:
                assert sim.saes[sae] is client

    def finish(self) -> None:
        """Judge the whole run."""
        sim = self.sim
        run(sim, 5)
        sim.recorder.flush()
        verdict = check(self.lines, calls_of(sim.history))
        assert verdict.ok, verdict.violations[:5]
        assert all(is_conserved(account) for _, account in sampled(self.lines))
        held = Counter(
            (event.site, event.link, event.number)
            for _, _, event in read(self.lines)
            if isinstance(event, BlockHeld)
        )
        assert max(held.values()) == 1
        for node in sim.description.nodes:
            assert all(account.balanced for account in Rows(sim, node.name).sessions().values())
        given = sorted(
            entry.answered_ps
            for entry in sim.history
            if entry.outcome == 200 and entry.verb == "dec" and {entry.sae, entry.peer} == set(CORE_SAES)
        )
        gaps = [b - a for a, b in pairwise(given)]
        assert max(gaps) <= SILENCE_S * PS_PER_S
        asked = [e for e in sim.history if e.verb == "enc" and {e.sae, e.peer} == set(CORE_SAES)]
        served = [entry for entry in asked if entry.outcome == 200]
        assert len(served) >= 0.9 * len(asked)


def edited(seed: int, edits: int, of_each: int) -> Changing:
    """Return a network after so many random edits, each kind so often at least; one in eleven is refused."""
    changing = Changing(seed)
    editor = changing.editor
    while sum(changing.done.values()) < edits or min(changing.done[kind] for kind in editor.kinds) < of_each:
        changing.edit(editor.choose(editor.kinds))
        if sum(changing.refused.values()) < sum(changing.done.values()) // 10:
            changing.edit(editor.choose(editor.wrong))
    return changing


def test_random_edits_of_every_kind_converge_and_leave_the_rest_alone() -> None:
    edited(11, edits=60, of_each=2).finish()


@pytest.mark.campaign
def test_a_thousand_random_edits_converge_and_leave_the_rest_alone() -> None:
    edited(1, edits=1000, of_each=50).finish()

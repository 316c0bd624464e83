"""Looking at a simulated network as an operator does: by T7 to management, and T8 in the lab."""

from typing import Any

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.lab import LabAnswer
from qstrata.fabric.messages.operator import Inspect, Inspected
from qstrata.fabric.messages.policy import ForwardingState, LinkState, PathState, ServiceState, UnitState
from qstrata.fabric.messages.reports import Alarm, ForwardingReport, LinkReport
from qstrata.fabric.messages.samples import LinkPoolSample
from qstrata.interfaces.etsi014.virtual import ClientEntry
from qstrata.network.simulation import Simulation


def run(sim: Simulation, seconds: float) -> None:
    """Go on for a while."""
    sim.run_until(sim.queue.now + round(seconds * PS_PER_S))


def inspect(sim: Simulation, end: End) -> Inspected:
    """Ask a manager what it knows; the answer takes a tenth of a second at most."""
    answers: list[Any] = []
    sim.assembly.operate(lambda now: sim.assembly.operator.manager(end, Inspect, answers.append, now))
    run(sim, 0.1)
    (answer,) = answers
    assert isinstance(answer, Inspected)
    return answer


class Forwarding:
    """The forwarding stratum as its management shows it now."""

    def __init__(self, sim: Simulation) -> None:
        answer = inspect(sim, End.FORWARDING_MGT)
        assert isinstance(answer.state, ForwardingState)
        assert isinstance(answer.report, ForwardingReport)
        self.links: dict[str, LinkState] = {state.link: state for state in answer.state.links}
        self.paths: dict[str, PathState] = {state.session: state for state in answer.state.paths}
        self.reports: dict[str, LinkReport] = {report.link: report for report in answer.report.links}
        self.alarms: tuple[Alarm, ...] = answer.report.alarms

    def pool(self, link: str, site: str) -> LinkPoolSample:
        """Return the account of a link pool at one end."""
        return dict(self.reports[link].pools)[site]


def unit(sim: Simulation, a: str, b: str) -> UnitState:
    """Return the live unit of two SAEs as service management shows it now."""
    state = inspect(sim, End.SERVICE_MGT).state
    assert isinstance(state, ServiceState)
    (found,) = (u for u in state.units if {u.a, u.b} == {a, b} and u.state in ("negotiated", "open"))
    return found


def inject(sim: Simulation, kind: str, target: str, amount: float = 1.0) -> None:
    """Hurt the world."""
    answers: list[Any] = []
    sim.assembly.inject(kind, target, amount, answers.append)
    _settle(sim, answers)


def heal(sim: Simulation, kind: str, target: str) -> None:
    """End a fault of the world."""
    answers: list[Any] = []
    sim.assembly.heal(kind, target, answers.append)
    _settle(sim, answers)


def _settle(sim: Simulation, answers: list[Any]) -> None:
    run(sim, 0.001)
    (answer,) = answers
    assert isinstance(answer, LabAnswer)
    assert not answer.error


def get_keys(sim: Simulation, sae: str, peer: str, number: int = 1) -> ClientEntry:
    """Let an SAE ask for keys, and return what came of it within half a second."""
    return _call(sim, lambda then: sim.saes[sae].get_keys(peer, sim.queue.now, number, then=then))


def get_keys_by_id(sim: Simulation, sae: str, peer: str, key_ids: tuple[str, ...]) -> ClientEntry:
    """Let an SAE fetch keys by id, and return what came of it within half a second."""
    return _call(sim, lambda then: sim.saes[sae].get_keys_by_id(peer, key_ids, sim.queue.now, then=then))


def _call(sim: Simulation, act: Any) -> ClientEntry:
    answers: list[ClientEntry] = []
    act(lambda entry, now: answers.append(entry))
    run(sim, 0.5)
    (answer,) = answers
    return answer


def share_keys(sim: Simulation, sae: str, peer: str, number: int = 1) -> int:
    """Let two SAEs share keys if there are enough; returns how many both have, equal at both ends."""
    given = get_keys(sim, sae, peer, number)
    if given.outcome != 200:
        return 0
    fetched = get_keys_by_id(sim, peer, sae, given.key_ids)
    assert fetched.outcome == 200, fetched.message
    assert fetched.digests == given.digests
    return len(given.key_ids)

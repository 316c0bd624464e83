"""A chain of three nodes with a circuit over it, beside a circuit of two that nobody attacks."""

from qstrata.core.address import End
from qstrata.fabric.messages.policy import CircuitState, ForwardingState
from qstrata.fabric.messages.reports import CircuitReport, ForwardingReport
from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from tests.simulation.looking import inspect

CIRCUIT, BESIDE = "west-east", "north-south"
LINK, FIDELITY = "west-dale", 0.98
TEXT = """
name: chain
domain: chain
defaults:
  link: {channels: default}
kinds:
  links:
    hop: {protocol: barrett-kok, heralding: {fidelity: 0.98, attempt-rate-hz: 10000}}
  nodes:
    station: {memories: {cells: 2, t1-s: 10, t2-s: 1, gate-reliability: 0.99}}
nodes:
  - {name: west, site: [0.0, 0.0], kind: station}
  - {name: dale, site: [0.1, 0.0], kind: station}
  - {name: east, site: [0.2, 0.0], kind: station}
  - {name: north, site: [0.1, 0.1], kind: station}
  - {name: south, site: [0.1, -0.1], kind: station}
links:
  - {ends: [west, dale], length-km: 10.0, loss-db: 2.0, kind: hop}
  - {ends: [dale, east], length-km: 10.0, loss-db: 2.0, kind: hop}
  - {ends: [north, south], length-km: 10.0, loss-db: 2.0, kind: hop}
saes: []
circuits:
  - {name: west-east, path: [west, dale, east], pairs-per-s: 40, cutoff-ms: 100, test-share: 0.8}
  - {name: north-south, path: [north, south], pairs-per-s: 4, cutoff-ms: 100, test-share: 1.0}
"""


def chain(seed: int = 1, text: str = TEXT, **given: object) -> Simulation:
    """Return the network, not started yet."""
    return Simulation(load_text(text, "chain.yaml"), seed, **given)  # type: ignore[arg-type]


class Circuits:
    """The circuits as forwarding management shows them now."""

    def __init__(self, sim: Simulation) -> None:
        answer = inspect(sim, End.FORWARDING_MGT)
        assert isinstance(answer.state, ForwardingState)
        assert isinstance(answer.report, ForwardingReport)
        self.states: dict[str, CircuitState] = {row.circuit: row for row in answer.state.circuits}
        self.reports: dict[str, CircuitReport] = {row.circuit: row for row in answer.report.circuits}
        self.suspicions = {row.circuit: row for row in answer.report.pair_suspicions}
        self.alarms = answer.report.alarms

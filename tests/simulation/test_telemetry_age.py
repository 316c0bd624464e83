"""What an operator sees of a network is at most a second old, but for the way it takes to be told."""

from qstrata.core.address import End
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.messages.reports import ConnectivityReport, ForwardingReport, ServiceReport
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation
from tests.simulation.looking import inspect, run

WAY_PS = 10 * PS_PER_MS
"""Light through the longest fibre, and the management channels of Madrid to control and back."""


def ages(sim: Simulation, end: End) -> list[int]:
    asked_ps = sim.queue.now
    report = inspect(sim, end).report
    if isinstance(report, ForwardingReport):
        return [asked_ps - link.at_ps for link in report.links]
    if isinstance(report, ServiceReport):
        return [asked_ps - kme.at_ps for kme in report.kmes]
    assert isinstance(report, ConnectivityReport)
    return [asked_ps - sample.at_ps for sample in report.terminations]


def test_samples_of_every_stratum_are_at_most_a_second_old() -> None:
    sim = Simulation(load("madrid"), seed=1)
    run(sim, 5)
    for _ in range(30):
        for end in (End.SERVICE_MGT, End.FORWARDING_MGT, End.CONNECTIVITY_MGT):
            seen = ages(sim, end)
            assert len(seen) >= 3
            assert max(seen) <= PS_PER_S + WAY_PS
        run(sim, 0.37)

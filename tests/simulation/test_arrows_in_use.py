"""A demo's life in virtual time: what is drawn in the figure, and said in the text, is what is spoken."""

from collections import Counter

import pytest

from qstrata.core.address import End
from qstrata.core.time import PS_PER_S
from qstrata.fabric.figure import ARROWS
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation
from tests.simulation.ledgers import KeptLines
from tests.simulation.looking import get_keys, heal, inject, inspect, run, share_keys

PLANES = {"res": "resource", "tel": "telemetry", "ctl": "control", "mgt": "management"}
STRATA = ("service", "forwarding", "connectivity")
LEAKS = KeptLines("leak")


def sae(site: str) -> str:
    return f"urn:qkd:madqci:{site}:sae"


@pytest.fixture(scope="module")
def demo() -> Simulation:
    sim = Simulation(load("madrid"), seed=1, log=LEAKS, checked=True)
    sim.run_until(10 * PS_PER_S)
    assert share_keys(sim, sae("quintin"), sae("aquiles")) == 1
    assert get_keys(sim, sae("quevedo"), sae("aquiles")).outcome == 503
    run(sim, 10)
    assert share_keys(sim, sae("quevedo"), sae("aquiles")) == 1
    inspect(sim, End.SERVICE_MGT)
    inject(sim, "cut", "fibre/quijote-aquiles")
    run(sim, 60)
    heal(sim, "cut", "fibre/quijote-aquiles")
    run(sim, 60)
    return sim


def carried(sim: Simulation) -> Counter[tuple[str, str, str]]:
    """Count messages by arrow and both ends."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in sim.assembly.fabric.traffic():
        counts[row.arrow, row.sender_end, row.receiver_end] += row.messages
    return counts


USED = (
    ("F1", "service.ctl", "service.res"),
    ("F2", "forwarding.ctl", "forwarding.res"),
    ("F3", "connectivity.ctl", "connectivity.res"),
    ("F4", "service.mgt", "service.tel"),
    ("F5", "forwarding.ctl", "forwarding.tel"),
    ("F6", "connectivity.ctl", "connectivity.tel"),
    ("F7", "service.tel", "service.res"),
    ("F8", "forwarding.tel", "forwarding.res"),
    ("F9", "connectivity.tel", "connectivity.res"),
    ("F10", "application", "service.ctl"),
    ("F11", "service.ctl", "forwarding.ctl"),
    ("F13", "forwarding.ctl", "connectivity.ctl"),
    ("T1", "application", "service.res"),
    ("T2", "service.res", "forwarding.res"),
    ("T3", "forwarding.res", "connectivity.res"),
    ("T4", "service.mgt", "service.ctl"),
    ("T4", "forwarding.mgt", "forwarding.ctl"),
    ("T4", "connectivity.mgt", "connectivity.ctl"),
    ("T6", "forwarding.res", "world"),
    ("T6", "connectivity.res", "world"),
    ("T7", "operator", "service.mgt"),
    ("T7", "operator", "forwarding.mgt"),
    ("T7", "operator", "connectivity.mgt"),
    ("T8", "operator", "world"),
)


@pytest.mark.parametrize(("arrow", "down", "up"), USED)
def test_both_directions_of_the_arrow_are_used(demo: Simulation, arrow: str, down: str, up: str) -> None:
    counts = carried(demo)
    assert counts[arrow, down, up]
    assert counts[arrow, up, down]


def test_relays_and_agents_speak_east_west(demo: Simulation) -> None:
    assert carried(demo)["T5", "forwarding.res", "forwarding.res"]


def test_nothing_is_spoken_beside_the_figure_and_nothing_is_refused(demo: Simulation) -> None:
    drawn = {
        (arrow.id, *ends)
        for arrow in ARROWS
        for a, b in arrow.pairs
        for ends in ((a.value, b.value), (b.value, a.value))
    }
    assert set(carried(demo)) <= drawn
    assert not demo.assembly.fabric.refusals()


def test_no_secret_crosses_an_arrow_that_never_carries_any(demo: Simulation) -> None:
    demo.recorder.flush()
    assert not LEAKS


def test_every_element_stands_in_exactly_one_stratum_and_plane(demo: Simulation) -> None:
    host = demo.assembly.host
    elements = [element for node in host.nodes() for element in host.elements(node)]
    assert len({element.address for element in elements}) == len(elements)
    inside = {(stratum, plane) for stratum in STRATA for plane in PLANES}
    found: Counter[tuple[str, str]] = Counter()
    for element in elements:
        if element.address.end in (End.APPLICATION, End.OPERATOR, End.WORLD):
            continue
        stratum, plane = element.address.end.value.split(".")
        found[stratum, plane] += 1
        module = f"{type(element).__module__}."
        assert module.startswith(f"qstrata.strata.{stratum}.{PLANES[plane]}.")
    assert set(found) == inside

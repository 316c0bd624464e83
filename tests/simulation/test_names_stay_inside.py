"""Names that are not routable: they pair inside their domain, and go nowhere that does not need them."""

from typing import Any

from qstrata.core.time import PS_PER_S
from qstrata.fabric.port import BoundHandle
from qstrata.network.loader import load_text
from qstrata.network.simulation import Simulation
from qstrata.planes import places
from tests.simulation.looking import get_keys, run, share_keys

HIDDEN, PEER, OTHER = "urn:qkd:lab:a:hidden", "urn:qkd:lab:c:sae", "urn:qkd:lab:d:sae"
OUTSIDE = "urn:qkd:paris:x:sae"
FILE = f"""
name: line
domain: lab
nodes:
  - {{name: a, site: [0, 0]}}
  - {{name: b, site: [0, 1]}}
  - {{name: c, site: [0, 2]}}
  - {{name: d, site: [0, 3]}}
links:
  - {{ends: [a, b], length-km: 10, loss-db: 2, channels: default, initial-key-bits: 200000}}
  - {{ends: [b, c], length-km: 10, loss-db: 2, channels: default, initial-key-bits: 200000}}
  - {{ends: [c, d], length-km: 10, loss-db: 2, channels: default, initial-key-bits: 200000}}
saes:
  - {{name: "{HIDDEN}", node: a, routable: false}}
  - {{name: "urn:qkd:lab:a:sae", node: a}}
  - {{name: "{PEER}", node: c}}
  - {{name: "{OTHER}", node: d}}
policy: {{pairs: [["{HIDDEN}", "{PEER}"], ["urn:qkd:lab:a:sae", "{OTHER}"]]}}
"""

PLACES_OF_THE_NAME = {"a", "b", "c", places.CONTROL_SITE}
"""The KMEs of both ends, the hop between them that agrees to the unit, and control."""


def watched() -> tuple[Simulation, list[tuple[BoundHandle, str]]]:
    """Return the network and what it says, as text, from its first message on."""
    sim = Simulation(load_text(FILE, "line.yaml"), seed=1, checked=True)
    said: list[tuple[BoundHandle, str]] = []

    def tap(handle: BoundHandle, message: Any, now: int) -> None:
        said.append((handle, repr(message)))

    sim.assembly.fabric.taps.append(tap)
    sim.run_until(4 * PS_PER_S)
    return sim, said


def test_a_name_that_is_not_routable_pairs_inside_its_domain() -> None:
    sim, _ = watched()
    get_keys(sim, HIDDEN, PEER)
    run(sim, 2)
    assert share_keys(sim, HIDDEN, PEER) == 1
    assert share_keys(sim, PEER, HIDDEN) == 1


def test_it_is_told_only_to_the_kmes_of_its_units_and_to_control() -> None:
    sim, said = watched()
    get_keys(sim, HIDDEN, PEER)
    get_keys(sim, "urn:qkd:lab:a:sae", OTHER)
    run(sim, 2)
    assert share_keys(sim, HIDDEN, PEER) == 1
    assert share_keys(sim, "urn:qkd:lab:a:sae", OTHER) == 1
    telling = [handle for handle, text in said if HIDDEN in text]
    assert telling
    service = {handle for handle in telling if "operator" not in handle.to.end.value}
    assert {handle.to.site for handle in service} <= PLACES_OF_THE_NAME
    assert {handle.to.end.value.split(".")[0] for handle in service} <= {"service", "application"}
    crossing = {handle.arrow.id for handle in telling if handle.sender.domain != handle.to.domain}
    assert crossing == set()


def test_it_is_refused_outside_by_a_status_and_text_of_its_own() -> None:
    sim, _ = watched()
    inside = get_keys(sim, HIDDEN, OUTSIDE)
    assert inside.outcome == 401
    assert "not routable" in inside.message
    routable = get_keys(sim, PEER, OUTSIDE)
    assert routable.outcome == 400
    assert "is not of the domain lab" in routable.message


def test_who_comes_from_outside_learns_nothing_of_names_inside() -> None:
    sim, _ = watched()
    stranger = sim.saes[PEER]
    texts = set()
    for wanted in (HIDDEN, "urn:qkd:lab:a:nobody"):
        answers: list[Any] = []
        visitor = type(stranger)(sim.assembly.handlers["a"], OUTSIDE, sim.salt, sim.history)
        visitor.get_keys(wanted, sim.queue.now, then=lambda entry, now, got=answers: got.append(entry))
        run(sim, 0.5)
        (entry,) = answers
        assert entry.outcome == 401
        texts.add(entry.message)
    (text,) = texts
    assert "another domain" in text
    assert "urn:" not in text

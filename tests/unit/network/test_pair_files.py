"""Links for pairs, memories and circuits: from a network file to what is made of them."""

import math

import pytest

from qstrata.core.time import PS_PER_MS
from qstrata.network.in_force import file_text
from qstrata.network.loader import load, load_text
from qstrata.network.plan import make_plan, twin_plan
from qstrata.physics.pair_link import PairLinkParameters

TEXT = """
name: mixed
domain: mixed
defaults: {link: {channels: default, block-s: 30}}
kinds:
  links:
    hop: {protocol: single-click, heralding: {bright-population: 0.1, attempt-rate-hz: 2000}}
  nodes:
    station: {memories: {cells: 4, t1-s: 2, gate-us: 0.5}}
nodes:
  - {name: a, site: [0, 0], kind: station}
  - {name: b, site: [1, 0], kind: station, memories: {t2-s: 3}}
  - {name: c, site: [2, 0], kind: station}
  - {name: d, site: [3, 0]}
links:
  - {ends: [c, d], length-km: 20, loss-db: 4}
  - {ends: [a, b], length-km: 10, loss-db: 2, kind: hop, heralding: {fidelity: 0.9}}
  - {ends: [c, b], length-km: 10, loss-db: 2, kind: hop, channels: {pairs: {delay-us: 100}}}
saes:
  - {name: "urn:qkd:mixed:c:x", node: c}
  - {name: "urn:qkd:mixed:d:y", node: d}
circuits:
  - {name: a-to-c, path: [a, b, c], pairs-per-s: 20, cutoff-ms: 5}
"""


@pytest.fixture
def mixed():
    return load_text(TEXT, "mixed.yaml")


def test_links_for_pairs_and_for_keys_stand_apart_and_have_their_own_figures(mixed):
    assert [link.name for link in mixed.links] == ["c-d"]
    first, second = mixed.pair_links
    assert first.link_parameters == PairLinkParameters(
        protocol="single-click",
        length_km=10,
        loss_db=2,
        fidelity=0.9,
        bright_population=0.1,
        attempt_rate_hz=2000,
    )
    assert second.channel_delay_ps == 100_000_000
    assert (first.fibre, second.channel) == ("fibre/a-b", "c-b/pairs")


def test_memories_come_from_a_node_and_its_kind_and_t2_is_what_t1_leaves(mixed):
    a, b, _, d = mixed.nodes
    assert a.memories.device_parameters.memory.t2_s == 4.0
    found = b.memories.device_parameters
    assert (found.cells, found.memory.t1_s, found.memory.t2_s, found.gate_ps) == (4, 2, 3, 500_000)
    assert math.isinf(found.memory.depolarising_s)
    assert d.memories is None


def test_no_key_is_routed_over_a_link_for_pairs_but_its_media_are_required(mixed):
    plan = make_plan(mixed)
    assert [link.link for link in plan.forwarding.links] == ["c-d"]
    assert [link.link for link in plan.forwarding.pair_links] == ["a-b", "c-b"]
    assert [fibre.pairs for fibre in plan.connectivity.fibres] == ["", "a-b/pairs", "c-b/pairs"]
    assert not any(site.relay_links or site.agents for site in plan.sites if site.site in ("a", "b"))
    assert [len(site.stations) for site in plan.sites] == [1, 1, 1, 0]


def test_a_circuit_has_a_cell_for_each_of_its_links_at_a_node_and_one_rhythm(mixed):
    plan = make_plan(mixed)
    world = twin_plan(plan, 1, {})
    assert [memory.parameters.cells for memory in world.memories] == [1, 2, 1]
    assert [link.name for link in world.pair_links] == ["a-b", "c-b"]
    middle = plan.site("b").stations[0]
    assert (middle.head.side.link, middle.tail.side.link) == ("a-b", "c-b")
    assert (middle.head.side.cell, middle.tail.side.cell) == (0, 1)
    assert {middle.head.side.round_ps, middle.tail.side.round_ps} == {50 * PS_PER_MS}
    assert middle.head.side.cutoff_ps == 5 * PS_PER_MS
    end = plan.site("a").stations[0]
    assert end.head is None
    assert end.tail.side.cutoff_ps > 5 * PS_PER_MS


def test_the_same_links_without_circuits_entangle_nothing(mixed):
    text = TEXT[: TEXT.index("circuits:")]
    world = twin_plan(make_plan(load_text(text, "mixed.yaml")), 1, {})
    assert (world.memories, world.pair_links) == ((), ())


def test_the_file_that_is_kept_holds_links_for_pairs_and_circuits(mixed):
    assert load_text(file_text(mixed), "kept.yaml") == mixed


def test_shipped_networks_have_neither(mixed):
    assert load("madrid").pair_links == load("madrid").circuits == ()

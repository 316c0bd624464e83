import itertools
import math

import pytest

from qstrata.core.errors import InputError
from qstrata.network.loader import load
from qstrata.network.shipped import shipped_names, shipped_text


def linked(network) -> dict[str, set[str]]:
    peers: dict[str, set[str]] = {node.name: set() for node in network.nodes}
    for link in network.links:
        a, b = link.ends
        peers[a].add(b)
        peers[b].add(a)
    return peers


def test_madrid_the_randstad_and_the_ring_are_shipped():
    assert shipped_names() == ("madrid", "randstad", "ring")


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(InputError, match=r"`madird`; did you mean `madrid`\?"):
        load("madird")
    with pytest.raises(InputError, match=r"there are `madrid`, `randstad`, `ring`"):
        shipped_text("xyz")


def test_madrid_has_the_published_lengths_and_losses():
    published = {
        ("quintin", "quijote"): (24.2, 6.0),
        ("quijote", "quevedo"): (7.4, 5.4),
        ("quijote", "aquiles"): (40.68, 11.9),
    }
    assert {link.ends: (link.length_km, link.loss_db) for link in load("madrid").links} == published
    assert "arXiv 2512.15408" in shipped_text("madrid")


def test_madrid_is_a_star_with_one_SAE_a_node_and_fixed_ports():
    network = load("madrid")
    peers = linked(network)
    assert peers["quijote"] == {"quintin", "quevedo", "aquiles"}
    assert all(peers[node] == {"quijote"} for node in peers["quijote"])
    assert [node.kme.port for node in network.nodes] == [10141, 10142, 10143, 10144]
    assert [sae.name for sae in network.saes] == [f"urn:qkd:madqci:{sae.node}:sae" for sae in network.saes]
    assert [sae.node for sae in network.saes] == [node.name for node in network.nodes]


def test_madrid_declares_the_relayed_session_and_leaves_pairs_for_the_first_request():
    network = load("madrid")
    assert [session.between for session in network.sessions] == [
        ("urn:qkd:madqci:quintin:sae", "urn:qkd:madqci:aquiles:sae")
    ]
    assert len(network.allowed_pairs) == 6
    assert network.seed is None


def test_pre_placed_bits_fill_every_madrid_pair_to_depth_with_keys():
    network = load("madrid")
    figures = network.session_figures(network.sessions[0])
    homes = {sae.name: sae.node for sae in network.saes}
    for link in network.links:
        leaf = next(end for end in link.ends if end != "quijote")
        crossing = [pair for pair in network.allowed_pairs if leaf in (homes[pair[0]], homes[pair[1]])]
        assert len(crossing) * figures.depth_keys * figures.key_size_bits <= link.initial_key_bits


def test_the_ring_stays_one_network_when_any_fibre_is_cut():
    network = load("ring")
    assert len(network.nodes) == len(network.links) == 6
    assert all(len(peers) == 2 for peers in linked(network).values())
    for cut, start in itertools.product(network.links, network.nodes):
        peers = linked(network)
        peers[cut.ends[0]].discard(cut.ends[1])
        peers[cut.ends[1]].discard(cut.ends[0])
        seen, ahead = {start.name}, [start.name]
        while ahead:
            found = peers[ahead.pop()] - seen
            seen |= found
            ahead.extend(sorted(found))
        assert len(seen) == 6


def test_the_ring_has_metropolitan_spans_at_a_fifth_of_a_decibel_per_kilometre():
    for link in load("ring").links:
        assert 10 <= link.length_km <= 30
        assert link.loss_db == pytest.approx(0.2 * link.length_km)


def test_the_ring_declares_a_session_between_neighbours():
    network = load("ring")
    homes = {sae.name: sae.node for sae in network.saes}
    (session,) = network.sessions
    a, b = (homes[name] for name in session.between)
    assert b in linked(network)[a]


def test_the_randstad_has_surfnets_spans_with_the_detour_of_fibre():
    network = load("randstad")
    sites = {node.name: node.site for node in network.nodes}
    for link in network.pair_links:
        (east, north), (other_east, other_north) = (sites[end] for end in link.ends)
        per_degree_km = 111.2
        away = math.hypot(
            (other_north - north) * per_degree_km,
            (other_east - east) * per_degree_km * math.cos(math.radians(52.1)),
        )
        assert link.length_km == pytest.approx(1.65 * away, rel=0.03)
        assert link.loss_db == pytest.approx(0.25 * link.length_km, abs=0.1)


def test_every_shipped_link_distils_key_within_a_block():
    from qstrata.physics.counts import expected_counts
    from qstrata.physics.finite_key import key_length_bits

    for name in shipped_names():
        for link in load(name).links:
            parameters = link.link_parameters
            pulses = parameters.pulse_rate_hz * link.block_s
            assert key_length_bits(expected_counts(parameters, pulses), parameters).length_bits > 0

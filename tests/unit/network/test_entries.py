"""What links and nodes inherit: what one says itself wins, then its kind, then the defaults."""

import pytest

from qstrata.network.description import Description
from qstrata.network.document import DescriptionError
from qstrata.network.loader import load_text
from qstrata.network.plan import make_plan

FILE = """\
name: net
domain: net
nodes:
  - {{name: a, site: [0, 0], {a}}}
  - {{name: b, site: [0, 1], kind: hub}}
  - {{name: c, site: [0, 2]}}
links:
  - {{ends: [a, b], length-km: 1, loss-db: 1, {link}}}
  - {{ends: [b, c], length-km: 1, loss-db: 1}}
kinds:
  links: {{metro: {{block-s: 30, initial-key-bits: 800, channels: default, parameters: {{y0: 1.0e-5}}}}}}
  nodes: {{hub: {{limits: {{max-stored-keys: 500}}, management: {{delay-ms: 7}}}}}}
defaults:
  link: {{block-s: 90, channels: {{relay: {{}}}}, parameters: {{eta-bob: 0.1}}}}
  limits: {{max-stored-keys: 50, max-key-per-request: 5}}
saes:
  - {{name: "urn:qkd:net:a:x", node: a, routable: false}}
  - {{name: "urn:qkd:net:c:x", node: c}}
"""


def network(link: str = "kind: metro", a: str = "kme: {}") -> Description:
    return load_text(FILE.format(link=link, a=a), "net.yaml")


def test_a_link_takes_from_its_kind_what_it_does_not_say():
    link, _ = network("kind: metro, initial-key-bits: 160").links
    assert (link.block_s, link.initial_key_bits) == (30, 160)


def test_a_link_without_a_kind_takes_the_defaults():
    _, link = network().links
    assert (link.block_s, link.initial_key_bits) == (90, 0)
    assert link.distillation_delay_ps is None
    assert link.relay_delay_ps is not None


def test_device_figures_are_inherited_one_by_one():
    link, plain = network("kind: metro, parameters: {e-d: 0.01}").links
    figures = link.link_parameters
    assert (figures.e_d, figures.y0, figures.eta_bob) == (0.01, 1e-5, 0.1)
    assert plain.link_parameters.y0 == 1.7e-6


def test_channels_are_taken_whole():
    link, _ = network("kind: metro, channels: {distillation: {}}").links
    assert link.relay_delay_ps is None


def test_limits_of_a_node_are_its_own_then_its_kinds_then_the_default_ones():
    limits = {
        node.name: network(a="kind: hub, kme: {limits: {min-key-size-bits: 128}}").limits_of(node)
        for node in network(a="kind: hub, kme: {limits: {min-key-size-bits: 128}}").nodes
    }
    assert (limits["a"].min_key_size_bits, limits["a"].max_stored_keys) == (128, 500)
    assert (limits["b"].min_key_size_bits, limits["b"].max_stored_keys) == (64, 500)
    assert limits["c"].max_stored_keys == 50
    assert {each.max_key_per_request for each in limits.values()} == {5}


def test_a_management_channel_comes_from_the_kind_unless_the_node_has_its_own():
    net = network(a="kind: hub, management: {delay-ms: 2}")
    assert [net.management_delay_ps(node) // 10**9 for node in net.nodes] == [2, 7, 1]


def test_a_link_that_gets_no_channels_from_anywhere_is_refused():
    text = FILE.format(link="kind: metro", a="kme: {}").replace("channels: {relay: {}}, ", "")
    with pytest.raises(DescriptionError) as refused:
        load_text(text, "net.yaml")
    (problem,) = refused.value.problems
    assert problem.place.line == 9
    assert problem.meant == "channels: default"


def test_names_that_stay_inside_the_domain_are_told_to_control():
    told = {sae.name: sae.routable for sae in make_plan(network()).service.saes}
    assert told == {"urn:qkd:net:a:x": False, "urn:qkd:net:c:x": True}

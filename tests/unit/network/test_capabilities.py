"""A domain tells what it can do: a document of each stratum, and an aggregate without names inside."""

import msgspec
import pytest

from qstrata.network.capabilities import domain_capability, strata_capabilities
from qstrata.network.loader import load, load_text

TEXT = """
name: pair
domain: lab
nodes:
  - {name: left, site: [0, 0], kme: {limits: {min-key-size-bits: 128, max-session-life-s: 3600}}}
  - {name: right, site: [1, 0], kme: {limits: {max-key-size-bits: 512, max-key-per-request: 16}}}
links:
  - {ends: [left, right], length-km: 50, loss-db: 9, channels: default}
saes:
  - {name: "urn:qkd:lab:left:one", node: left, routable: false}
  - {name: "urn:qkd:lab:right:two", node: right}
"""


def test_the_aggregate_follows_from_the_documents_of_the_strata() -> None:
    strata = strata_capabilities(load_text(TEXT, "pair.yaml"))
    decoded = msgspec.json.decode(msgspec.json.encode(strata), type=type(strata))
    domain = domain_capability(decoded)
    assert (domain.key_size_min_bits, domain.key_size_max_bits) == (128, 512)
    assert (domain.keys_per_request_max, domain.session_life_max_s) == (16, 3600)
    assert domain.session_rate_max_keys_per_s is None
    assert (domain.protocols, domain.media) == (("decoy-bb84",), ("fibre",))


@pytest.mark.parametrize("name", ["madrid", "ring", "pair"])
def test_the_aggregate_is_smaller_and_names_nothing_inside(name: str) -> None:
    description = load_text(TEXT, "pair.yaml") if name == "pair" else load(name)
    strata = strata_capabilities(description)
    whole, told = msgspec.json.encode(strata), msgspec.json.encode(domain_capability(strata)).decode()
    assert len(told) < len(whole)
    inside = [node.name for node in description.nodes]
    inside += [link.name for link in description.links]
    inside += [sae.name for sae in description.saes]
    assert [each for each in inside if each in told] == []


def test_kmes_without_a_common_key_size_make_none_together() -> None:
    text = TEXT.replace("min-key-size-bits: 128", "min-key-size-bits: 1024")
    domain = domain_capability(strata_capabilities(load_text(text, "pair.yaml")))
    assert (domain.key_size_min_bits, domain.key_size_max_bits) == (0, 0)

"""Names are routed by their longest prefix; pairs are admitted by policy, whatever their order."""

import pytest

from qstrata.core.errors import InputError
from qstrata.fabric.messages.policy import RouteSpec, SaeSpec
from qstrata.planes.admission import Admitted, NotRoutableRefusal, OutsideRefusal, Refusal, pairing_policy
from qstrata.planes.names import name_table, site_of

A, B, C = "urn:qkd:madrid:a", "urn:qkd:madrid:b", "urn:qkd:madrid:c"
ROUTES = (
    RouteSpec("urn:qkd:madrid", "hub"),
    RouteSpec("urn:qkd:madrid:north", "north"),
    RouteSpec("urn:abc", "x"),
)
TABLE = name_table(ROUTES, (SaeSpec(A, "quijote"),))


@pytest.mark.parametrize(
    ("name", "site"),
    [
        (A, "quijote"),
        ("urn:QKD:madrid:a?=nonce=1", "quijote"),
        (B, "hub"),
        ("urn:qkd:madrid:north:sae", "north"),
        ("urn:qkd:madrid:northern", "hub"),
        ("urn:ABC:anything", "x"),
        ("urn:qkd:paris:a", None),
        ("no urn", None),
    ],
)
def test_the_longest_prefix_in_whole_segments_decides(name, site):
    assert site_of(TABLE, name) == site


def test_a_prefix_that_is_no_name_is_refused():
    with pytest.raises(InputError):
        name_table((RouteSpec("madrid", "hub"),), ())


INNER = "urn:qkd:madrid:inner"
SAES = (SaeSpec(A, ""), SaeSpec(B, ""), SaeSpec("urn:QKD:madrid:c", ""), SaeSpec(INNER, "", routable=False))
POLICY = pairing_policy("madrid", ((A, B), (C, C), (A, INNER)), TABLE, SAES)


def test_an_allowed_pair_is_admitted_in_both_orders_with_the_sites_of_its_kmes():
    assert POLICY.admit(A, B) == Admitted(A, B, "quijote", "hub")
    assert POLICY.admit(B, A) == Admitted(B, A, "hub", "quijote")


def test_a_name_pairs_with_itself_only_where_policy_says_so():
    assert isinstance(POLICY.admit(C, C), Admitted)
    assert isinstance(POLICY.admit(A, A), Refusal)


def test_names_are_given_as_the_registry_spells_them():
    admitted = POLICY.admit("urn:qkd:madrid:c", "urn:qkd:madrid:c")
    assert isinstance(admitted, Admitted)
    assert admitted.a == "urn:QKD:madrid:c"
    assert POLICY.peers_of(C) == ("urn:QKD:madrid:c",)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (A, C, "policy does not allow"),
        ("urn:qkd:paris:x", A, "urn:qkd:paris:x is not of the domain madrid"),
        (A, "plain", "malformed"),
    ],
)
def test_a_refusal_says_what_is_in_the_way(a, b, said):
    refusal = POLICY.admit(a, b)
    assert isinstance(refusal, Refusal)
    assert said in refusal.reason


def test_a_name_that_is_not_routable_pairs_inside_its_domain_and_is_refused_outside_by_type():
    assert isinstance(POLICY.admit(INNER, A), Admitted)
    assert isinstance(POLICY.admit(A, INNER), Admitted)
    for pair in ((INNER, "urn:qkd:paris:x"), ("urn:qkd:paris:x", INNER)):
        refusal = POLICY.admit(*pair)
        assert isinstance(refusal, NotRoutableRefusal)
        assert "not routable" in refusal.reason
        assert INNER not in refusal.reason


def test_a_routable_name_and_one_outside_are_refused_by_another_type():
    refusal = POLICY.admit(A, "urn:qkd:paris:x")
    assert isinstance(refusal, OutsideRefusal)
    assert not isinstance(refusal, NotRoutableRefusal)


def test_a_malformed_peer_of_a_name_outside_is_refused_too():
    assert isinstance(POLICY.admit("urn:qkd:paris:x", "plain"), Refusal)

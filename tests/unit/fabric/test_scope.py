"""Scope clauses: each has a case that is allowed and one that is refused."""

import pytest

from qstrata.core.address import Address, End
from qstrata.core.errors import RefusedError
from qstrata.fabric.figure import types_of
from qstrata.fabric.messages.east_west import Distil, HandOver, Relay
from qstrata.fabric.port import check
from qstrata.fabric.scope import Directory

LAB = Address(End.WORLD, "d", "control", "lab")


def at(end, domain="d", site="s", name="x"):
    return Address(end, domain, site, name)


def device(site="s", domain="d"):
    return Address(End.WORLD, domain, site, "qkd.s-t")


def agent(site="s", name="agent.s-t"):
    return Address(End.FORWARDING_RES, "d", site, name)


DECLARED = Directory(
    sites={"s": "d", "t": "d", "u": "d", "far": "e"},
    owners={device(): agent()},
    channels={"s-t/relay": ("s", "t"), "s-far/relay": ("s", "far")},
    hosting=frozenset({("d", "host")}),
    borders={
        at(End.FORWARDING_RES, "d", "s", "border"): lambda kind: kind is Relay,
        at(End.FORWARDING_RES, "e", "far", "border"): lambda kind: False,
        at(End.SERVICE_CTL, "d", "control", "border"): lambda kind: True,
        at(End.SERVICE_CTL, "e", "control", "border"): lambda kind: True,
    },
    operators={at(End.OPERATOR, "d", "control", "operator"): "operator"},
    lab=True,
)

ALLOWED = [
    ("F1 within a domain", at(End.SERVICE_CTL, site="control"), at(End.SERVICE_RES), ""),
    ("F10 within a domain", at(End.APPLICATION), at(End.SERVICE_CTL, site="control"), ""),
    ("F11 within a domain", at(End.SERVICE_CTL), at(End.FORWARDING_CTL), ""),
    ("F11 into the hosting domain", at(End.SERVICE_CTL), at(End.FORWARDING_CTL, "host", "z"), ""),
    ("F13 from the hosting domain", at(End.FORWARDING_CTL, "host", "z"), at(End.CONNECTIVITY_CTL), ""),
    ("T1 within a domain", at(End.APPLICATION), at(End.SERVICE_RES), ""),
    ("T2 at one site", at(End.SERVICE_RES), at(End.FORWARDING_RES), ""),
    ("T2 at one site, hosted", at(End.SERVICE_RES, "host", "z"), at(End.FORWARDING_RES, "d", "z"), ""),
    ("T3 at one site", at(End.FORWARDING_RES), at(End.CONNECTIVITY_RES), ""),
    ("T4 within a domain", at(End.SERVICE_MGT), at(End.SERVICE_CTL), ""),
    ("T5 resources at one site", agent(), at(End.FORWARDING_RES, name="relay"), ""),
    ("T5 resources along a channel", agent(), agent("t"), "s-t/relay"),
    ("T5 control within a domain", at(End.SERVICE_CTL), at(End.SERVICE_CTL, site="t"), ""),
    (
        "T5 control between border elements",
        at(End.SERVICE_CTL, "d", "control", "border"),
        at(End.SERVICE_CTL, "e", "control", "border"),
        "",
    ),
    (
        "T5 resources between border elements along a channel",
        at(End.FORWARDING_RES, "d", "s", "border"),
        at(End.FORWARDING_RES, "e", "far", "border"),
        "s-far/relay",
    ),
    ("T6 to the own device", agent(), device(), ""),
    ("T6 from the own device", device(), agent(), ""),
    ("T7 by a registered operator", at(End.OPERATOR, "d", "control", "operator"), at(End.SERVICE_MGT), ""),
    ("T8 in a lab", at(End.OPERATOR), LAB, ""),
]

REFUSED = [
    ("F1 across domains", at(End.SERVICE_CTL, "e", "far"), at(End.SERVICE_RES), "", "different domains"),
    ("F10 across domains", at(End.APPLICATION, "e", "far"), at(End.SERVICE_CTL), "", "different domains"),
    ("F11 without hosting", at(End.SERVICE_CTL), at(End.FORWARDING_CTL, "e", "far"), "", "no hosting"),
    ("F13 without hosting", at(End.FORWARDING_CTL), at(End.CONNECTIVITY_CTL, "e", "far"), "", "no hosting"),
    ("T1 across domains", at(End.APPLICATION, "e", "far"), at(End.SERVICE_RES), "", "different domains"),
    ("T2 between sites", at(End.SERVICE_RES), at(End.FORWARDING_RES, site="t"), "", "different sites"),
    (
        "T2 between sites, hosted",
        at(End.SERVICE_RES),
        at(End.FORWARDING_RES, "host", "z"),
        "",
        "different sites",
    ),
    (
        "T2 at one site, not hosted",
        at(End.SERVICE_RES, "d", "z"),
        at(End.FORWARDING_RES, "e", "z"),
        "",
        "no hosting",
    ),
    ("T3 between sites", at(End.FORWARDING_RES), at(End.CONNECTIVITY_RES, site="t"), "", "different sites"),
    ("T4 across domains", at(End.SERVICE_MGT, "e", "far"), at(End.SERVICE_CTL), "", "different domains"),
    ("T5 resources between sites without a channel", agent(), agent("t"), "", "needs a declared channel"),
    ("T5 resources on an undeclared channel", agent(), agent("t"), "s-t/other", "not declared"),
    ("T5 resources on another link's channel", agent(), agent("u"), "s-t/relay", "does not join"),
    (
        "T5 control across domains without a border",
        at(End.SERVICE_CTL, "d", "control", "border"),
        at(End.SERVICE_CTL, "e", "control"),
        "",
        "not a declared border element",
    ),
    (
        "T5 resources across domains without a border",
        at(End.FORWARDING_RES, "d", "s"),
        at(End.FORWARDING_RES, "e", "far", "border"),
        "s-far/relay",
        "not a declared border element",
    ),
    (
        "T5 resources of border elements without a channel",
        at(End.FORWARDING_RES, "d", "s", "border"),
        at(End.FORWARDING_RES, "e", "far", "border"),
        "",
        "needs a declared channel",
    ),
    ("T6 to another's device", agent(name="agent.s-u"), device(), "", "not a device of"),
    ("T6 from another's device", device(), agent(name="agent.s-u"), "", "not a device of"),
    ("T6 to an unknown device", agent(), device("t"), "", "not a device of"),
    ("T7 by a stranger", at(End.OPERATOR, name="stranger"), at(End.SERVICE_MGT), "", "not registered"),
    ("a companion channel on another arrow", at(End.SERVICE_CTL), at(End.SERVICE_RES), "s-t/relay", "drop"),
    ("an element to itself", agent(), agent(), "", "to itself"),
    ("a false claim of a domain", at(End.SERVICE_CTL, "d", "far"), at(End.SERVICE_RES), "", "belongs to e"),
]


@pytest.mark.parametrize(
    ("sender", "to", "channel"), [case[1:] for case in ALLOWED], ids=[c[0] for c in ALLOWED]
)
def test_what_is_in_scope_is_allowed(sender, to, channel):
    assert check(DECLARED, sender, to, channel).types is not None


@pytest.mark.parametrize(
    ("sender", "to", "channel", "reason"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_what_is_out_of_scope_is_refused_by_name(sender, to, channel, reason):
    with pytest.raises(RefusedError, match=reason):
        check(DECLARED, sender, to, channel)


def test_the_world_of_a_network_that_is_no_lab_may_not_be_hurt():
    with pytest.raises(RefusedError, match="not a lab"):
        check(Directory(), at(End.OPERATOR), LAB)


def test_across_domains_only_what_the_senders_filter_exports_may_go():
    border = at(End.FORWARDING_RES, "d", "s", "border")
    far = at(End.FORWARDING_RES, "e", "far", "border")
    assert check(DECLARED, border, far, "s-far/relay").types == {Relay}
    assert check(DECLARED, far, border, "s-far/relay").types == set()


def test_within_its_domain_a_border_element_may_send_everything():
    border = at(End.FORWARDING_RES, "d", "s", "border")
    all_types = types_of("T5", End.FORWARDING_RES, End.FORWARDING_RES)
    assert check(DECLARED, border, agent("t"), "s-t/relay").types == all_types
    assert {Distil, HandOver, Relay} <= all_types

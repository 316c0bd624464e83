"""Somebody who is not the declared element of a plane may not speak as one, whatever he wants to say."""

import pytest

from qstrata.core.address import Address, End
from qstrata.core.errors import RefusedError
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.figure import MESSAGES, arrow_between
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.queue import EventQueue

GUARDED = ("tel", "ctl", "mgt")
SPOKEN = [
    (kind, sender, to)
    for kind in MESSAGES
    for sender in kind.sent_by
    for to in kind.sent_to
    if sender.plane in GUARDED and arrow_between(sender, to) is not None
]


def address(end: End, name: str, domain: str = "d") -> Address:
    return Address(end, domain, f"{domain}-site", name)


DECLARED = frozenset(
    address(end, "declared", domain) for end in End if end.plane in GUARDED for domain in "de"
)


def fabric() -> MemoryFabric:
    directory = Directory(
        staff=DECLARED, operators={address(End.OPERATOR, "declared"): "administrator"}, lab=True
    )
    return MemoryFabric(EventQueue(), BearerTable(), Recorder(), directory)


@pytest.mark.parametrize(
    ("kind", "sender", "to"), SPOKEN, ids=lambda value: getattr(value, "__name__", None) or value.value
)
def test_what_control_management_and_telemetry_say_is_refused_from_anybody_else(kind, sender, to):
    net = fabric()
    rogue = address(sender, "rogue")
    for _ in range(3):
        with pytest.raises(RefusedError, match=f"{rogue} is not the declared {sender.value} of d"):
            net.port(rogue).bind(address(to, "declared"), meant=kind.__name__)
    (row,) = net.refusals()
    assert (row.sender, row.receiver) == (str(rogue), str(address(to, "declared")))
    assert (row.type, row.count) == (kind.__name__, 3)
    assert net.traffic() == ()


@pytest.mark.parametrize("end", [end for end in End if end.plane in GUARDED], ids=lambda end: end.value)
def test_nobody_speaks_to_an_element_that_only_gives_itself_out_for_one(end):
    net = fabric()
    for other in End:
        if arrow_between(other, end) is not None:
            with pytest.raises(RefusedError):
                net.port(address(other, "declared")).bind(address(end, "rogue"))


@pytest.mark.parametrize(
    ("sender", "to"),
    [
        (End.FORWARDING_CTL, End.FORWARDING_RES),
        (End.SERVICE_CTL, End.SERVICE_RES),
        (End.CONNECTIVITY_CTL, End.CONNECTIVITY_RES),
        (End.FORWARDING_CTL, End.FORWARDING_CTL),
    ],
    ids=lambda end: end.value,
)
def test_the_declared_controller_of_another_domain_is_refused_too(sender, to):
    with pytest.raises(RefusedError, match=r"different domains|border element"):
        fabric().port(address(sender, "declared", "e")).bind(address(to, "declared"))


def test_those_who_are_declared_speak():
    net = fabric()
    for kind, sender, to in SPOKEN:
        if to.plane in (*GUARDED, "res"):
            handle = net.port(address(sender, "declared")).bind(
                address(to, "other" if to.plane == "res" else "declared")
            )
            assert kind in handle.types
    assert net.refusals() == ()

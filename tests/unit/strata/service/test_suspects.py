"""Service control orders every KME of suspect transfers, and has heard when all of them have answered."""

from types import SimpleNamespace
from typing import Any

from qstrata.core.address import Address, End
from qstrata.core.effects import Send
from qstrata.fabric.messages.path_requirements import KeysSuspected, SuspectsHeard
from qstrata.fabric.messages.service_control import KeysQuarantined, QuarantineKeys
from qstrata.planes.asking import Outbox, Serials
from qstrata.strata.service.control.suspects import Suspects

FORWARDING = Address(End.FORWARDING_CTL, "dom", "control", "controller")
SITES = ("a", "b", "c")


class Control:
    """Control that knows the unit `u` between a and b, and no other."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        units = {"u": SimpleNamespace(sites=("a", "b"))}
        lives: Any = SimpleNamespace(
            pairing=object(),
            policy=SimpleNamespace(sites=SITES),
            units=SimpleNamespace(find=units.get),
            kme=lambda site: site,
        )
        port: Any = SimpleNamespace(bind=lambda to: to)
        self.suspects = Suspects(port, self.outbox, lives, Serials())

    def suspected(self, serial: int, *transfers: str) -> tuple[dict[str, QuarantineKeys], bool]:
        said = KeysSuspected(serial, "a-b", "a", transfers)
        return self._sorted(self.suspects.suspected(said, FORWARDING, 0))

    def answer(
        self, order: QuarantineKeys, site: str, *, exposed: tuple[str, ...] = (), copies: tuple[str, ...] = ()
    ) -> tuple[dict[str, QuarantineKeys], bool]:
        said = KeysQuarantined(order.serial, site, "a-b", ("k1", "k2"), exposed, copies)
        return self._sorted(self.suspects.quarantined(said, 0))

    @staticmethod
    def _sorted(effects: Any) -> tuple[dict[str, QuarantineKeys], bool]:
        sends = [effect for effect in effects if isinstance(effect, Send)]
        orders = {s.to: s.message for s in sends if isinstance(s.message, QuarantineKeys)}
        return orders, any(isinstance(s.message, SuspectsHeard) for s in sends)


def test_forwarding_hears_only_when_every_kme_has_answered() -> None:
    control = Control()
    orders, heard = control.suspected(1, "u/a/0")
    assert set(orders) == {"a", "b"}
    assert not heard
    assert control.answer(orders["a"], "a") == ({}, False)
    assert control.suspected(1, "u/a/0") == ({}, False)
    assert control.answer(orders["b"], "b") == ({}, True)
    assert control.suspected(1, "u/a/0") == ({}, True)


def test_a_repeated_answer_changes_nothing() -> None:
    control = Control()
    orders, _ = control.suspected(1, "u/a/0")
    control.answer(orders["a"], "a")
    assert control.answer(orders["a"], "a") == ({}, False)


def test_a_newer_case_takes_the_place_of_the_older() -> None:
    control = Control()
    older, _ = control.suspected(1, "u/a/0")
    newer, _ = control.suspected(2, "u/a/0", "u/a/1")
    assert control.answer(older["a"], "a") == ({}, False)
    assert not control.outbox.stands(("quarantine", older["b"].serial))
    control.answer(newer["a"], "a")
    assert control.answer(newer["b"], "b") == ({}, True)


def test_transfers_of_units_that_control_does_not_know_are_asked_of_every_kme() -> None:
    control = Control()
    orders, _ = control.suspected(1, "unknown/a/7")
    assert set(orders) == set(SITES)


def test_copies_for_other_slaves_are_ordered_too_and_once() -> None:
    control = Control()
    orders, _ = control.suspected(1, "u/a/0")
    more, _ = control.answer(orders["a"], "a", exposed=("k1",), copies=("v/a/4",))
    assert set(more) == set(SITES)
    assert {order.transfers for order in more.values()} == {("v/a/4",)}
    control.answer(orders["b"], "b")
    answers = [control.answer(order, site, copies=("u/a/0",)) for site, order in more.items()]
    assert answers == [({}, False), ({}, False), ({}, True)]
    (found,) = control.suspects.exposures()
    assert (found.set_aside, found.exposed, found.key_ids) == (1, 1, ("k1",))


def test_a_kme_that_is_taken_away_is_waited_for_no_more() -> None:
    control = Control()
    orders, _ = control.suspected(1, "u/a/0")
    control.answer(orders["a"], "a")
    sends = control.suspects.forget("b")
    assert [type(effect.message) for effect in sends if isinstance(effect, Send)] == [SuspectsHeard]
    assert not control.outbox.stands(("quarantine", orders["b"].serial))
    assert control.suspects.forget("b") == []

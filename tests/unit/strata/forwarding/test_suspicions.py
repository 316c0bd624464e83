"""What control does about a suspicion is repeated until it is answered, and goes on when it is cleared."""

from typing import Any

from qstrata.core.address import Address, End
from qstrata.core.effects import Send
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.forwarding_control import BlocksQuarantined, QuarantineBlocks
from qstrata.fabric.messages.path_requirements import KeysSuspected, SuspectsHeard
from qstrata.fabric.messages.policy import LinkSpec
from qstrata.fabric.messages.reports import Suspicion, SuspicionSettled
from qstrata.physics.profiles import profile
from qstrata.planes.asking import Outbox, Serials
from qstrata.strata.forwarding.control.links import LinkBook
from qstrata.strata.forwarding.control.suspicions import AGAIN, PAST, Suspicions

HERE = Address(End.SERVICE_CTL, "dom", "control", "controller")
SPEC = LinkSpec("a-b", "a", "b", profile().link_parameters(6.0))


class OpenPort:
    """A port whose handles are addresses."""

    def bind(self, to: Address) -> Address:
        return to


class Control:
    def __init__(self) -> None:
        self.outbox = Outbox()
        self.suspicions = Suspicions("dom", OpenPort(), self.outbox, Serials())  # type: ignore[arg-type]
        self.links = {"a-b": LinkBook(SPEC)}
        self.now = 0

    def report(self, first: int = 0, last: int = 0, *, stands: bool = True) -> list[QuarantineBlocks]:
        self.now += PS_PER_S
        found = (Suspicion("a-b", first, last, 0, (), stands),) if last else ()
        effects = self.suspicions.follow(self.links, found, self.now)
        self.settled = self.sent(effects, SuspicionSettled)
        return self.sent(effects, QuarantineBlocks)

    def answer_all(self, orders: list[QuarantineBlocks]) -> None:
        for order, site in zip(orders, ("a", "b"), strict=True):
            said = BlocksQuarantined(order.serial, site, "a-b", 0, ("t1",))
            for told in self.sent(self.suspicions.imposed(said, HERE, self.now), KeysSuspected):
                self.suspicions.heard(SuspectsHeard(told.serial, "a-b", told.end), HERE, self.now)

    def sent(self, effects: Any, kind: type) -> list[Any]:
        messages = [effect.message for effect in effects if isinstance(effect, Send)]
        return [message for message in messages if type(message) is kind]

    def answer(self, serial: int, *transfers: str) -> list[KeysSuspected]:
        said = BlocksQuarantined(serial, "a", "a-b", 0, transfers)
        return self.sent(self.suspicions.imposed(said, HERE, self.now), KeysSuspected)

    def stands(self, *key: str) -> bool:
        return self.outbox.stands(key)


def test_an_answer_to_an_older_window_does_not_settle_the_newer_one() -> None:
    control = Control()
    older, *_ = control.report(3, 3)
    newer, *_ = control.report(3, 4)
    assert not control.answer(older.serial, "t1")
    assert control.stands("quarantine", "a-b", "a")
    (told,) = control.answer(newer.serial, "t1", "t2")
    assert told.transfers == ("t1", "t2")
    assert not control.stands("quarantine", "a-b", "a")
    assert control.stands("quarantine", "a-b", "b")


def test_service_control_is_told_until_it_has_heard_of_the_newest() -> None:
    control = Control()
    first, *_ = control.report(3, 3)
    control.answer(first.serial, "t1")
    second, *_ = control.report(3, 4)
    control.answer(second.serial, "t1", "t2")
    control.suspicions.heard(SuspectsHeard(first.serial, "a-b", "a"), HERE, control.now)
    assert control.stands("suspects", "a-b", "a")
    control.suspicions.heard(SuspectsHeard(second.serial, "a-b", "a"), HERE, control.now)
    assert not control.stands("suspects", "a-b", "a")


def test_a_standing_suspicion_is_acted_on_again_and_a_cleared_one_for_a_while() -> None:
    control = Control()
    acted = [bool(control.report(3, 3)) for _ in range(2 * AGAIN)]
    assert acted == [n % AGAIN == 0 for n in range(2 * AGAIN)]
    acted = []
    for number in range(PAST * AGAIN):
        if orders := control.report(3, 3, stands=False):
            acted.append(number)
            control.answer_all(orders)
        assert not control.settled
    assert acted == [AGAIN * n for n in range(PAST)]
    assert control.links["a-b"].suspicion is None
    assert control.report(3, 3, stands=False) == []
    assert [(one.link, one.last_block) for one in control.settled] == [("a-b", 3)]
    assert control.report() == []


def test_what_a_relay_has_not_answered_is_not_settled() -> None:
    control = Control()
    control.report(3, 3)
    for _ in range(2 * PAST * AGAIN):
        control.report(3, 3, stands=False)
        assert not control.settled


def test_control_that_starts_anew_acts_at_once_on_what_stands_no_more() -> None:
    control = Control()
    assert {order.last_block for order in control.report(3, 5, stands=False)} == {5}
    assert control.links["a-b"].suspicion is None
    assert control.report(3, 5, stands=False) == []


def test_a_link_that_is_taken_away_is_asked_about_no_more() -> None:
    control = Control()
    control.report(3, 3)
    control.links = {}
    control.report()
    assert not control.stands("quarantine", "a-b", "a")
    assert not control.stands("quarantine", "a-b", "b")


def test_neither_is_one_of_which_telemetry_had_forgotten_the_suspicion() -> None:
    control = Control()
    control.report(3, 3)
    control.report()
    control.links = {}
    control.report()
    assert not control.stands("quarantine", "a-b", "a")

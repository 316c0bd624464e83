"""What control tells the head of a circuit: that it is suspected, and that it is no more."""

from qstrata.core.address import Address
from qstrata.core.effects import Send
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.forwarding_control import CircuitMarked, MarkCircuit
from qstrata.fabric.messages.policy import CircuitSpec
from qstrata.fabric.messages.reports import CircuitReport, ForwardingReport, PairSuspicion
from qstrata.physics.pair_link import DeviceParameters, PairLinkParameters
from qstrata.physics.pair_parameters import CommissionedCircuit
from qstrata.planes import places
from qstrata.planes.asking import Outbox, Serials
from qstrata.strata.forwarding.control.circuit_suspicions import AGAIN, CircuitSuspicions

HEAD = places.station("dom", "a", "c1")
COMMISSIONED = CommissionedCircuit(
    links=(PairLinkParameters(length_km=10.0, loss_db=2.0),), devices=(DeviceParameters(),) * 2
)
SPEC = CircuitSpec("c1", ("a", "b"), ("a-b",), COMMISSIONED)
SUSPICION = PairSuspicion("c1", "", "a-b/9", 3, 0, ())


class OpenPort:
    """A port whose handles are addresses."""

    def bind(self, to: Address) -> Address:
        return to


class Control:
    def __init__(self) -> None:
        self.outbox = Outbox()
        self.suspicions = CircuitSuspicions("dom", OpenPort(), self.outbox, Serials())  # type: ignore[arg-type]
        self.now = 0

    def report(
        self, *suspicions: PairSuspicion, specs: tuple[CircuitSpec, ...] = (SPEC,), windows: int = 1
    ) -> list[MarkCircuit]:
        self.now += PS_PER_S
        circuit = CircuitReport("c1", self.now, 0, 0.0, 0, None, None, windows=windows)
        told = ForwardingReport(self.now, (), (), circuits=(circuit,), pair_suspicions=suspicions)
        effects = self.suspicions.follow(specs, told, self.now)
        sends = [effect for effect in effects if isinstance(effect, Send)]
        assert all(send.to == HEAD for send in sends)
        return [send.message for send in sends]

    def answer(self, order: MarkCircuit) -> None:
        said = CircuitMarked(order.serial, "a", "c1", order.suspected)
        self.suspicions.marked(said, HEAD, self.now)


def test_a_head_is_told_once_that_nothing_is_suspected():
    control = Control()
    (order,) = control.report()
    assert not order.suspected
    control.answer(order)
    assert not control.outbox.stands(("mark", "c1"))
    assert not any(control.report() for _ in range(3 * AGAIN))


def test_a_head_is_told_of_a_suspicion_at_once_again_and_when_it_is_over():
    control = Control()
    control.answer(control.report()[0])
    (order,) = control.report(SUSPICION)
    assert order.suspected
    assert control.suspicions.of("c1") == SUSPICION
    control.answer(order)
    later = [control.report(SUSPICION) for _ in range(2 * AGAIN)]
    assert [bool(orders) for orders in later] == ([False] * (AGAIN - 1) + [True]) * 2
    (over,) = control.report()
    assert not over.suspected
    assert over.serial > order.serial
    assert control.suspicions.of("c1") is None


def test_an_answer_to_an_older_word_settles_nothing():
    control = Control()
    (first,) = control.report()
    (second,) = control.report(SUSPICION)
    control.answer(first)
    assert control.outbox.stands(("mark", "c1"))
    control.answer(second)
    assert not control.outbox.stands(("mark", "c1"))


def test_a_circuit_that_is_gone_is_asked_nothing_any_more():
    control = Control()
    control.report(SUSPICION)
    assert control.report(SUSPICION, specs=()) == []
    assert not control.outbox.stands(("mark", "c1"))
    assert control.suspicions.of("c1") is None
    (order,) = control.report(SUSPICION)
    assert order.suspected


def test_telemetry_that_has_seen_no_window_pass_yet_frees_no_circuit():
    control = Control()
    assert control.report(windows=0) == []
    control.report(SUSPICION, windows=0)
    # Telemetry has started anew, and knows of nothing yet.
    assert not any(order for _ in range(AGAIN - 1) for order in control.report(windows=0))
    (again,) = control.report(windows=0)
    assert again.suspected
    assert control.suspicions.of("c1") == SUSPICION
    (over,) = control.report(windows=1)
    assert not over.suspected

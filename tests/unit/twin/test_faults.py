import math

import pytest

from qstrata.core.errors import InputError
from qstrata.fabric.messages.lab import Fault
from qstrata.twin.faults import FaultBook


@pytest.fixture
def book():
    return FaultBook({"a-b": "fibre/a-b"}, ("a-b/distillation", "a-b/relay", "management/a"))


def test_a_link_and_its_fibre_are_one_target(book):
    assert book.inject("cut", "a-b", 0.0, 5) == "fibre/a-b"
    assert book.standing == (Fault("cut", "fibre/a-b", 1.0, 5),)
    assert book.heal("cut", "fibre/a-b") == "fibre/a-b"
    assert book.standing == ()


def test_injecting_again_replaces_the_amount_and_keeps_the_beginning(book):
    book.inject("loss", "a-b", 2.0, 5)
    book.inject("loss", "a-b", 3.0, 9)
    assert book.standing == (Fault("loss", "fibre/a-b", 3.0, 5),)
    assert book.amount("loss", "fibre/a-b") == 3.0


def test_faults_of_several_kinds_stand_side_by_side(book):
    book.inject("loss", "a-b", 2.0, 1)
    book.inject("intercept-resend", "a-b", 0.2, 2)
    book.inject("cut", "management/a", 1.0, 3)
    assert [fault.kind for fault in book.standing] == ["loss", "intercept-resend", "cut"]


@pytest.mark.parametrize(
    ("kind", "target", "amount", "told"),
    [
        ("cuts", "a-b", 0.0, "did you mean 'cut'"),
        ("flood", "a-b", 0.0, "blinding, cut, intercept-resend, loss"),
        ("cut", "a-c", 0.0, "fibre/a-b"),
        ("cut", "a-b/distilation", 0.0, "did you mean 'a-b/distillation'"),
        ("loss", "management/a", 1.0, "loss has no target 'management/a'"),
        ("loss", "a-b", -1.0, "0 to 200 dB"),
        ("loss", "a-b", math.nan, "0 to 200 dB"),
        ("loss", "a-b", 200.1, "0 to 200 dB"),
        ("intercept-resend", "a-b", 1.01, "0 to 1 of the pulses"),
        ("tap", "a-b", 1.01, "0 to 1 of the light"),
        ("raman", "a-b", 2e6, "0 to 1e+06 clicks/s"),
    ],
)
def test_what_cannot_be_injected_is_refused_with_what_can(book, kind, target, amount, told):
    with pytest.raises(InputError) as refused:
        book.inject(kind, target, amount, 0)
    assert told in str(refused.value)
    assert book.standing == ()


def test_healing_what_does_not_stand_names_what_does(book):
    book.inject("loss", "a-b", 2.0, 1)
    with pytest.raises(InputError, match="no cut on a-b to heal; faults that stand: loss on fibre/a-b"):
        book.heal("cut", "a-b")


def test_a_long_list_of_targets_is_cut_short():
    book = FaultBook({f"link{number}": f"fibre/link{number}" for number in range(1000)}, ())
    with pytest.raises(InputError, match="and 992 more") as refused:
        book.inject("cut", "nowhere", 0.0, 0)
    assert len(str(refused.value)) < 300


def test_a_network_without_any_target_of_a_fault_says_so():
    book = FaultBook({"a-b": "fibre/a-b"}, (), ("fibre/a-b",))
    with pytest.raises(InputError, match=r"has no target 'a': this network has none$"):
        book.inject("memory-tampering", "a", 0.5, 3)


def test_memories_are_attacked_by_the_name_of_their_site():
    book = FaultBook({"a-b": "fibre/a-b"}, (), ("fibre/a-b",), ("a", "b"))
    assert book.inject("memory-tampering", "a", 0.5, 3) == "memory/a"
    assert book.amount("memory-tampering", "memory/a") == 0.5
    for target in ("c", "a-b", "fibre/a-b"):
        with pytest.raises(InputError, match="memory-tampering has no target"):
            book.inject("memory-tampering", target, 0.5, 3)
    with pytest.raises(InputError, match="0 to 1 of the stored qubits"):
        book.inject("memory-tampering", "a", 1.5, 3)
    with pytest.raises(InputError, match="cut has no target"):
        book.inject("cut", "memory/a", 1.0, 3)
    book.adopt({"a-b": "fibre/a-b"}, (), ("fibre/a-b",), ("b",))
    assert book.standing == ()

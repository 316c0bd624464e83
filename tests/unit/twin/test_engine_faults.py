import pytest

from qstrata.core.effects import SetBearer
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.device import (
    BlockClosed,
    CountsReport,
    SignalReport,
    Started,
    Tick,
)
from qstrata.fabric.messages.lab import LabAnswer, ListFaults
from tests.unit.twin.harness import (
    BOB,
    OPERATOR,
    PULSES_PER_S,
    World,
    heal,
    inject,
    link_plan,
    qber,
    reported,
    running,
    termination,
    twin_plan,
)


def test_a_cut_fibre_leaves_background_clicks_of_which_half_are_wrong():
    world = running()
    assert inject(world, "cut").error == ""
    world.run_until(150 * PS_PER_S)
    dark = world.received(BOB, BlockClosed)[-1].counts
    mean = 10 * PULSES_PER_S * 1.7e-6
    assert dark.detections == pytest.approx(mean, abs=5 * mean**0.5)
    assert qber(dark) == pytest.approx(0.5, abs=5 * 0.5 / sum(dark.n[0]) ** 0.5)
    heal(world, "cut")
    world.run_until(180 * PS_PER_S)
    assert world.received(BOB, BlockClosed)[-1].counts.detections > 1000 * mean


def test_intercepting_raises_the_error_rate_by_a_quarter_of_the_share_on_what_was_right():
    world = running()
    before = world.received(BOB, BlockClosed)[-1].counts
    inject(world, "intercept-resend", amount=0.4)
    world.run_until(60 * PS_PER_S)
    after = world.received(BOB, BlockClosed)[-1].counts
    error = 5 * (0.25 / sum(after.n[0])) ** 0.5
    # A flip of probability 0.1 turns right bits wrong and wrong bits right: e becomes e + 0.1 (1 - 2 e).
    assert qber(after) - qber(before) == pytest.approx(0.1 * (1 - 2 * qber(before)), abs=error)
    assert after.detections == pytest.approx(before.detections, abs=10 * before.detections**0.5)


def test_monitors_tell_the_signals_of_their_site_now_and_on_each_change():
    world = World(twin_plan(link_plan("a", "b", 6.0), link_plan("b", "c", 5.4)))
    assert world.tell(termination("a"), Tick("t", PS_PER_S)) == [
        SignalReport("fibre/a-b", True, 6.0),
        SignalReport("a-b/distillation", True, 0.0),
        SignalReport("a-b/relay", True, 0.0),
    ]
    inject(world, "loss", "a-b", 2.0)
    inject(world, "cut", "a-b")
    inject(world, "cut", "b-c/relay")
    heal(world, "cut", "fibre/a-b")
    assert world.received(termination("a"), SignalReport)[3:] == [
        SignalReport("fibre/a-b", True, 8.0),
        SignalReport("fibre/a-b", False, 8.0),
        SignalReport("fibre/a-b", True, 8.0),
    ]
    assert world.received(termination("b"), SignalReport) == []
    told = world.tell(termination("b"), Tick("t", PS_PER_S))
    assert [report.bearer for report in told if not report.up] == ["b-c/relay"]
    assert len(told) == 6


@pytest.mark.parametrize(
    ("target", "bearer"),
    [
        ("a-b", "fibre/a-b"),
        ("fibre/a-b", "fibre/a-b"),
        ("a-b/distillation", "a-b/distillation"),
        ("a-b/relay", "a-b/relay"),
        ("management/b", "management/b"),
    ],
)
def test_a_cut_takes_its_bearer_down_and_heal_brings_it_back(target, bearer):
    world = World(twin_plan(link_plan("a", "b")))
    world.tell(termination("b"), Tick("t", PS_PER_S))
    inject(world, "cut", target)
    heal(world, "cut", target)
    assert world.bearers == [SetBearer(bearer, intact=False), SetBearer(bearer, intact=True)]
    changes = [report.up for report in world.received(termination("b"), SignalReport)[3:]]
    assert changes == ([] if bearer.startswith("management") else [False, True])


def test_a_cut_distillation_channel_stops_no_detection():
    plain, cut = running(until_s=5), running(until_s=5)
    inject(cut, "cut", "a-b/distillation")
    for world in (plain, cut):
        world.run_until(25 * PS_PER_S)
    assert reported(plain) == reported(cut)


def test_the_lab_lists_what_stands_and_names_what_exists():
    world = World(twin_plan(link_plan("a", "b")))
    inject(world, "loss", "a-b", 1.5)
    refused = inject(world, "cut", "a-b/distilation")
    assert "did you mean 'a-b/distillation'" in refused.error
    assert world.bearers == []
    (listed,) = world.tell(OPERATOR, ListFaults(7))
    assert (listed.request, listed.error) == (7, "")
    assert [(fault.kind, fault.target, fault.amount) for fault in listed.faults] == [
        ("loss", "fibre/a-b", 1.5)
    ]
    assert heal(world, "loss").faults == ()


def test_messages_carry_the_address_of_their_device():
    world = running(until_s=3)
    world.tell(termination("a"), Tick("t", PS_PER_S))
    inject(world, "loss")
    names = {(device.site, device.name, type(message)) for _, device, _, message in world.sent}
    assert {
        ("a", "qkd.a-b", Started),
        ("b", "qkd.a-b", CountsReport),
        ("a", "monitor", SignalReport),
        ("control", "lab", LabAnswer),
    } <= names

"""The memory fabric: order, delay, silent loss, bounds, reconnects, and what it counts."""

import pytest

from qstrata.core.effects import SetBearer
from qstrata.core.errors import RefusedError
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.memory import Mischief
from qstrata.fabric.messages.east_west import BlockTaken, BlockWanted, HandOver, Returned
from qstrata.fabric.messages.service_control import CloseSession, KmeHello
from qstrata.fabric.messages.transfer import TransferHeader, TransferRequest


def wanted(number):
    return BlockTaken("a-b", number)


def numbers(wire):
    return [message.block for _, _, message in wire.got]


def transfer(bits):
    return TransferRequest(TransferHeader("t1", 1, "s", "a", 0, ("k",), 256, 0, 0), bits)


def test_a_message_arrives_after_the_delay_of_its_channel(wire):
    wire.hop(wanted(1))
    wire.queue.run_until(49)
    assert wire.got == []
    wire.queue.run_until(50)
    assert wire.got == [(50, "relay", wanted(1))]


def test_a_control_message_rides_the_management_channels_of_both_sites(wire):
    wire.send(wire.kme_a, wire.ctl, KmeHello("a"))
    wire.queue.run_until(100)
    assert wire.got == [(7 + 3, "controller", KmeHello("a"))]


@pytest.mark.parametrize("site", ["a", "control"])
def test_cutting_the_management_channel_of_either_site_cuts_control_off(wire, site):
    wire.bearers.apply(SetBearer(f"management/{site}", intact=False))
    wire.send(wire.kme_a, wire.ctl, KmeHello("a"))
    wire.queue.run_until(100)
    assert wire.got == []


def test_within_a_site_a_message_needs_no_bearer_and_no_time(wire):
    for row in wire.bearers.rows():
        wire.bearers.apply(SetBearer(row.bearer, intact=False))
    wire.send(wire.kme_a, wire.relay_a, transfer(KeyMaterial(bytes(32))))
    wire.queue.run_until(0)
    assert [(at_ps, name) for at_ps, name, _ in wire.got] == [(0, "relay")]


def test_a_site_without_a_declared_management_channel_has_a_default_one(wire):
    wire.send(wire.ctl, wire.kme_a, CloseSession("s"))
    assert wire.bearers.up("management/control")
    far = wire.kme_a.__class__(wire.kme_a.end, "d", "c", "kme")
    wire.fabric.port(wire.ctl).bind(far)
    assert wire.bearers.up("management/c")


def test_messages_of_a_pair_keep_their_order_when_the_delay_shrinks(wire):
    wire.hop(wanted(1))
    wire.bearers.apply(SetBearer(wire.channel, delay_ps=10))
    wire.hop(wanted(2))
    wire.queue.run_until(100)
    assert [(at_ps, message.block) for at_ps, _, message in wire.got] == [(50, 1), (50, 2)]


def test_a_message_on_a_bearer_that_is_down_is_lost_silently(wire):
    wire.bearers.apply(SetBearer(wire.channel, granted=False))
    wire.hop(wanted(1))
    wire.bearers.apply(SetBearer(wire.channel, granted=True))
    wire.hop(wanted(2))
    wire.queue.run_until(100)
    assert numbers(wire) == [2]
    assert wire.outcomes() == ["bearer-down", "sent"]


def test_a_message_under_way_is_lost_when_its_bearer_is_cut_at_its_arrival(wire):
    wire.hop(wanted(1))
    wire.bearers.apply(SetBearer(wire.channel, intact=False))
    wire.queue.run_until(100)
    assert wire.got == []
    assert wire.outcomes() == ["sent", "bearer-down"]


def test_the_queue_of_a_handle_is_bounded_and_what_is_too_much_is_lost(make_wire):
    wire = make_wire(max_in_flight=2)
    for number in range(3):
        wire.hop(wanted(number))
    wire.queue.run_until(50)
    wire.hop(wanted(3))
    wire.queue.run_until(100)
    assert numbers(wire) == [0, 1, 3]
    assert wire.outcomes() == ["sent", "sent", "queue-full", "sent"]


def test_what_was_under_way_to_a_crashed_element_never_reaches_its_next_incarnation(wire):
    wire.hop(wanted(1))
    wire.fabric.detach(wire.relay_b)
    wire.attach(wire.relay_b)
    wire.hop(wanted(2))
    wire.queue.run_until(100)
    assert numbers(wire) == [2]
    assert wire.outcomes() == ["sent", "sent", "receiver-gone"]


def test_a_message_to_nobody_is_lost(wire):
    wire.fabric.detach(wire.relay_b)
    wire.hop(wanted(1))
    wire.queue.run_until(100)
    assert (wire.got, wire.outcomes()) == ([], ["sent", "receiver-gone"])


def test_what_an_element_says_at_its_start_reaches_elements_that_start_after_it(wire):
    late = wire.relay_a.__class__(wire.relay_a.end, "d", "a", "agent.a-b")
    wire.send(wire.relay_a, late, BlockWanted("a-b"))
    wire.attach(late)
    wire.queue.run_until(0)
    assert [name for _, name, _ in wire.got] == ["agent.a-b"]


@pytest.mark.parametrize("away", ["relay_a", "relay_b"])
def test_with_mischief_the_last_message_comes_twice_after_either_end_was_away(make_wire, away):
    wire = make_wire(mischief=Mischief(seed=1))
    wire.hop(wanted(1))
    wire.hop(wanted(2))
    wire.queue.run_until(100)
    assert numbers(wire) == [1, 2]
    wire.fabric.detach(getattr(wire, away))
    wire.attach(getattr(wire, away))
    wire.queue.run_until(200)
    assert numbers(wire) == [1, 2, 2]
    wire.attach(getattr(wire, away))
    wire.queue.run_until(300)
    assert numbers(wire) == [1, 2, 2]


def test_without_mischief_nothing_comes_twice(wire):
    wire.hop(wanted(1))
    wire.queue.run_until(100)
    wire.fabric.detach(wire.relay_b)
    wire.attach(wire.relay_b)
    wire.queue.run_until(200)
    assert numbers(wire) == [1]


def test_mischief_loses_its_share_by_the_seed_of_the_pair(make_wire):
    def arrived(seed):
        wire = make_wire(mischief=Mischief(seed=seed, loss_share=0.25))
        for number in range(1000):
            wire.hop(wanted(number))
        wire.queue.run_until(100)
        return numbers(wire)

    assert arrived(1) == arrived(1) != arrived(2)
    # 5 standard deviations of a binomial with n = 1000, p = 0.75
    assert abs(len(arrived(1)) - 750) < 5 * (1000 * 0.25 * 0.75) ** 0.5


def test_the_losses_of_a_pair_do_not_depend_on_what_others_send(make_wire):
    def arrived(chatter):
        wire = make_wire(mischief=Mischief(seed=3, loss_share=0.5))
        for number in range(50):
            if chatter:
                wire.send(wire.relay_b, wire.relay_a, wanted(999), wire.channel)
            wire.hop(wanted(number))
        wire.queue.run_until(100)
        return [number for number in numbers(wire) if number != 999]

    assert arrived(chatter=True) == arrived(chatter=False)


def test_a_receiver_may_take_key_material_without_emptying_the_senders(wire):
    bits = KeyMaterial(bytes(range(32)))
    wire.send(wire.kme_a, wire.relay_a, transfer(bits))
    wire.queue.run_until(0)
    ((_, _, message),) = wire.got
    assert message.bits.take() == bytes(range(32))
    assert bits.reveal() == bytes(range(32))


def test_a_message_that_comes_twice_has_its_key_material_twice(make_wire):
    wire = make_wire(mischief=Mischief(seed=1))
    wire.send(wire.kme_a, wire.relay_a, transfer(KeyMaterial(bytes(range(32)))))
    wire.queue.run_until(0)
    wire.got[0][2].bits.wipe()
    wire.attach(wire.relay_a)
    wire.queue.run_until(0)
    assert wire.got[1][2].bits.reveal() == bytes(range(32))


def test_a_type_of_the_wrong_direction_is_refused_counted_and_listed(wire):
    for _ in range(2):
        with pytest.raises(RefusedError, match="CloseSession may not go this way on F1"):
            wire.send(wire.kme_a, wire.ctl, CloseSession("s"))
    (row,) = wire.fabric.refusals()
    assert (row.sender, row.receiver, row.type, row.count) == (
        "service.res/d/a/kme",
        "service.ctl/d/control/controller",
        "CloseSession",
        2,
    )
    assert wire.fabric.traffic() == ()
    assert wire.outcomes() == ["refused", "refused"]


def test_a_handle_that_may_not_be_bound_is_refused_and_counted(wire):
    with pytest.raises(RefusedError, match="needs a declared channel"):
        wire.fabric.port(wire.relay_a).bind(wire.relay_b)
    assert [(row.type, row.count) for row in wire.fabric.refusals()] == [("", 1)]
    assert wire.outcomes() == ["refused"]


def test_a_port_binds_a_handle_once(wire):
    port = wire.fabric.port(wire.relay_a)
    assert port is wire.fabric.port(wire.relay_a)
    assert port.bind(wire.relay_b, wire.channel) is port.bind(wire.relay_b, wire.channel)


def test_traffic_counts_messages_by_arrow_ends_and_type(wire):
    wire.hop(wanted(1))
    wire.hop(wanted(2))
    wire.send(wire.relay_b, wire.relay_a, wanted(3), wire.channel)
    wire.send(wire.kme_a, wire.ctl, KmeHello("a"))
    assert wire.fabric.traffic() == (
        ("F1", "service.res", "service.ctl", "KmeHello", 1),
        ("T5", "forwarding.res", "forwarding.res", "BlockTaken", 3),
    )


def test_a_tap_sees_every_carried_message_and_no_lost_one(wire):
    tapped = []
    wire.fabric.taps.append(lambda handle, message, now: tapped.append((handle.arrow.id, message, now)))
    wire.hop(wanted(1))
    wire.bearers.apply(SetBearer(wire.channel, intact=False))
    wire.hop(wanted(2))
    assert tapped == [("T5", wanted(1), 0)]


def test_a_hook_may_swallow_a_message_or_crash_its_receiver(wire):
    wire.fabric.hooks.before_deliver = lambda handle, message: message.block != 1
    wire.hop(wanted(1))
    wire.hop(wanted(2))
    wire.queue.run_until(50)
    assert numbers(wire) == [2]

    def crash(handle, message):
        wire.fabric.detach(handle.to)
        return True

    wire.fabric.hooks.before_deliver = crash
    wire.hop(wanted(3))
    wire.queue.run_until(100)
    assert numbers(wire) == [2]
    assert wire.outcomes() == ["sent", "sent", "swallowed", "sent", "receiver-gone"]


def test_the_log_line_of_a_message_names_ends_due_instant_and_ids_only(wire):
    wire.send(
        wire.relay_b, wire.relay_a, Returned("a-b", "t1", True, "a reason that is not logged"), wire.channel
    )
    assert wire.log() == [
        [
            0,
            1,
            "msg",
            "T5",
            "forwarding.res/d/b/relay",
            "forwarding.res/d/a/relay",
            "Returned",
            50,
            "sent",
            ["t1", True],
        ]
    ]


def test_same_messages_same_hash_and_another_message_another_hash(make_wire):
    def digest(*blocks):
        wire = make_wire()
        for number in blocks:
            wire.hop(wanted(number))
        wire.queue.run_until(100)
        return wire.recorder.sha256()

    assert digest(1, 2, 3) == digest(1, 2, 3)
    assert digest(1, 2, 3) != digest(1, 3, 2)


@pytest.mark.parametrize(
    "shown",
    [bytes.hex, lambda data: data.hex().upper(), lambda data: f"key={data.hex()}!"],
    ids=["hex", "HEX", "in text"],
)
def test_a_checked_run_notes_key_bytes_on_an_arrow_that_never_carries_any(make_wire, shown):
    secret = bytes(range(100, 132))
    wire = make_wire(checked=True)
    wire.send(wire.kme_a, wire.relay_a, transfer(KeyMaterial(secret)))
    wire.send(wire.kme_a, wire.ctl, KmeHello("harmless"))
    wire.send(wire.kme_a, wire.ctl, KmeHello(shown(secret)))
    leaks = [line[3:] for line in wire.log() if line[2] == "leak"]
    assert leaks == [["F1", str(wire.kme_a), str(wire.ctl), "KmeHello"]]
    wire.queue.run_until(100)
    assert len(wire.got) == 3


def test_a_checked_run_does_not_look_at_arrows_that_may_carry_key_bits(make_wire):
    secret = bytes(range(100, 132))
    wire = make_wire(checked=True)
    wire.send(wire.kme_a, wire.relay_a, transfer(KeyMaterial(secret)))
    wire.hop(BlockWanted(secret.hex()))
    assert [line for line in wire.log() if line[2] == "leak"] == []


def test_a_type_with_key_material_that_does_not_say_it_is_secret_is_refused(wire, monkeypatch):
    monkeypatch.setattr(HandOver, "secret", False)
    message = HandOver("a-b", 1, KeyMaterial(bytes(32)), "fibre/a-b", 0, False)
    with pytest.raises(RefusedError, match="does not say that it is secret"):
        wire.hop(message)


def test_a_secret_type_is_refused_on_an_arrow_that_never_carries_key_bits(wire, monkeypatch):
    monkeypatch.setattr(KmeHello, "secret", True)
    with pytest.raises(RefusedError, match="F1 never carries key bits"):
        wire.send(wire.kme_a, wire.ctl, KmeHello("a"))

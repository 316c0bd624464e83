"""Properties of the memory fabric: order, at most once, silent loss and determinism, whatever happens."""

from hypothesis import given
from hypothesis import strategies as st

from qstrata.core.address import Address, End
from qstrata.core.effects import SetBearer
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric, Mischief
from qstrata.fabric.messages.east_west import BlockTaken
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.queue import EventQueue

A = Address(End.FORWARDING_RES, "d", "a", "relay")
B = Address(End.FORWARDING_RES, "d", "b", "relay")
CHANNEL = "a-b/relay"

delays = st.integers(min_value=0, max_value=100).map(lambda delay_ps: SetBearer(CHANNEL, delay_ps=delay_ps))
cuts = st.booleans().map(lambda intact: SetBearer(CHANNEL, intact=intact))
waits = st.integers(min_value=1, max_value=50)
acts = st.lists(st.one_of(st.just("send"), st.just("reconnect"), delays, cuts, waits), max_size=60)
smooth = st.lists(st.one_of(st.just("send"), delays, waits), max_size=60)


def play(acts, mischief=None):
    """Do the acts; return (instant sent by number, [(instant, number) received], the log's hash)."""
    queue, bearers, recorder = EventQueue(), BearerTable(), Recorder()
    bearers.declare(CHANNEL, "relay", 10, granted=True)
    fabric = MemoryFabric(queue, bearers, recorder, Directory(channels={CHANNEL: ("a", "b")}), mischief)
    sent, got = {}, []

    def receive(message, sender):
        got.append((queue.now, message.block))

    fabric.attach(B, receive)
    handle = fabric.port(A).bind(B, CHANNEL)
    for act in acts:
        if act == "send":
            sent[len(sent)] = queue.now
            fabric.send(handle, BlockTaken("a-b", len(sent) - 1), "a", queue.now)
        elif act == "reconnect":
            fabric.detach(B)
            fabric.attach(B, receive)
        elif isinstance(act, SetBearer):
            bearers.apply(act)
        else:
            queue.run_until(queue.now + act)
    queue.run_until(queue.now + 10_000)
    return sent, got, recorder.sha256()


@given(acts)
def test_without_mischief_messages_arrive_in_order_and_at_most_once(acts):
    sent, got, _ = play(acts)
    numbers = [number for _, number in got]
    assert numbers == sorted(set(numbers))
    assert all(at_ps >= sent[number] for at_ps, number in got)


@given(smooth)
def test_on_a_bearer_that_stays_up_every_message_arrives_in_order_whatever_its_delay_does(acts):
    sent, got, _ = play(acts)
    assert [number for _, number in got] == sorted(sent)
    assert [at_ps for at_ps, _ in got] == sorted(at_ps for at_ps, _ in got)


@given(acts, st.integers(min_value=0, max_value=5))
def test_a_message_comes_again_only_after_a_reconnect(acts, seed):
    _, got, _ = play(acts, Mischief(seed=seed, loss_share=0.2))
    numbers = [number for _, number in got]
    assert len(numbers) - len(set(numbers)) <= acts.count("reconnect")


@given(acts, st.integers(min_value=0, max_value=5))
def test_the_same_acts_and_seed_give_the_same_log(acts, seed):
    mischief = Mischief(seed=seed, loss_share=0.2)
    assert play(acts, mischief) == play(acts, mischief)

"""Two agents of one link: they run devices, agree on a length, and hand equal bits to both relays."""

from typing import Any

import pytest

from qstrata.core.address import Address, End
from qstrata.core.effects import Send, SetBearer
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_S
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.messages.attachment import Attach, Attached, Detached, Light
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.connectivity_control import LinkBearers
from qstrata.fabric.messages.device import (
    Bits,
    BlockClosed,
    Discard,
    Measure,
    NothingToRead,
    PrepareAndSend,
    Read,
    Started,
    Tick,
)
from qstrata.fabric.messages.east_west import BlockLost, HandOver, HandOverDone
from qstrata.fabric.messages.forwarding_control import ActivateLink, AgentHello, LinkStatus
from qstrata.fabric.messages.samples import (
    BlockSample,
    KeepVerdicts,
    LinkFault,
    LinkSample,
    ProbeForwarding,
    Verdicts,
    VerdictsKept,
)
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.commit import ModelledCommit
from qstrata.kernel.host import Host
from qstrata.kernel.queue import EventQueue
from qstrata.physics.counts import Counts, counts_from_outcomes, expected_counts, outcome_probabilities, zero
from qstrata.physics.finite_key import key_length_bits
from qstrata.physics.profiles import profile
from qstrata.planes import places
from qstrata.store.memory import MemoryStore
from qstrata.strata.forwarding.resource.agent import AgentElement
from tests.unit.strata.forwarding.relay_rig import DOMAIN
from tests.unit.strata.scripted import Scripted

LINK, CHANNEL = "a-b", "a-b/distillation"
PARAMETERS = profile().link_parameters(6.0)
BEARERS = LinkBearers(LINK, f"fibre/{LINK}", CHANNEL, f"{LINK}/relay")


def typical(pulses: int) -> Counts:
    return counts_from_outcomes((outcome_probabilities(PARAMETERS) * pulses).round().astype("int64"))


BLOCK = typical(6_000_000_000)
LENGTH = key_length_bits(BLOCK, PARAMETERS).length_bits // 8 * 8


class Pair:
    """Both agents of a link; relays, devices, terminations, control and telemetry are scripted."""

    def __init__(self) -> None:
        self.queue = EventQueue()
        self.bearers = BearerTable()
        self.bearers.declare(CHANNEL, "channel", 1_000_000, granted=True)
        devices = {site: Address(End.WORLD, DOMAIN, site, f"qkd.{LINK}") for site in "ab"}
        agents = {site: places.agent(DOMAIN, site, LINK) for site in "ab"}
        self.fabric = MemoryFabric(
            self.queue,
            self.bearers,
            Recorder(),
            Directory(
                sites=dict.fromkeys("ab", DOMAIN),
                owners={devices[site]: agents[site] for site in "ab"},
                channels={CHANNEL: ("a", "b")},
            ),
        )
        commits = ModelledCommit(self.queue, MemoryStore().commit)
        self.host = Host(
            self.queue,
            self.fabric.send,
            commits.commit,
            lambda entry, now: None,
            lambda effect, now: self.bearers.apply(effect),
        )
        self.devices = {
            site: self.script(devices[site], (PrepareAndSend, Measure, Tick, Read, Discard)) for site in "ab"
        }
        self.relays = {site: self.script(places.relay(DOMAIN, site), (HandOver, BlockLost)) for site in "ab"}
        self.terminations = {site: self.script(places.termination(DOMAIN, site), (Attach,)) for site in "ab"}
        self.control = self.script(places.controller(End.FORWARDING_CTL, DOMAIN), (AgentHello, LinkStatus))
        self.telemetry = self.script(
            places.telemetry(End.FORWARDING_TEL, DOMAIN), (LinkSample, BlockSample, LinkFault, VerdictsKept)
        )
        self.agents = agents
        for site, peer in (("a", "b"), ("b", "a")):
            agent = AgentElement(
                agents[site],
                self.fabric.port(agents[site]),
                LINK,
                agents[peer],
                CHANNEL,
                devices[site],
                self.control.address,
            )
            self.host.spawn(site, agent)
            self.fabric.attach(agents[site], self.host.receiver(agent))
        self.run(0.1)

    def script(self, address: Address, kinds: tuple[type, ...]) -> Scripted:
        element = Scripted(address, kinds)
        self.host.spawn(f"scripted {address}", element)
        self.fabric.attach(address, self.host.receiver(element))
        return element

    def run(self, seconds: float) -> None:
        self.queue.run_until(self.queue.now + round(seconds * PS_PER_S))

    def tell(self, who: Scripted, site: str, message: Message, seconds: float = 0.05) -> None:
        handle = self.fabric.port(who.address).bind(self.agents[site])
        self.host.perform(f"scripted {who.address}", [Send(handle, message)], self.queue.now)
        self.run(seconds)

    def activate(self) -> None:
        for site, peer in (("a", "b"), ("b", "a")):
            self.tell(self.terminations[site], site, Attached(BEARERS))
            self.tell(self.control, site, ActivateLink(LINK, 1, peer, site == "a", PARAMETERS))
            self.tell(self.telemetry, site, ProbeForwarding(PS_PER_S))
            for kind in (PrepareAndSend, Measure):
                for order in self.devices[site].take(kind):
                    self.tell(self.devices[site], site, Started(order.instruction))

    def close(self, block: int, counts: Counts = BLOCK, provisioned: int = 0, sites: str = "ab") -> None:
        for site in sites:
            message = BlockClosed(LINK, block, counts, provisioned)
            self.tell(self.devices[site], site, message, 0)
        self.run(0.05)

    def answer_reads(self, site: str, bits: bytes) -> list[Read]:
        reads = self.devices[site].take(Read)
        for read in reads:
            data = KeyMaterial(bits[: read.length_bits // 8])
            self.tell(self.devices[site], site, Bits(read.instruction, read.block, data))
        return reads

    def taken(self, site: str, kind: type) -> list[Any]:
        return self.relays[site].take(kind)


@pytest.fixture
def pair() -> Pair:
    pair = Pair()
    pair.activate()
    return pair


def test_nothing_runs_before_media_are_granted_and_the_link_is_activated() -> None:
    pair = Pair()
    assert not pair.devices["a"].got
    pair.tell(pair.control, "a", ActivateLink(LINK, 1, "b", True, PARAMETERS))
    assert not pair.devices["a"].got
    pair.tell(pair.terminations["a"], "a", Attached(BEARERS))
    assert [type(order) for order in pair.devices["a"].got] == [Tick, PrepareAndSend]


def test_the_receiver_measures_and_an_unanswered_order_is_repeated_by_its_id() -> None:
    pair = Pair()
    pair.tell(pair.control, "b", ActivateLink(LINK, 1, "a", False, PARAMETERS))
    pair.tell(pair.terminations["b"], "b", Attached(BEARERS))
    pair.run(5)
    orders = pair.devices["b"].take(Measure)
    assert len(orders) >= 2
    assert len({order.instruction for order in orders}) == 1


def test_both_ends_read_the_finite_size_length_of_the_counts_and_hand_it_over(pair: Pair) -> None:
    pair.close(1)
    for site in "ab":
        (read,) = pair.answer_reads(site, bytes(LENGTH // 8))
        assert (read.block, read.length_bits) == (1, LENGTH)
        (handed,) = pair.taken(site, HandOver)
        assert handed.bits.size_bits == LENGTH
        assert handed.bearer == f"fibre/{LINK}"
        assert handed.qber_ppm == pytest.approx(1e6 * sum(BLOCK.m[0]) / sum(BLOCK.n[0]), abs=1)


def test_the_device_forgets_a_block_only_when_the_relay_has_it(pair: Pair) -> None:
    pair.close(1)
    pair.answer_reads("a", bytes(LENGTH // 8))
    assert not pair.devices["a"].take(Discard)
    pair.run(5)
    assert len(pair.taken("a", HandOver)) >= 2
    pair.tell(pair.relays["a"], "a", HandOverDone(LINK, 1))
    assert [order.block for order in pair.devices["a"].take(Discard)] == [1]
    pair.run(5)
    assert not pair.taken("a", HandOver)


def test_a_block_that_never_fits_into_the_pool_is_an_alarm_until_one_does(pair: Pair) -> None:
    for number, refused in ((1, "too long"), (2, "too long"), (3, "")):
        pair.close(number)
        pair.answer_reads("a", bytes(LENGTH // 8))
        pair.tell(pair.relays["a"], "a", HandOverDone(LINK, number, refused))
    assert [order.block for order in pair.devices["a"].take(Discard)] == [1, 2, 3]
    samples = [(sample.length_bits, sample.finding) for sample in pair.telemetry.take(BlockSample)]
    assert samples == [(0, "too long"), (0, "too long"), (LENGTH, "")]
    faults = pair.telemetry.take(LinkFault)
    assert [(fault.channel, fault.raised) for fault in faults] == [("pool", True), ("pool", False)]
    assert faults[0].finding == "too long"


def test_no_bits_are_read_while_the_distillation_channel_is_cut_and_the_alarm_names_it(pair: Pair) -> None:
    pair.bearers.apply(_cut(True))
    pair.close(1)
    pair.run(10)
    assert not pair.devices["a"].take(Read)
    faults = [f for f in pair.telemetry.take(LinkFault) if f.raised]
    assert {(fault.site, fault.channel) for fault in faults} == {("a", CHANNEL), ("b", CHANNEL)}
    assert "silent" in {status.status for status in pair.control.take(LinkStatus)}
    pair.bearers.apply(_cut(False))
    pair.run(5)
    assert pair.devices["a"].take(Read)
    assert [f.raised for f in pair.telemetry.take(LinkFault)] == [False, False]


def _cut(cut: bool) -> Any:

    return SetBearer(CHANNEL, intact=not cut)


def test_ends_that_counted_differently_use_nothing(pair: Pair) -> None:
    pair.close(1, sites="a")
    pair.close(1, typical(6_000_100_000), sites="b")
    assert not pair.devices["a"].take(Read)
    assert [lost.block for lost in pair.taken("a", BlockLost)] == [1]


def test_a_block_without_key_is_let_go_and_reported(pair: Pair) -> None:
    pair.close(1, zero())
    for site in "ab":
        assert [lost.block for lost in pair.taken(site, BlockLost)] == [1]
    assert {sample.length_bits for sample in pair.telemetry.take(BlockSample)} == {0}


def test_a_provisioned_block_needs_no_peer_and_comes_in_two_halves(pair: Pair) -> None:
    pair.close(0, zero(), provisioned=256, sites="a")
    pair.answer_reads("a", bytes(range(32)))
    (first,) = pair.taken("a", HandOver)
    pair.tell(pair.relays["a"], "a", HandOverDone(LINK, first.block))
    (second,) = pair.taken("a", HandOver)
    assert (first.block, second.block) == (-1, 0)
    assert second.bits.reveal() + first.bits.reveal() == bytes(range(32))
    assert first.provisioned
    assert second.provisioned


def test_bits_that_the_device_no_longer_has_are_lost_for_the_relay(pair: Pair) -> None:
    pair.close(1)
    (read,) = pair.devices["a"].take(Read)
    pair.tell(pair.devices["a"], "a", NothingToRead(read.instruction, 1))
    assert [lost.block for lost in pair.taken("a", BlockLost)] == [1]


def test_an_end_that_is_done_still_answers_the_other(pair: Pair) -> None:
    pair.close(1, sites="a")
    pair.close(1, sites="b")
    pair.answer_reads("a", bytes(LENGTH // 8))
    pair.tell(pair.relays["a"], "a", HandOverDone(LINK, 1))
    pair.tell(pair.devices["b"], "b", NothingToRead("x", 1))
    pair.devices["b"].got.clear()
    pair.close(1, sites="b")
    assert pair.devices["b"].take(Read)


def test_the_number_of_open_blocks_is_bounded(pair: Pair) -> None:
    pair.bearers.apply(_cut(True))
    for block in range(1, 12):
        pair.close(block, sites="a")
    assert [lost.block for lost in pair.taken("a", BlockLost)] == [1, 2, 3]


def test_taking_the_media_back_stops_the_device(pair: Pair) -> None:
    pair.tell(pair.terminations["a"], "a", Detached(LINK))
    assert [order.block for order in pair.devices["a"].take(Discard)] == [-1]


def test_a_dark_fibre_is_told_to_control(pair: Pair) -> None:
    pair.control.got.clear()
    pair.tell(pair.terminations["a"], "a", Light(LINK, f"fibre/{LINK}", False))
    assert [status.status for status in pair.control.take(LinkStatus)] == ["dark"]


def test_the_length_is_what_the_expected_counts_give() -> None:
    expected = expected_counts(PARAMETERS, 6_000_000_000)
    assert sum(BLOCK.n[0]) == pytest.approx(sum(expected.n[0]), abs=3)
    assert LENGTH > 0


def test_an_agent_keeps_the_newest_verdicts_for_telemetry_that_probes_it(pair):
    pair.telemetry.take(VerdictsKept)
    pair.tell(pair.telemetry, "a", ProbeForwarding(PS_PER_S))
    newer, older = Verdicts(20, 4, 5, 6, 19, True), Verdicts(10, 3)
    for verdicts in (newer, older):
        pair.tell(pair.telemetry, "a", KeepVerdicts("a-b", verdicts))
    pair.tell(pair.telemetry, "a", ProbeForwarding(PS_PER_S))
    assert [kept.verdicts for kept in pair.telemetry.take(VerdictsKept)] == [None, newer]

"""One station of a circuit among actors: its device, and its neighbours towards head and tail."""

import pytest

from qstrata.core.address import Address, End
from qstrata.core.time import PS_PER_MS
from qstrata.fabric.bearers import BearerTable
from qstrata.fabric.memory import MemoryFabric
from qstrata.fabric.messages.entanglement import PairExpired, PairTrack, PairWord, Purpose
from qstrata.fabric.messages.qubits import (
    CreatePair,
    FreeCell,
    Heralded,
    Refusal,
    Refused,
    StoreQubit,
    SwapOutcome,
    SwapPairs,
)
from qstrata.fabric.recorder import Recorder
from qstrata.fabric.scope import Directory
from qstrata.kernel.host import Host
from qstrata.kernel.queue import EventQueue
from qstrata.physics.bell import BellState
from qstrata.strata.forwarding.resource.entangler import LinkSide
from qstrata.strata.forwarding.resource.repeater import Hop, RepeaterElement

CIRCUIT = "c"
PSI_PLUS, PSI_MINUS = BellState.PSI_PLUS, BellState.PSI_MINUS


def repeater(site):
    return Address(End.FORWARDING_RES, "d", site, "repeater")


DEVICE = Address(End.WORLD, "d", "m", "memory")
HEAD, TAIL, OWN = repeater("h"), repeater("t"), repeater("m")


class DeliveringEnd(RepeaterElement):
    def __init__(self, *given):
        super().__init__(*given)
        self.pairs = []

    def deliver(self, pair, now):
        self.pairs.append(pair)
        return self.finish(now)


class Scene:
    """Run a station at site m between h and t; `heard` lists what the others were told."""

    def __init__(self, kind=RepeaterElement, head=True, tail=True, cutoff_ps=0):
        self.queue, self.bearers, self.heard = EventQueue(), BearerTable(), []
        channels = {"h-m": ("h", "m"), "m-t": ("m", "t")}
        for name in channels:
            self.bearers.declare(name, "companion", 1000, granted=True)
        directory = Directory(owners={DEVICE: OWN}, channels=channels)
        self.fabric = MemoryFabric(self.queue, self.bearers, Recorder(), directory)
        host = Host(self.queue, self.fabric.send, None, lambda *_: None, lambda *_: None)
        hops = [
            Hop(peer=peer, channel=link, side=LinkSide(link=link, cell=cell, cutoff_ps=cutoff_ps))
            if there
            else None
            for there, peer, link, cell in ((head, HEAD, "h-m", 0), (tail, TAIL, "m-t", 1))
        ]
        for address in (DEVICE, HEAD, TAIL):
            self.fabric.attach(address, lambda message, _, to=address: self.heard.append((to, message)))
        self.element = kind(OWN, self.fabric.port(OWN), DEVICE, CIRCUIT, *hops)
        host.spawn("m", self.element)
        self.fabric.attach(OWN, host.receiver(self.element))
        self.run()

    def run(self, time_ps=2000):
        self.queue.run_until(self.queue.now + time_ps)

    def told(self, to, kind):
        """Return what one of the others was told, and forget it."""
        found = [message for whom, message in self.heard if whom == to and type(message) is kind]
        self.heard = [entry for entry in self.heard if not (entry[0] == to and type(entry[1]) is kind)]
        return found

    def say(self, sender, message, channel=""):
        self.fabric.send(self.fabric.port(sender).bind(OWN, channel), message, "x", self.queue.now)
        self.run()

    def herald(self, pair, link, frame=PSI_PLUS):
        """Answer the create that waits on a link."""
        (create,) = [message for message in self.told(DEVICE, CreatePair) if message.link == link] or [None]
        assert create is not None
        self.say(DEVICE, Heralded(create.instruction, create.cell, pair, frame, self.queue.now))

    def herald_both(self):
        creates = {message.link: message for message in self.told(DEVICE, CreatePair)}
        for link, pair in (("h-m", "left"), ("m-t", "right")):
            given = creates[link]
            self.say(DEVICE, Heralded(given.instruction, given.cell, pair, PSI_PLUS, self.queue.now))
        (swap,) = self.told(DEVICE, SwapPairs)
        return swap

    def track(self, towards_tail, link_pair, pair="far", frame=PSI_MINUS):
        peer, channel = (HEAD, "h-m") if towards_tail else (TAIL, "m-t")
        self.say(peer, PairTrack(CIRCUIT, towards_tail, pair, link_pair, frame), channel)


def test_a_station_asks_for_a_pair_on_each_side_and_swaps_once_it_has_both():
    scene = Scene()
    assert [free.cell for free in scene.told(DEVICE, FreeCell)] == [0, 1]
    swap = scene.herald_both()
    assert (swap.cell, swap.other_cell) == (0, 1)
    assert scene.told(DEVICE, CreatePair) == []
    scene.say(DEVICE, SwapOutcome(swap.instruction, BellState.PHI_MINUS))
    assert [create.link for create in scene.told(DEVICE, CreatePair)] == ["h-m", "m-t"]


@pytest.mark.parametrize("early", [True, False])
def test_a_track_takes_up_the_outcome_and_the_next_frame_whenever_it_comes(early):
    scene = Scene()
    swap = scene.herald_both()
    if early:
        scene.track(True, "left")
        assert scene.told(TAIL, PairTrack) == []
    scene.say(DEVICE, SwapOutcome(swap.instruction, BellState.PHI_MINUS))
    if not early:
        scene.track(True, "left")
    frame = BellState(PSI_MINUS ^ BellState.PHI_MINUS ^ PSI_PLUS)
    assert scene.told(TAIL, PairTrack) == [PairTrack(CIRCUIT, True, "far", "right", frame)]
    scene.track(False, "right")
    assert scene.told(HEAD, PairTrack) == [PairTrack(CIRCUIT, False, "far", "left", frame)]


def test_an_outcome_that_comes_twice_counts_once():
    scene = Scene()
    swap = scene.herald_both()
    for _ in range(2):
        scene.say(DEVICE, SwapOutcome(swap.instruction, BellState.PHI_MINUS))
    assert len(scene.told(DEVICE, CreatePair)) == 2


def test_a_track_of_a_pair_that_is_not_held_goes_back():
    scene = Scene()
    scene.track(True, "unknown")
    assert scene.told(HEAD, PairExpired) == [PairExpired(CIRCUIT, False, "far")]


def test_a_side_that_starts_anew_has_names_as_short_and_takes_a_track_that_comes_again():
    scene = Scene()
    side = scene.element._sides[False]
    length = 0
    for life in range(20):
        scene.herald(f"left{life}", "h-m")
        scene.track(True, f"left{life}")
        side.stop()
        for effect in scene.element.begin(side, scene.queue.now):
            scene.fabric.send(effect.to, effect.message, "x", scene.queue.now)
        scene.run()
        length = length or len(side._id("create"))
    assert len(side._id("create")) <= length + 4
    assert scene.element._tracks == {}
    scene.track(True, "left19")
    assert scene.told(HEAD, PairExpired)[-1] == PairExpired(CIRCUIT, False, "far")


def test_a_pair_beyond_its_cutoff_is_freed_its_track_goes_back_and_the_next_is_asked_for():
    scene = Scene(cutoff_ps=PS_PER_MS)
    scene.told(DEVICE, FreeCell)
    (left, _) = scene.told(DEVICE, CreatePair)
    created = scene.queue.now
    scene.say(DEVICE, Heralded(left.instruction, 0, "left", PSI_PLUS, created))
    (store,) = scene.told(DEVICE, StoreQubit)
    assert store.until_ps == created + PS_PER_MS
    scene.track(True, "left")
    scene.run(PS_PER_MS)
    assert [free.cell for free in scene.told(DEVICE, FreeCell)] == [0]
    assert [create.link for create in scene.told(DEVICE, CreatePair)] == ["h-m"]
    assert scene.told(HEAD, PairExpired) == [PairExpired(CIRCUIT, False, "far")]


def test_a_swap_that_came_too_late_sends_both_tracks_back_and_starts_anew():
    scene = Scene()
    swap = scene.herald_both()
    scene.track(True, "left", "from-head")
    scene.track(False, "right", "from-tail")
    scene.say(DEVICE, Refused(swap.instruction, Refusal.EXPIRED))
    assert scene.told(HEAD, PairExpired) == [PairExpired(CIRCUIT, False, "from-head")]
    assert scene.told(TAIL, PairExpired) == [PairExpired(CIRCUIT, True, "from-tail")]
    assert len(scene.told(DEVICE, CreatePair)) == 2


def test_words_and_expiries_pass_a_station():
    scene = Scene()
    word = PairWord(CIRCUIT, True, "pair", Purpose.BASIS, (1,))
    scene.say(HEAD, word, "h-m")
    expired = PairExpired(CIRCUIT, False, "pair")
    scene.say(TAIL, expired, "m-t")
    assert scene.told(TAIL, PairWord) == [word]
    assert scene.told(HEAD, PairExpired) == [expired]


def test_messages_of_other_circuits_are_passed_over():
    scene = Scene()
    scene.say(HEAD, PairWord("other", True, "pair", Purpose.BASIS, (1,)), "h-m")
    scene.say(HEAD, PairExpired("other", True, "pair"), "h-m")
    scene.say(HEAD, PairTrack("other", True, "pair", "pair", PSI_PLUS), "h-m")
    assert [message for to, message in scene.heard if to in (HEAD, TAIL)] == []


def test_an_end_delivers_when_the_far_ends_track_meets_its_own_pair():
    scene = Scene(DeliveringEnd, head=True, tail=False)
    scene.herald("mine", "h-m", PSI_MINUS)
    (own,) = scene.told(HEAD, PairTrack)
    assert own == PairTrack(CIRCUIT, False, "mine", "mine", PSI_MINUS)
    scene.track(True, "mine", "theirs", PSI_PLUS)
    assert [(pair.name, pair.frame, pair.cell) for pair in scene.element.pairs] == [("theirs", PSI_PLUS, 0)]
    assert len(scene.told(DEVICE, CreatePair)) == 1


def test_an_end_lets_go_of_a_pair_whose_other_side_is_lost():
    scene = Scene(DeliveringEnd, head=True, tail=False)
    scene.herald("mine", "h-m")
    scene.say(HEAD, PairExpired(CIRCUIT, True, "another"), "h-m")
    assert scene.told(DEVICE, CreatePair) == []
    scene.say(HEAD, PairExpired(CIRCUIT, True, "mine"), "h-m")
    assert len(scene.told(DEVICE, CreatePair)) == 1
    assert scene.element.pairs == []


def test_an_end_tracks_again_what_nobody_answers():
    scene = Scene(DeliveringEnd, head=False, tail=True)
    scene.herald("mine", "m-t")
    assert len(scene.told(TAIL, PairTrack)) == 1
    scene.run(200 * PS_PER_MS)
    assert scene.told(TAIL, PairTrack) == [PairTrack(CIRCUIT, True, "mine", "mine", PSI_PLUS)]

"""A station of a virtual circuit as a network runs it: attached to its links, counted, tested at its ends.

What the ends measure of pairs for tests, `pair_tests` says.
"""

from collections import OrderedDict

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Send, Timer
from qstrata.core.randomness import RandomSource
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.attachment import Attach, Attached, Detached, Light
from qstrata.fabric.messages.entanglement import PairChoice, PairWord, Purpose
from qstrata.fabric.messages.forwarding_control import CircuitMarked, MarkCircuit
from qstrata.fabric.messages.qubits import Measured, MeasureQubit, Refused
from qstrata.fabric.messages.samples import ProbeForwarding, SideSample, StationSample
from qstrata.fabric.port import Port
from qstrata.planes import places
from qstrata.planes.beats import next_beat_ps
from qstrata.strata.forwarding.resource.entangler import Entangler
from qstrata.strata.forwarding.resource.pair_distiller import Pumping
from qstrata.strata.forwarding.resource.pair_tests import HEAD, TAIL, PairTests
from qstrata.strata.forwarding.resource.repeater import EndPair, Hop, RepeaterElement

RETRY_PS = 2 * PS_PER_S
"""How often a station asks to be attached where it is not; a pair without the head's word is let go then."""

CHOICES_KEPT = 64
"""The tail remembers the head's word on so many pairs that it does not know yet to be its own."""


class StationFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Say what share of the pairs the ends measure for a test, 0 to 1, and how they are distilled before."""

    test_share: float = 0.0
    pumping: Pumping | None = None


class CircuitStation(RepeaterElement):
    """Be a station of a circuit: ask for pairs over links whose bearers are granted, and tell telemetry.

    At an end pairs are counted; the head chooses a share of them that both ends measure, all of them while
    control suspects an attack, and tells the tail. What is kept is let go.
    """

    def __init__(
        self,
        address: Address,
        port: Port,
        device: Address,
        circuit: str,
        head: Hop | None,
        tail: Hop | None,
        figures: StationFigures,
        random: RandomSource,
    ) -> None:
        super().__init__(address, port, device, circuit, head, tail, figures.pumping)
        self._port = port
        self._termination = port.bind(places.termination(address.domain, address.site))
        self._links = {hop.side.link: self._sides[at] for at, hop in ((False, head), (True, tail)) if hop}
        self._attached_to: dict[str, None] = {}
        self._telemetry: Address | None = None
        self._since_ps = self._period_ps = 0
        self._delivered_count = self._kept_count = 0
        self._last_pair = ""
        self._tests = PairTests(figures.test_share, HEAD if tail is not None else TAIL, random)
        self._suspected = False
        self._serial = -1
        self._choices: OrderedDict[str, bool] = OrderedDict()
        self._undecided: EndPair | None = None
        self._forgotten: EndPair | None = None
        self.on(Attached, self._let_in)
        self.on(Detached, self._shut_out)
        # Attempts in the dark fail by themselves, and control hears of the light from connectivity.
        self.on(Light, lambda message, sender, now: ())
        self.on(Measured, self._measured)
        self.on(MarkCircuit, self._mark)
        self.on(ProbeForwarding, self._probe)

    def start(self, now: int) -> Effects:
        """Ask for the bearers of the station's links; pairs are asked for once they are granted."""
        self._since_ps = now
        return [*(self._retry(now) if self._is_end else ()), *self._attach(now)]

    # --- bearers (T3) ---

    def _attach(self, now: int) -> Effects:
        missing = [link for link in self._links if link not in self._attached_to]
        asked = (Send(self._termination, Attach(link)) for link in missing)
        old, self._forgotten = self._forgotten, self._undecided
        lost = self._undecided is not None and self._undecided is old
        return [Timer(now + RETRY_PS, self._attach), *asked, *(self._let_go(now) if lost else ())]

    def _let_in(self, message: Attached, sender: Address, now: int) -> Effects:
        link = message.bearers.link
        if link not in self._links or link in self._attached_to:
            return ()
        self._attached_to[link] = None
        return self.begin(self._links[link], now)

    def _shut_out(self, message: Detached, sender: Address, now: int) -> Effects:
        if message.link not in self._attached_to:
            return ()
        del self._attached_to[message.link]
        stopped = self._links[message.link].stop()
        return [*stopped, *(self._let_go(now) if self._undecided is not None else ())]

    # --- pairs at the ends ---

    def deliver(self, pair: EndPair, now: int) -> Effects:
        """Count a pair; choose at the head whether it is tested, wait for the head's word at the tail."""
        self._delivered_count += 1
        self._last_pair = pair.name
        if self.is_head:
            is_tested = self._suspected or self._tests.draw()
            return [self.tell_choice(pair.name, is_tested), *self._use(pair, is_tested, now)]
        told = self._choices.pop(pair.name, None)
        if told is None:
            self._undecided = pair
            return ()
        return self._use(pair, told, now)

    def choose(self, choice: PairChoice, now: int) -> Effects:
        """Do as the head says; its word may come before the tail knows that the pair is its own."""
        pair = self._undecided
        if pair is None or pair.name != choice.pair:
            self._choices[choice.pair] = choice.tested
            while len(self._choices) > CHOICES_KEPT:
                self._choices.popitem(last=False)
            return ()
        self._undecided = None
        return self._use(pair, choice.tested, now)

    def _use(self, pair: EndPair, is_tested: bool, now: int) -> Effects:
        if not is_tested:
            self._kept_count += 1
            return self.finish(now)
        direction = self._tests.begin(pair)
        return (Send(self.device, MeasureQubit(self._measurement(pair.name), pair.cell, *direction)),)

    def parted(self, now: int) -> Effects:
        """Wait no more for the head's word on a pair that has no two halves any more."""
        return self._let_go(now) if self._undecided is not None else ()

    def _let_go(self, now: int) -> Effects:
        """Forget a pair on which the head's word is lost."""
        self._undecided = None
        return self.finish(now)

    def _measurement(self, pair: str) -> str:
        return f"{self.address.site}/{self.circuit}/test/{pair}"

    def _measured(self, message: Measured, sender: Address, now: int) -> Effects:
        name = message.instruction.removeprefix(self._measurement(""))
        pair = self._tests.waits_for(name)
        if pair is None:
            return ()
        self.aged(pair.created_ps, now)
        outcome = self._tests.measured(name, message.bit.take()[0])
        effects: list[Effect] = [*self.finish(now, measured=True)]
        if not self.is_head:
            self._tests.forget(name)
            effects.append(self.tell(name, Purpose.BIT, *outcome))
        return effects

    def refused(self, message: Refused, now: int) -> Effects:
        """Go on without a pair that could not be measured."""
        name = message.instruction.removeprefix(self._measurement(""))
        return self.finish(now) if self._tests.forget(name) else ()

    def hear(self, word: PairWord, now: int) -> Effects:
        """Take the tail's outcome of a test; it may come before the own one."""
        if word.purpose is Purpose.BIT:
            self._tests.hear(word.pair, *word.bits)
        return ()

    def _mark(self, message: MarkCircuit, sender: Address, now: int) -> Effects:
        """Keep no pair any more, or keep pairs again; an older word of control's says nothing."""
        if message.serial >= self._serial:
            self._serial, self._suspected = message.serial, message.suspected
        said = CircuitMarked(self._serial, self.address.site, self.circuit, self._suspected)
        return (Send(self._port.bind(sender), said),)

    # --- samples (F8) ---

    def _probe(self, message: ProbeForwarding, sender: Address, now: int) -> Effects:
        beating = self._period_ps > 0
        self._telemetry, self._period_ps = sender, message.period_ps
        return self._sample(now) if beating or not self._period_ps else self._beat(now)

    def _beat(self, now: int) -> Effects:
        if not self._period_ps:
            return ()
        return [Timer(next_beat_ps(str(self.address), self._period_ps, now), self._beat), *self._sample(now)]

    def _sample(self, now: int) -> list[Effect]:
        if self._telemetry is None:
            return []
        sample = StationSample(
            site=self.address.site,
            circuit=self.circuit,
            since_ps=self._since_ps,
            at_ps=now,
            sides=tuple(self._side(side) for side in self._links.values()),
            delivered=self._delivered_count,
            tests=self._tests.counts() if self._is_end and self.is_head else (),
            kept=self._kept_count,
            last_pair=self._last_pair,
            used=self.used,
            age_ps=self.age_ps,
        )
        return [Send(self._port.bind(self._telemetry), sample)]

    def _side(self, side: Entangler) -> SideSample:
        held = (side.held is not None) + self.holds_aside
        return SideSample(side.side.link, side.attempts, side.heralds, side.expired, held)

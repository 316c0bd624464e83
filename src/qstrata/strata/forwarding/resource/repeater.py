"""A repeater of a virtual circuit: swap as soon as both sides hold a pair, and keep track of what is swapped.

Ends send a PairTrack along the circuit for every pair that they hold; each station adds the frame of the next
link pair and its swap's outcome, and passes it on. When a track meets an end's own pair, both ends know
their pair and its frame. A station whose pair has expired sends the track back. The scheme of Kozlowski,
Dahlberg, Wehner, CoNEXT 2020, with the terms of RFC 9340.
"""

from collections import OrderedDict

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Handle, Send, Timer
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.entanglement import PairChoice, PairExpired, PairTrack, PairWord, Purpose
from qstrata.fabric.messages.qubits import DistilOutcome, Done, Heralded, Refused, SwapOutcome, SwapPairs
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.physics.bell import BellState
from qstrata.strata.forwarding.resource.entangler import EndPair, Entangler, HeldPair, LinkSide
from qstrata.strata.forwarding.resource.pair_distiller import PairDistiller, Pumping

__all__ = ["EndPair", "Hop", "RepeaterElement"]

SWAPS_KEPT = 64
"""A station remembers its last so many swaps, for tracks that are on their way."""

RETRY_PS = PS_PER_S // 10
"""An end looks so often whether a track has gone unanswered."""


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a station on a circuit: the neighbour, the channel to it, and the link between."""

    peer: Address
    channel: str
    side: LinkSide


class _Met(msgspec.Struct, frozen=True):
    """The last pair of both ends: the link pair that it was here, and the name that it has at both."""

    pair: str
    name: str


class _Swap:
    """Two link pairs that are being, or have been, swapped; `outcome` is None until it is known."""

    __slots__ = ("left", "outcome", "right")

    def __init__(self, left: HeldPair, right: HeldPair) -> None:
        self.left = left
        self.right = right
        self.outcome: BellState | None = None


class RepeaterElement(Element):
    """Be one station of one circuit; `head` and `tail` are its hops towards either end, None at that end.

    At an end, `deliver` is called with every pair of both ends: override it, the default forgets the pair.
    The next pair is asked for when `finish` has been called. A track without an answer is sent again. With
    `pumping`, pairs are distilled first, and delivered when they have had their rounds.
    """

    def __init__(
        self,
        address: Address,
        port: Port,
        device: Address,
        circuit: str,
        head: Hop | None,
        tail: Hop | None,
        pumping: Pumping | None = None,
    ) -> None:
        super().__init__(address)
        self.circuit = circuit
        self.device: Handle = port.bind(device)
        self._handles = {
            towards_tail: port.bind(hop.peer, hop.channel)
            for towards_tail, hop in ((False, head), (True, tail))
            if hop is not None
        }
        self._sides = {
            towards_tail: Entangler(f"{address.site}/{circuit}", hop.side, self.device, self._got, self._lost)
            for towards_tail, hop in ((False, head), (True, tail))
            if hop is not None
        }
        self._is_end = len(self._sides) == 1
        self._distiller = self._make_distiller(pumping) if pumping is not None and self._is_end else None
        self._delivered: EndPair | None = None
        self._met = _Met("", "")
        self._tracked: HeldPair | None = None
        self._swaps: OrderedDict[str, _Swap] = OrderedDict()
        self._swapping: _Swap | None = None
        self._tracks: dict[str, PairTrack] = {}
        self.used = self.age_ps = 0
        self.on(Heralded, self._heralded)
        self.on(SwapOutcome, self._swapped)
        self.on(Refused, self._refused)
        self.on(Done, self._done)
        self.on(PairTrack, self._track)
        self.on(PairExpired, self._expired)
        self.on(PairWord, self._word)
        self.on(PairChoice, self._choice)

    def _make_distiller(self, pumping: Pumping) -> PairDistiller:
        self.on(DistilOutcome, self._done)
        return PairDistiller(
            f"{self.address.site}/{self.circuit}/distil",
            pumping,
            self.device,
            is_head=self.is_head,
            tell=self.tell,
            kept=self._keep,
            go_on=self._go_on,
        )

    def start(self, now: int) -> Effects:
        """Ask for a pair on every side."""
        asked = [effect for side in self._sides.values() for effect in self.begin(side, now)]
        return [*asked, *(self._retry(now) if self._is_end else ())]

    def begin(self, side: Entangler, now: int) -> Effects:
        """Ask for pairs on one side; an end forgets what it held, tracks that wait are sent again."""
        self._tracks.clear()
        if self._is_end:
            self._delivered = None
        aside = () if self._distiller is None else self._distiller.start(now)
        return [*aside, *side.start(now)]

    # --- for programs at the ends ---

    @property
    def is_head(self) -> bool:
        """Tell whether this is the end that pairs are named after."""
        return False not in self._sides

    @property
    def holds_aside(self) -> bool:
        """Tell whether half of a pair is kept aside to be bettered."""
        return self._distiller is not None and self._distiller.holds

    def deliver(self, pair: EndPair, now: int) -> Effects:
        """Use a pair of both ends."""
        return self.finish(now)

    def hear(self, word: PairWord, now: int) -> Effects:
        """Hear the other end's word on a pair."""
        return ()

    def parted(self, now: int) -> Effects:
        """Learn that a half is missing of a pair that was delivered; a program may have no use for it."""
        return ()

    def choose(self, choice: PairChoice, now: int) -> Effects:
        """Hear at the tail what becomes of a pair."""
        return ()

    def done(self, message: Done, now: int) -> Effects:
        """Learn that an instruction of this program has ended."""
        return ()

    def refused(self, message: Refused, now: int) -> Effects:
        """Learn that an instruction of this program cannot be done."""
        return ()

    def tell(self, pair: str, purpose: Purpose, *bits: int) -> Send:
        """Tell the other end a word on a pair."""
        (towards_tail,) = self._handles
        word = PairWord(self.circuit, towards_tail, pair, purpose, bits)
        return Send(self._handles[towards_tail], word)

    def tell_choice(self, pair: str, tested: bool) -> Send:
        """Tell the tail what becomes of a pair."""
        return Send(self._handles[True], PairChoice(self.circuit, True, pair, tested))

    def aged(self, created_ps: int, now: int) -> None:
        """Count a half that is used now, and how old it is."""
        self.used += 1
        self.age_ps += now - created_ps

    def finish(self, now: int, *, measured: bool = False) -> Effects:
        """Go on to the next pair; `measured` tells that the cell is free already."""
        if self._distiller is None:
            return self._go_on(now, measured)
        return [*(() if measured else (self._distiller.free(),)), *self._go_on(now, True)]

    def _go_on(self, now: int, used: bool) -> Effects:
        (side,) = self._sides.values()
        self._delivered = None
        return side.spent(now) if used else side.release(now)

    def _keep(self, pair: EndPair, now: int) -> Effects:
        self._delivered = pair
        return self.deliver(pair, now)

    # --- link pairs ---

    def _heralded(self, message: Heralded, sender: Address, now: int) -> Effects:
        return [effect for side in self._sides.values() for effect in side.heralded(message, now)]

    def _got(self, pair: HeldPair, now: int) -> Effects:
        if self._is_end:
            return (self._own_track(pair),)
        left, right = self._sides[False].held, self._sides[True].held
        if left is None or right is None:
            return ()
        swap = self._swapping = _Swap(left, right)
        for name in (left.pair, right.pair):
            self._swaps[name] = swap
        while len(self._swaps) > 2 * SWAPS_KEPT:
            self._swaps.popitem(last=False)
        return (Send(self.device, SwapPairs(self._swap_id(swap), left.cell, right.cell)),)

    def _own_track(self, pair: HeldPair) -> Send:
        (towards_tail,) = self._sides
        track = PairTrack(self.circuit, towards_tail, pair.pair, pair.pair, pair.frame)
        return Send(self._handles[towards_tail], track)

    def _retry(self, now: int) -> Effects:
        """Send a track again that was sent before the last retry: a station may have forgotten it."""
        (side,) = self._sides.values()
        pair = side.held if self._delivered is None else None
        old, self._tracked = self._tracked, pair
        again = (self._own_track(pair),) if pair is not None and pair is old else ()
        asked = self._distiller.retry(now) if self._distiller is not None else ()
        return (Timer(now + RETRY_PS, self._retry), *again, *asked)

    def _swap_id(self, swap: _Swap) -> str:
        return f"{self.address.site}/{self.circuit}/swap/{swap.left.pair}/{swap.right.pair}"

    def _lost(self, pair: HeldPair, now: int) -> Effects:
        if self._delivered is not None:
            return self.parted(now) if self._distiller is None else ()
        if self._swapping is not None and not self._is_end:
            return ()
        (side,) = (side for side in self._sides.values() if side.held is pair)
        track = self._tracks.pop(pair.pair, None)
        back = () if track is None else self._send_back(track)
        return [*side.release(now), *back]

    # --- swaps ---

    def _swapped(self, message: SwapOutcome, sender: Address, now: int) -> Effects:
        swap = self._swapping
        if swap is None or message.instruction != self._swap_id(swap):
            return ()
        self._swapping = None
        swap.outcome = message.outcome
        effects: list[Effect] = []
        for pair in (swap.left, swap.right):
            self.aged(pair.created_ps, now)
            track = self._tracks.pop(pair.pair, None)
            if track is not None:
                effects += self._pass_on(track, swap, message.outcome)
        return [*effects, *(effect for side in self._sides.values() for effect in side.spent(now))]

    def _refused(self, message: Refused, sender: Address, now: int) -> Effects:
        """Start anew where a swap came too late for a cut-off; the rest is for programs."""
        swap = self._swapping
        if swap is None or message.instruction != self._swap_id(swap):
            return self._refused_at(message, now)
        self._swapping = None
        effects: list[Effect] = []
        for pair in (swap.left, swap.right):
            self._swaps.pop(pair.pair, None)
            track = self._tracks.pop(pair.pair, None)
            effects += () if track is None else self._send_back(track)
        return [*effects, *(effect for side in self._sides.values() for effect in side.release(now))]

    def _refused_at(self, message: Refused, now: int) -> Effects:
        if self._distiller is not None and self._distiller.refused(message):
            return self._distiller.give_up(now)
        again = [effect for side in self._sides.values() for effect in side.refused(message, now)]
        return again or self.refused(message, now)

    def _done(self, message: Done | DistilOutcome, sender: Address, now: int) -> Effects:
        own = self._distiller.answered(message, now) if self._distiller is not None else ()
        return own or (self.done(message, now) if isinstance(message, Done) else ())

    # --- tracking ---

    def _track(self, message: PairTrack, sender: Address, now: int) -> Effects:
        if message.circuit != self.circuit:
            return ()
        side = self._sides[not message.towards_tail]
        if self._is_end:
            if side.held is None or side.held.pair != message.link_pair:
                return self._send_back(message)
            return self._meet(message, now)
        swap = self._swaps.get(message.link_pair)
        if swap is not None and swap.outcome is not None:
            return self._pass_on(message, swap, swap.outcome)
        if side.held is not None and side.held.pair == message.link_pair:
            self._tracks[message.link_pair] = message
            return ()
        return self._send_back(message)

    def _pass_on(self, track: PairTrack, swap: _Swap, outcome: BellState) -> Effects:
        onward = swap.right if track.towards_tail else swap.left
        frame = BellState(track.frame ^ outcome ^ onward.frame)
        passed = msgspec.structs.replace(track, link_pair=onward.pair, frame=frame)
        return (Send(self._handles[track.towards_tail], passed),)

    def _send_back(self, track: PairTrack) -> Effects:
        back = not track.towards_tail
        return (Send(self._handles[back], PairExpired(self.circuit, back, track.pair)),)

    def _meet(self, track: PairTrack, now: int) -> Effects:
        (side,) = self._sides.values()
        held = side.held
        assert held is not None
        if self._delivered is not None:
            return ()
        name = held.pair if self.is_head else track.pair
        pair = self._delivered = EndPair(name, held.cell, track.frame, held.created_ps)
        self._met = _Met(held.pair, name)
        return self.deliver(pair, now) if self._distiller is None else self._distiller.take(pair, now)

    def _expired(self, message: PairExpired, sender: Address, now: int) -> Effects:
        if message.circuit != self.circuit:
            return ()
        if not self._is_end:
            return self._forward(message, message.towards_tail)
        if message.pair == self._met.pair:
            return self._part(now)
        (side,) = self._sides.values()
        if self._delivered is None and side.held is not None and side.held.pair == message.pair:
            return side.release(now)
        return ()

    def _part(self, now: int) -> Effects:
        """Give up the pair that was met last, of which the other end has no half any more."""
        if self._distiller is not None:
            return self._distiller.part(self._met.name)
        return self.parted(now) if self._delivered is not None else ()

    def _word(self, message: PairWord, sender: Address, now: int) -> Effects:
        if message.circuit != self.circuit:
            return ()
        if not self._is_end:
            return self._forward(message, message.towards_tail)
        distils = self._distiller is not None and message.purpose in (Purpose.DISTILLED, Purpose.DROPPED)
        return self._distiller.hear(message, now) if self._distiller and distils else self.hear(message, now)

    def _choice(self, message: PairChoice, sender: Address, now: int) -> Effects:
        if message.circuit != self.circuit:
            return ()
        return self.choose(message, now) if self._is_end else self._forward(message, message.towards_tail)

    def _forward(self, message: Message, towards_tail: bool) -> Effects:
        return (Send(self._handles[towards_tail], message),)

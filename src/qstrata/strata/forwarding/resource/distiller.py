"""The agent's part that distils raw blocks with its peer: it speaks for `distillation`, and asks again."""

from collections.abc import Callable
from typing import Any

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Handle, Send
from qstrata.core.errors import InputError
from qstrata.core.randomness import RandomSource
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.device import Read, Records
from qstrata.fabric.messages.east_west import (
    Amplify,
    Authenticated,
    Corrected,
    Detected,
    GivenUp,
    ParitiesAsked,
    ParitiesTold,
    Sifting,
    TagKeyGiven,
)
from qstrata.fabric.messages.samples import Stages
from qstrata.physics.counts import Counts
from qstrata.physics.parameters import LinkParameters
from qstrata.strata.forwarding.resource.distillation import (
    NOTHING,
    ReceiverBlock,
    Step,
    TransmitterBlock,
)

OPEN_RAW_BLOCKS_MAX = 8
FINISHED_REMEMBERED = 64

TOLD_BY_PEER = (
    Detected,
    Sifting,
    ParitiesAsked,
    ParitiesTold,
    Corrected,
    Amplify,
    Authenticated,
    GivenUp,
)


class Outcome(msgspec.Struct, frozen=True):
    """What came of a raw block: its bits, of which `tag_keys` keys are set apart; or why it has none."""

    block: int
    bits: KeyMaterial | None
    tag_keys: int
    stages: Stages
    counts: Counts
    finding: str


class _Open:
    """A raw block under way, and when the peer was last heard of it."""

    def __init__(self, end: TransmitterBlock | ReceiverBlock, counts: Counts, now: int) -> None:
        self.end = end
        self.counts = counts
        self.heard_ps = now
        self.waits_for_peer = True


class Distiller:
    """Distil the raw blocks of one link end; `finished(outcome, now)` is called once for each."""

    def __init__(
        self,
        link: str,
        site: str,
        handles: tuple[Handle, Handle, Handle],
        random: RandomSource,
        finished: Callable[[Outcome, int], Effects],
    ) -> None:
        self._link = link
        self._site = site
        self._device, self._peer, self._relay = handles
        self._random = random
        self._finished = finished
        self._open: dict[int, _Open] = {}
        self._past: dict[int, Message | None] = {}
        self._heard_ps = 0

    def begin(
        self, number: int, transmitter: bool, parameters: LinkParameters, counts: Counts, now: int
    ) -> Effects:
        """Begin with a block that closed with these counts of the own device; of too many, one goes."""
        if number in self._open or number in self._past:
            return []
        kind = TransmitterBlock if transmitter else ReceiverBlock
        end = kind(self._link, number, parameters, self._random)
        self._open[number] = block = _Open(end, counts, now)
        effects: list[Effect] = []
        if len(self._open) > OPEN_RAW_BLOCKS_MAX:
            oldest = next(iter(self._open))
            effects += self._act(oldest, Step(given_up="too many blocks wait to be distilled"), now)
        return [*effects, *self._again(number, block)]

    def holds(self, number: int) -> bool:
        """Say whether a block is under way."""
        return number in self._open

    def end(self) -> None:
        """Forget all blocks: the link is taken away."""
        for block in self._open.values():
            block.end.wipe()
        self._open.clear()

    def retry(self, now: int, patience_ps: int) -> Effects:
        """Ask again for what was not answered, and give up what the peer has forgotten."""
        effects: list[Effect] = []
        for number, block in list(self._open.items()):
            if now - block.heard_ps >= patience_ps and self._heard_ps >= block.heard_ps + patience_ps:
                effects += self._act(number, Step(given_up="the peer speaks of other blocks alone"), now)
            else:
                effects += self._again(number, block)
        return effects

    def unanswered(self, now: int, patience_ps: int) -> int | None:
        """Return the first block that the peer has left without an answer for so long, if any."""
        for number, block in self._open.items():
            if block.waits_for_peer and now - block.heard_ps >= patience_ps:
                return number
        return None

    def _again(self, number: int, block: _Open) -> Effects:
        end = block.end
        if isinstance(end, ReceiverBlock):
            if end.needs_records:
                return [self._read(number, b"")]
        elif end.detected is not None and end.again() is NOTHING:
            return [self._read(number, end.detected.positions)]
        return self._sends(end.again())

    def _read(self, number: int, positions: bytes) -> Send:
        return Send(self._device, Read(f"{self._site}/{self._link}/records/{number}", number, 0, positions))

    def recorded(self, message: Records, sender: Address, now: int) -> Effects:
        """Go on with the records that the own device gave."""
        block = self._open.get(message.block)
        if block is None:
            return []
        return self._attempt(message.block, lambda: block.end.take_records(message), now)

    def lost(self, number: int, now: int) -> Effects:
        """Give up a block that the own device does not hold."""
        if number not in self._open:
            return []
        return self._act(number, Step(given_up="the device does not hold its records"), now)

    def given(self, message: TagKeyGiven, sender: Address, now: int) -> Effects:
        """Go on with the key of the tags."""
        block = self._open.get(message.block)
        if block is None:
            return []
        return self._attempt(message.block, lambda: block.end.sign(message), now)

    def heard(self, message: Any, sender: Address, now: int) -> Effects:
        """Follow what the peer says of a block."""
        self._heard_ps = now
        number: int = message.block
        block = self._open.get(number)
        if block is None:
            return self._of_the_past(message)
        block.heard_ps = now
        if isinstance(message, GivenUp):
            return self._act(number, Step(given_up=f"the peer gave it up: {message.reason}"), now, tell=False)
        return self._attempt(number, lambda: self._follow(block, message), now)

    def _of_the_past(self, message: Any) -> Effects:
        if message.block not in self._past or isinstance(message, GivenUp):
            return []
        answer = self._past[message.block]
        if isinstance(answer, Authenticated) and not isinstance(message, Amplify):
            return []
        if isinstance(answer, Amplify) and not isinstance(message, Detected):
            return []
        if isinstance(answer, Authenticated):
            return [Send(self._peer, answer)]
        return [Send(self._peer, GivenUp(self._link, message.block, "this end is done with it"))]

    def _follow(self, block: _Open, message: Any) -> Step:
        end = block.end
        step: Step | None = None
        if isinstance(end, TransmitterBlock):
            if isinstance(message, Detected):
                step = end.hear_detected(message)
            elif isinstance(message, ParitiesAsked):
                step = end.answer(message)
            elif isinstance(message, Corrected):
                step = end.compare(message)
            elif isinstance(message, Authenticated):
                step = end.finish(message)
        elif isinstance(message, Sifting):
            step = end.hear_sifting(message)
        elif isinstance(message, ParitiesTold):
            step = end.hear_parities(message)
        elif isinstance(message, Amplify):
            step = end.hear_amplify(message)
        if step is None:
            raise InputError(f"{type(message).__name__} is not for this end of the link")
        return step

    def _attempt(self, number: int, act: Callable[[], Step], now: int) -> Effects:
        try:
            step = act()
        except InputError as error:
            step = Step(given_up=str(error))
        return self._act(number, step, now)

    def _sends(self, step: Step) -> list[Effect]:
        effects: list[Effect] = []
        if step.to_peer is not None:
            effects.append(Send(self._peer, step.to_peer))
        if step.to_relay is not None:
            effects.append(Send(self._relay, step.to_relay))
        return effects

    def _act(self, number: int, step: Step, now: int, *, tell: bool = True) -> Effects:
        block = self._open[number]
        if step is not NOTHING:
            block.waits_for_peer = step.to_relay is None
        effects = self._sends(step)
        if step.read is not None:
            effects.append(self._read(number, step.read))
        if step.distilled is None and not step.given_up:
            return effects
        if step.given_up and tell:
            effects.append(Send(self._peer, GivenUp(self._link, number, step.given_up)))
        del self._open[number]
        # What was said last tells an end that finished from one that gave up.
        last = step.to_peer or block.end.again().to_peer
        self._past[number] = last if step.distilled is not None else None
        if len(self._past) > FINISHED_REMEMBERED:
            del self._past[next(iter(self._past))]
        block.end.wipe()
        bits, tag_keys = (step.distilled.bits, step.distilled.tag_keys) if step.distilled else (None, 0)
        counts = block.end.counts or block.counts
        outcome = Outcome(number, bits, tag_keys, block.end.stages, counts, step.given_up)
        return [*effects, *self._finished(outcome, now)]

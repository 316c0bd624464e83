"""The agent's part that distils raw blocks with its peer: it speaks for the ends of blocks, and asks again.

What is heavy is done on threads: each step of a block is a job that has the end to itself, joined at the
instant that `processing` declares. Meanwhile this part knows of the block what the last step gave it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from qstrata.core.address import Address
from qstrata.core.effects import Computation, Effect, Effects, Handle, Job, Send, WorkDone
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
from qstrata.physics.postprocessing.verification import POINT_BYTES
from qstrata.strata.forwarding.resource import processing
from qstrata.strata.forwarding.resource.distillation import NOTHING, QUESTION_BYTES, Step
from qstrata.strata.forwarding.resource.processing import RawEnd, Turn, Turned
from qstrata.strata.forwarding.resource.receiver_block import ReceiverBlock
from qstrata.strata.forwarding.resource.transmitter_block import TransmitterBlock

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
    """A raw block under way: its end unless a job has it, and what is known of it.

    `reading` are the positions whose records are still to be read, empty for all; `heard_ps` is when the
    peer spoke last of it, or the last job on it ended.
    """

    def __init__(self, end: RawEnd, counts: Counts, now: int) -> None:
        self.end: RawEnd | None = end
        self.turn: Turn | None = None
        self.clicks = counts.detections
        self.counts = counts
        self.stages = end.stages
        self.said = NOTHING
        self.reading: bytes | None = None if isinstance(end, TransmitterBlock) else b""
        self.heard_ps = now
        self.waits_for_peer = True

    def patience_ps(self, patience_ps: int) -> int:
        """Return how long the peer may be silent, whose longest step takes a while too."""
        key_bits = self.stages.sifted_bits
        if not key_bits:
            return patience_ps + processing.sifting_ps(self.clicks)
        return patience_ps + processing.amplifying_ps(self.clicks, key_bits)

    def give_up(self) -> None:
        """Overwrite the key, or let the job that has it drop it."""
        if self.turn is not None:
            self.turn.unwanted = True
        if self.end is not None:
            self.end.wipe()


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
        end: RawEnd
        if transmitter:
            end = TransmitterBlock(self._link, number, parameters)
        else:
            end = ReceiverBlock(self._link, number, parameters, self._random.bytes(POINT_BYTES))
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
            block.give_up()
        self._open.clear()

    def retry(self, now: int, patience_ps: int) -> Effects:
        """Ask again for what was not answered, and give up what the peer has forgotten."""
        effects: list[Effect] = []
        for number, block in list(self._open.items()):
            until_ps = block.heard_ps + block.patience_ps(patience_ps)
            if block.turn is None and now >= until_ps and self._heard_ps >= until_ps:
                effects += self._act(number, Step(given_up="the peer speaks of other blocks alone"), now)
            else:
                effects += self._again(number, block)
        return effects

    def unanswered(self, now: int, patience_ps: int) -> int | None:
        """Return the first block that the peer has left without an answer for so long, if any."""
        for number, block in self._open.items():
            waits = block.turn is None and block.waits_for_peer
            if waits and now - block.heard_ps >= block.patience_ps(patience_ps):
                return number
        return None

    def _again(self, number: int, block: _Open) -> list[Effect]:
        if block.turn is not None:
            return []
        return self._sends(block.said) if block.reading is None else [self._read(number, block.reading)]

    def _read(self, number: int, positions: bytes) -> Send:
        return Send(self._device, Read(f"{self._site}/{self._link}/records/{number}", number, 0, positions))

    def recorded(self, message: Records, sender: Address, now: int) -> Effects:
        """Go on with the records that the own device gave."""
        block = self._open.get(message.block)
        if block is None or block.end is None or block.reading is None:
            return []
        block.reading = None
        took_ps = processing.sifting_ps(block.clicks)
        return self._work(message.block, block, partial(block.end.take_records, message), took_ps, now)

    def lost(self, number: int, now: int) -> Effects:
        """Give up a block that the own device does not hold."""
        block = self._open.get(number)
        if block is None or block.reading is None:
            return []
        return self._act(number, Step(given_up="the device does not hold its records"), now)

    def given(self, message: TagKeyGiven, sender: Address, now: int) -> Effects:
        """Go on with the key of the tags."""
        block = self._open.get(message.block)
        if block is None or block.end is None or block.said.to_relay is None:
            return []
        drawn = self._random.bytes(block.said.draw_bytes) if message.key else b""
        # The relay wipes what it gave as soon as the block is given up.
        given = msgspec.structs.replace(message, bits=message.bits.copy())
        took_ps = processing.sifting_ps(block.clicks)
        if isinstance(block.end, ReceiverBlock):
            took_ps = processing.amplifying_ps(block.clicks, block.stages.sifted_bits)
        return self._work(message.block, block, partial(block.end.sign, given, drawn), took_ps, now)

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
        if block.end is None:
            # What is being worked on answers this too, or the peer asks again.
            return []
        try:
            act, took_ps = _following(block, block.end, message)
        except InputError as error:
            return self._act(number, Step(given_up=str(error)), now)
        return self._work(number, block, act, took_ps, now)

    def _work(
        self, number: int, block: _Open, act: Callable[[], Step], took_ps: int, now: int
    ) -> list[Effect]:
        """Have a step taken on a thread, which has the end of the block meanwhile."""
        assert block.end is not None
        block.turn, block.end = Turn(block.end, act), None
        work = Computation(topic=f"distillation {self._link}", turn=block.turn)
        return [Job(work, now + took_ps, partial(self._joined, number, block.turn))]

    def _joined(self, number: int, turn: Turn, done: WorkDone, now: int) -> Effects:
        block, turned = self._open.get(number), done.made
        if block is None or block.turn is not turn:
            (turned or turn).wipe()
            return []
        block.turn, block.heard_ps = None, now
        if not isinstance(turned, Turned):
            turn.wipe()
            return self._act(number, Step(given_up=f"its work was not done: {done.failure}"), now)
        block.end, block.said, block.stages = turned.end, turned.said, turned.stages
        block.counts = turned.counts or block.counts
        if turned.step.read is not None:
            block.reading = turned.step.read
        return self._act(number, turned.step, now)

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
        last = step.to_peer or block.said.to_peer
        self._past[number] = last if step.distilled is not None else None
        if len(self._past) > FINISHED_REMEMBERED:
            del self._past[next(iter(self._past))]
        block.give_up()
        bits, tag_keys = (step.distilled.bits, step.distilled.tag_keys) if step.distilled else (None, 0)
        outcome = Outcome(number, bits, tag_keys, block.stages, block.counts, step.given_up)
        return [*effects, *self._finished(outcome, now)]


def _following(block: _Open, end: RawEnd, message: Any) -> tuple[Callable[[], Step], int]:
    """Return the step that follows a word of the peer, and how long it takes; InputError for none."""
    key_bits = block.stages.sifted_bits
    if isinstance(end, TransmitterBlock):
        match message:
            case Detected():
                return partial(end.hear_detected, message), processing.sifting_ps(block.clicks)
            case ParitiesAsked():
                asked = min(key_bits, sum(map(len, message.questions)) // QUESTION_BYTES)
                return partial(end.answer, message), processing.round_ps(key_bits, asked)
            case Corrected():
                return partial(end.compare, message), processing.comparing_ps(key_bits)
            case Authenticated():
                return partial(end.finish, message), processing.amplifying_ps(block.clicks, key_bits)
    else:
        match message:
            case Sifting():
                return partial(end.hear_sifting, message), processing.sifting_ps(block.clicks)
            case ParitiesTold():
                told = min(key_bits, 8 * sum(map(len, message.parities)))
                return partial(end.hear_parities, message), processing.round_ps(key_bits, told)
            case Amplify():
                return partial(end.hear_amplify, message), processing.STEP_PS
    raise InputError(f"{type(message).__name__} is not for this end of the link")

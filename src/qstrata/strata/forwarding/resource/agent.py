"""The agent of one link end (the draft's KMA): it runs the device and distils blocks of counts.

It is stateless: the device holds closed blocks until they are discarded, the relay of its site
acknowledges what it has durably taken over, and everything in between is asked again by id.
"""

from typing import Any

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.effects import Effect, Effects, Send, Timer
from qstrata.core.randomness import RandomSource, SystemRandom
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.attachment import Attach, Attached, Detached, Light
from qstrata.fabric.messages.connectivity_control import LinkBearers
from qstrata.fabric.messages.device import (
    Bits,
    BlockClosed,
    CountsReport,
    DeviceFault,
    Discard,
    Measure,
    NothingToRead,
    PrepareAndSend,
    Read,
    Records,
    Started,
    Tick,
)
from qstrata.fabric.messages.east_west import BlockLost, Distil, HandOver, HandOverDone, TagKeyGiven
from qstrata.fabric.messages.forwarding_control import (
    ActivateLink,
    AgentHello,
    DeactivateLink,
    LinkStatus,
    ReportResources,
)
from qstrata.fabric.messages.samples import (
    BlockSample,
    KeepVerdicts,
    LinkFault,
    LinkSample,
    ProbeForwarding,
    Verdicts,
    VerdictsKept,
)
from qstrata.fabric.port import Port
from qstrata.kernel.element import Element
from qstrata.physics.parameters import decoy
from qstrata.physics.tallies import Tally, as_counts
from qstrata.strata.forwarding.resource.distillation import TAG_KEYS_KEPT, tag_keys_of
from qstrata.strata.forwarding.resource.distiller import TOLD_BY_PEER, Distiller, Outcome
from qstrata.strata.forwarding.resource.open_block import OpenBlock, distilled_block

OPEN_BLOCKS_MAX = 8
PROVISIONED = 0
OTHER_HALF = -1
"""A provisioned block goes into the pools in two halves of these numbers, so that each end owns one."""
ANSWERED_BLOCKS_KEPT = 16
BLOCK_KEY_MAX_BITS = 8_000_000
"""A block gives so much key at most, a quarter of a pool: both ends own blocks in a pool that is full."""


class AgentFigures(msgspec.Struct, frozen=True):
    """The agent's periods in picoseconds: reports, retries, and when a silent peer is an alarm."""

    tick_ps: int = PS_PER_S
    retry_ps: int = 2 * PS_PER_S
    silent_ps: int = 5 * PS_PER_S


class AgentElement(Element):
    """Run one end of one link; `controller` is forwarding.ctl, `device` the own device in the world."""

    def __init__(
        self,
        address: Address,
        port: Port,
        link: str,
        peer: Address,
        channel: str,
        device: Address,
        controller: Address,
        figures: AgentFigures | None = None,
        random: RandomSource | None = None,
    ) -> None:
        super().__init__(address)
        self._link = link
        self._channel = channel
        self._port = port
        self._figures = figures or AgentFigures()
        site = address.site
        self._peer = port.bind(peer, channel)
        self._device = port.bind(device)
        self._controller = port.bind(controller)
        self._relay = port.bind(Address(End.FORWARDING_RES, address.domain, site, "relay"))
        self._termination = port.bind(Address(End.CONNECTIVITY_RES, address.domain, site, "termination"))
        self._bearers: LinkBearers | None = None
        self._active: ActivateLink | None = None
        self._started = ""
        self._run = ""
        self._open: dict[int, OpenBlock] = {}
        self._answers: dict[int, Tally] = {}
        self._telemetry: Address | None = None
        self._verdicts: Verdicts | None = None
        self._light = True
        self._silent = False
        self._failed = False
        self._refused = False
        handles = self._device, self._peer, self._relay
        self._distiller = Distiller(link, site, handles, random or SystemRandom(), self._finished)
        self._register()

    def _register(self) -> None:
        for kind, handler in (
            (Attached, self._attached),
            (Detached, self._detached),
            (Light, self._lit),
            (ActivateLink, self._activate),
            (DeactivateLink, self._deactivate),
            (ReportResources, self._reported),
            (ProbeForwarding, self._probe),
            (KeepVerdicts, self._keep),
            (Started, self._on_started),
            (CountsReport, self._counted),
            (BlockClosed, self._closed),
            (DeviceFault, self._hurt),
            (Distil, self._distil),
            (Bits, self._read),
            (NothingToRead, self._nothing),
            (HandOverDone, self._handed_over),
            (Records, self._distiller.recorded),
            (TagKeyGiven, self._distiller.given),
        ):
            self.on(kind, handler)
        for told in TOLD_BY_PEER:
            self.on(told, self._told)

    def start(self, now: int) -> Effects:
        """Say hello, ask for the link's bearers, and begin to retry what stays unanswered."""
        return self._retry(now)

    def end(self) -> None:
        """Forget what is not in the pool yet: the link is taken away."""
        for block in self._open.values():
            if block.bits is not None:
                block.bits.wipe()
        self._open.clear()
        self._distiller.end()

    def _retry(self, now: int) -> Effects:
        effects: list[Effect] = [Timer(now + self._figures.retry_ps, self._retry)]
        if self._bearers is None:
            effects.append(Send(self._termination, Attach(self._link)))
        if self._active is None:
            effects.append(Send(self._controller, AgentHello(self.address.site, self._link)))
        if self._run and self._started != self._run:
            effects += self._instruct()
        for number, block in list(self._open.items()):
            effects += self._push(number, block, now)
        effects += self._distiller.retry(now, self._figures.silent_ps)
        unanswered = self._distiller.unanswered(now, self._figures.silent_ps)
        return effects if unanswered is None else [*effects, *self._fall_silent(unanswered, now)]

    def _attached(self, message: Attached, sender: Address, now: int) -> Effects:
        if message.bearers.link != self._link:
            return []
        self._bearers = message.bearers
        return self._begin(now)

    def _detached(self, message: Detached, sender: Address, now: int) -> Effects:
        if message.link != self._link:
            return []
        self._bearers = None
        return self._stop(now)

    def _activate(self, message: ActivateLink, sender: Address, now: int) -> Effects:
        self._active = message
        return [*self._begin(now), self._status()]

    def _deactivate(self, message: DeactivateLink, sender: Address, now: int) -> Effects:
        self._active = None
        return self._stop(now)

    def _begin(self, now: int) -> Effects:
        if self._bearers is None or self._active is None or self._run:
            return []
        self._run = f"{self.address.site}/{self._link}/run/{now}"
        return self._instruct()

    def _instruct(self) -> Effects:
        transmitter = self._active is not None and self._active.transmitter
        go = PrepareAndSend(self._run) if transmitter else Measure(self._run)
        tick = Tick(f"{self._run}/tick", self._figures.tick_ps)
        return [Send(self._device, tick), Send(self._device, go)]

    def _stop(self, now: int) -> Effects:
        if not self._run:
            return []
        stop = Discard(f"{self._run}/stop", -1)
        self._run = ""
        return [Send(self._device, stop)]

    def _on_started(self, message: Started, sender: Address, now: int) -> Effects:
        if message.instruction == self._run and self._started != self._run:
            self._started = self._run
            return [self._status()]
        return []

    def _status(self) -> Send:
        status = "dark" if not self._light else "silent" if self._silent else "active"
        status = "failed" if self._failed and status == "active" else status
        if self._started != self._run or not self._run:
            status = "starting"
        return Send(self._controller, LinkStatus(self.address.site, self._link, status))

    def _reported(self, message: ReportResources, sender: Address, now: int) -> Effects:
        hello = AgentHello(self.address.site, self._link)
        return [Send(self._controller, hello), self._status()]

    def _lit(self, message: Light, sender: Address, now: int) -> Effects:
        if message.link != self._link or self._bearers is None:
            return []
        if message.bearer == self._bearers.fibre:
            self._light = message.up
            return [self._status()]
        return []

    def _probe(self, message: ProbeForwarding, sender: Address, now: int) -> Effects:
        self._telemetry = sender
        return [Send(self._port.bind(sender), VerdictsKept(self._link, self._verdicts))]

    def _keep(self, message: KeepVerdicts, sender: Address, now: int) -> Effects:
        """Keep the newest verdicts for telemetry, which forgets them when it starts anew."""
        if self._verdicts is None or message.verdicts.at_ps >= self._verdicts.at_ps:
            self._verdicts = message.verdicts
        return []

    def _counted(self, message: CountsReport, sender: Address, now: int) -> Effects:
        sample = LinkSample(self.address.site, self._link, now, message.block, message.counts)
        return self._to_telemetry(sample)

    def _to_telemetry(self, sample: LinkSample | BlockSample | LinkFault) -> Effects:
        return [Send(self._port.bind(self._telemetry), sample)] if self._telemetry is not None else []

    def _hurt(self, message: DeviceFault, sender: Address, now: int) -> Effects:
        fault = self._fault(f"device/{message.kind}", message.raised, message.finding, now)
        if message.kind != "failed":
            return fault
        self._failed = message.raised
        return [self._status(), *fault]

    def _fault(self, channel: str, raised: bool, finding: str, now: int) -> Effects:
        return self._to_telemetry(LinkFault(self.address.site, self._link, now, channel, raised, finding))

    def _closed(self, message: BlockClosed, sender: Address, now: int) -> Effects:
        if message.block in self._open:
            return []
        if message.raw and not message.provisioned_bits:
            active = self._active
            if active is None:
                return []
            return self._distiller.begin(
                message.block, active.transmitter, decoy(active.parameters), as_counts(message.counts), now
            )
        block = OpenBlock(message.counts, message.provisioned_bits, now)
        if message.raw:
            block.tag_keys = tag_keys_of(message.provisioned_bits // 2, TAG_KEYS_KEPT)
        block.length = block.length or message.distilled_bits
        self._open[message.block] = block
        effects: list[Effect] = []
        if len(self._open) > OPEN_BLOCKS_MAX:
            effects += self._lose(next(iter(self._open)))
        return [*effects, *self._push(message.block, block, now, first=True)]

    def _push(self, number: int, block: OpenBlock, now: int, first: bool = False) -> Effects:
        if block.bits is not None:
            other = self._open.get(OTHER_HALF) if number == PROVISIONED else None
            return [self._hand_over(number, block)] if other is None else self._push(OTHER_HALF, other, now)
        if block.length:
            return [Send(self._device, self._read_instruction(number, block))]
        if not first and now - block.since_ps >= self._figures.silent_ps:
            return [self._ask(number, block), *self._fall_silent(number, now)]
        return [self._ask(number, block)]

    def _fall_silent(self, number: int, now: int) -> Effects:
        if self._silent:
            return []
        self._silent = True
        finding = f"no answer to block {number} on the distillation channel"
        return [self._status(), *self._fault(self._channel, True, finding, now)]

    def _ask(self, number: int, block: OpenBlock) -> Send:
        return Send(self._peer, Distil(self._link, number, block.counts, False))

    def _distil(self, message: Distil, sender: Address, now: int) -> Effects:
        effects = list(self._heard(now))
        block = self._open.get(message.block)
        own = block.counts if block is not None else self._answers.get(message.block)
        if own is None:
            return effects
        if not message.answer:
            effects.append(Send(self._peer, Distil(self._link, message.block, own, True)))
        if block is not None and not block.length:
            effects += self._estimate(message.block, block, message.counts, now)
        return effects

    def _heard(self, now: int) -> Effects:
        if not self._silent:
            return []
        self._silent = False
        return [self._status(), *self._fault(self._channel, False, "the peer is heard again", now)]

    def _estimate(self, number: int, block: OpenBlock, peer: Tally, now: int) -> Effects:
        if self._active is None:
            return []
        link = self._active.parameters
        estimate = link.protocol.key_length(block.counts, link)
        length = min(estimate.length_bits, BLOCK_KEY_MAX_BITS) // 8 * 8 if peer == block.counts else 0
        block.leakage = int(estimate.leakage_bits)
        block.estimate_qber = estimate.qber or 0.0
        self._answer_later(number, block.counts)
        if not length:
            sample = self._block_sample(number, block, 0, now)
            return [*self._lose(number), *self._to_telemetry(sample)]
        block.length = length
        return [Send(self._device, self._read_instruction(number, block))]

    def _answer_later(self, number: int, counts: Tally) -> None:
        self._answers[number] = counts
        if len(self._answers) > ANSWERED_BLOCKS_KEPT:
            del self._answers[next(iter(self._answers))]

    def _read_instruction(self, number: int, block: OpenBlock) -> Read:
        return Read(f"{self.address.site}/{self._link}/read/{number}", number, block.length)

    def _read(self, message: Bits, sender: Address, now: int) -> Effects:
        block = self._open.get(message.block)
        if block is None or block.bits is not None:
            return []
        block.bits = message.bits
        if block.provisioned:
            self._open[OTHER_HALF] = block.halve(now)
        return self._push(message.block, block, now)

    def _hand_over(self, number: int, block: OpenBlock) -> Send:
        assert block.bits is not None
        bearer = self._bearers.fibre if self._bearers is not None else ""
        qber_ppm = round(block.estimate_qber * 1e6)
        handed = HandOver(self._link, number, block.bits, bearer, qber_ppm, block.provisioned, block.tag_keys)
        return Send(self._relay, handed)

    def _nothing(self, message: NothingToRead, sender: Address, now: int) -> Effects:
        lost = self._lose(message.block) if message.block in self._open else []
        return [*lost, *self._distiller.lost(message.block, now)]

    def _lose(self, number: int) -> Effects:
        del self._open[number]
        discard = Discard(f"{self.address.site}/{self._link}/discard/{number}", number)
        return [Send(self._device, discard), Send(self._relay, BlockLost(self._link, number))]

    def _handed_over(self, message: HandOverDone, sender: Address, now: int) -> Effects:
        block = self._open.pop(message.block, None)
        if block is None:
            return []
        block.finding = message.refused or block.finding
        sample = self._block_sample(message.block, block, 0 if message.refused else block.length, now)
        pooled = self._pooled(message.refused, now)
        if block.bits is not None:
            block.bits.wipe()
        if message.block == OTHER_HALF:
            first = self._open.get(PROVISIONED)
            onward = self._push(PROVISIONED, first, now) if first is not None else []
            return [*onward, *pooled, *self._to_telemetry(sample)]
        discard = Discard(f"{self.address.site}/{self._link}/discard/{message.block}", message.block)
        return [Send(self._device, discard), *pooled, *self._to_telemetry(sample)]

    def _pooled(self, refused: str, now: int) -> Effects:
        """Tell of a block that never fits into the pool, until one does."""
        if bool(refused) == self._refused:
            return []
        self._refused = bool(refused)
        return self._fault("pool", self._refused, refused or "blocks fit into the pool again", now)

    def _block_sample(self, number: int, block: OpenBlock, length: int, now: int) -> BlockSample:
        rate_hz = self._active.parameters.pulse_rate_hz if self._active is not None else 0.0
        return block.sample(self.address.site, self._link, number, length, rate_hz, now)

    # --- raw blocks: the agents distil them ---

    def _told(self, message: Any, sender: Address, now: int) -> Effects:
        return [*self._heard(now), *self._distiller.heard(message, sender, now)]

    def _finished(self, outcome: Outcome, now: int) -> Effects:
        number = outcome.block
        self._open[number] = block = distilled_block(outcome, now)
        if outcome.bits is not None:
            return self._push(number, block, now)
        return [*self._lose(number), *self._to_telemetry(self._block_sample(number, block, 0, now))]

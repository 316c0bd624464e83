"""A link whose two devices make key: it follows their instructions and tells what its engine gave."""

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Handle, Job, Send, Timer, WorkDone
from qstrata.core.errors import InternalError
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import to_seconds
from qstrata.fabric.messages.base import Message
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
    Started,
    Tick,
)
from qstrata.physics.fibre import propagation_delay_ps
from qstrata.twin.blocks import BlockHead, HeldBlocks
from qstrata.twin.contract import LinkEngine
from qstrata.twin.faults import FaultBook
from qstrata.twin.native import CLICKS, NativeEngine
from qstrata.twin.plan import LinkPlan
from qstrata.twin.raw import Reading, reading, reading_ps
from qstrata.twin.sampling import disturbed

PROVISIONED = 0
"""Provisioned key is block 0; no physics made it."""

STOP = -1
"""`Discard` of this block number stops a device."""

INSTRUCTIONS_REMEMBERED = 64
"""A device knows its last so many starts and stops again, so that one that comes twice is done once."""


class Binder(Protocol):
    """What the twin needs of a port: a handle to another element, bound once."""

    def bind(self, to: Address, channel: str = "", meant: str = "") -> Handle:
        """Return the handle; raises RefusedError where the figure or the scope forbids it."""
        ...


class _Device:
    """One link end: on or off, asked for reports or not, and the starts and stops it knows again."""

    def __init__(self, end: int, agent: Address, port: Binder) -> None:
        self.end = end
        self.on = False
        self.ticking = False
        self._port = port
        self._agent = agent
        self._known: deque[str] = deque(maxlen=INSTRUCTIONS_REMEMBERED)

    def send(self, message: object) -> Send:
        """Send a message to the agent that owns the device."""
        return Send(self._port.bind(self._agent), message)

    def is_new(self, instruction: str) -> bool:
        """Tell whether an instruction comes for the first time, and remember it."""
        if instruction in self._known:
            return False
        self._known.append(instruction)
        return True


class KeyLink:
    """One link that makes key: its engine, the blocks that its devices hold, and who is told what when.

    `ports` maps the addresses of both devices to their ports; `processing_ps` is the time from the last
    pulse of a block to its announcement, propagation excluded; `period_ps` how often devices report.
    """

    kinds = (PrepareAndSend, Measure, Tick, Read, Discard)

    def __init__(
        self,
        plan: LinkPlan,
        engine: LinkEngine,
        ports: Mapping[Address, Binder],
        processing_ps: int,
        period_ps: int,
    ) -> None:
        self.plan = plan
        self.engine = engine
        self.owners = tuple(end.agent for end in plan.ends)
        self.bearers = plan.bearers
        self._blocks = HeldBlocks()
        self._nothing = plan.parameters.protocol.nothing
        self._devices = tuple(
            _Device(number, end.agent, ports[end.device]) for number, end in enumerate(plan.ends)
        )
        self._propagation_ps = propagation_delay_ps(plan.length_km)
        self._announce_ps = self._propagation_ps + processing_ps
        # Outdates the timer that waits for the end of a window.
        self._token = 0
        # Outdates the timer of the reports that say only that the devices run.
        self._run = 0
        self._beat_ps = period_ps if engine.capabilities().off_loop else 0
        self._open_block = plan.first_block
        self._over = False
        self._faults: dict[str, str] = {}
        if plan.initial_key_bits:
            self._blocks.put(BlockHead(0, self._nothing, plan.initial_key_bits), engine.bits(0))

    def instruct(self, message: Message, sender: Address, now: int) -> Effects:
        """Follow an instruction of the agent that owns one of the devices."""
        device = self._devices[self.owners.index(sender)]
        follow: Any = {
            PrepareAndSend: partial(self._switch_on, 0),
            Measure: partial(self._switch_on, 1),
            Tick: self._tick,
            Read: self._read,
            Discard: self._discard,
        }[type(message)]
        effects: Effects = follow(message, device, now)
        return effects

    def follow(self, bearer: str, faults: FaultBook, now: int) -> Effects:
        """Let pulses follow the faults that stand on the fibre."""
        if bearer != self.plan.fibre:
            return ()
        before_ps = self.engine.next_ps
        self.engine.change(disturbed(self.plan.parameters, bearer, faults), now)
        if not self.engine.running or self.engine.next_ps == before_ps:
            return ()
        self._token += 1
        return (self._next_window(),)

    def loss_db(self, bearer: str) -> float:
        """Return the loss of the healthy fibre, 0 for a channel."""
        return self.plan.parameters.loss_db if bearer == self.plan.fibre else 0.0

    @property
    def next_block(self) -> int:
        """Return the first block number that it has not begun."""
        return self._open_block + 1

    def succeed(self, before: "KeyLink", faults: FaultBook, now: int) -> Effects:
        """Take the place of a link that differs in its figures: devices stay on, and provisioned key stays.

        Blocks under way are lost.
        """
        self._devices = before._devices
        self._blocks.take_over(before._blocks, PROVISIONED)
        before.end()
        self.follow(self.plan.fibre, faults, now)
        return self._begin(now)

    def coarsen(self, period_ps: int, why: str, now: int) -> Effects:
        """Report every `period_ps` from now on, and tell the agents why less is told than was asked for."""
        effects = list(self._tell("coarse", why))
        if isinstance(self.engine, NativeEngine):
            self.engine.report_every(period_ps, now)
            if self.engine.running:
                self._token += 1
                effects.append(self._next_window())
        return effects

    def end(self) -> None:
        """Tell nobody anything any more, and forget what the devices hold."""
        self._over = True
        self._token += 1
        self._run += 1
        self._blocks.clear()

    # --- instructions ---

    def _switch_on(self, end: int, message: PrepareAndSend | Measure, device: _Device, now: int) -> Effects:
        if device.end != end:
            kind = type(message).__name__
            raise InternalError(f"{kind} from {self.owners[device.end]}: its device is the other end")
        effects: list[Effect] = [device.send(Started(message.instruction))]
        effects += [device.send(self._closed(head)) for head in self._blocks.heads(end)]
        if device.is_new(message.instruction) and not device.on:
            device.on = True
            effects += self._begin(now)
        return effects

    def _begin(self, now: int) -> Effects:
        if not all(each.on for each in self._devices):
            return ()
        self.engine.begin(now + self._propagation_ps)
        self._token += 1
        self._run += 1
        return (self._next_window(), *self._next_beat(now))

    def _tick(self, message: Tick, device: _Device, now: int) -> Effects:
        device.ticking = True
        return ()

    def _read(self, message: Read, device: _Device, now: int) -> Effects:
        clicks = self._blocks.clicks(device.end, message.block)
        if clicks is not None:
            work = reading(device.end, self.plan.name, message, clicks, self._blocks.sent(message.block))
            return (Job(work, now + reading_ps(clicks), partial(self._recorded, device, message)),)
        bits = self._blocks.read(device.end, message.block, message.length_bits)
        if isinstance(bits, KeyMaterial):
            return (device.send(Bits(message.instruction, message.block, bits)),)
        return (device.send(NothingToRead(message.instruction, message.block)),)

    def _recorded(self, device: _Device, message: Read, done: WorkDone, now: int) -> Effects:
        if not isinstance(done.made, Reading):
            return (device.send(NothingToRead(message.instruction, message.block)),)
        if self._over:
            done.made.wipe()
            return ()
        return (device.send(done.made.answer),)

    def _discard(self, message: Discard, device: _Device, now: int) -> Effects:
        if message.block != STOP:
            self._blocks.discard(device.end, message.block)
        elif device.is_new(message.instruction) and device.on:
            device.on = False
            if self.engine.running:
                self.engine.halt(now)
                self._token += 1
                self._run += 1
        return ()

    # --- what the engine gave ---

    def _next_beat(self, now: int) -> Effects:
        return [Timer(now + self._beat_ps, partial(self._beat, self._run))] if self._beat_ps else ()

    def _beat(self, run: int, now: int) -> Effects:
        """Report that devices run whose engine counts by block alone, though nothing new is known."""
        if run != self._run:
            return ()
        report = CountsReport(self.plan.name, self._open_block, self._nothing)
        return [*self._report(report, now), *self._next_beat(now)]

    def _next_window(self) -> Timer | Job:
        work = self.engine.work()
        if work is None:
            return Timer(self.engine.next_ps, partial(self._close_window, self._token, None))
        return Job(work, self.engine.next_ps, partial(self._close_window, self._token))

    def _close_window(self, token: int, done: WorkDone | None, now: int) -> Effects:
        if token != self._token:
            return ()
        window = self.engine.advance(now, done)
        report = CountsReport(self.plan.name, window.block, window.counts)
        effects: list[Effect] = [
            self._next_window(),
            Timer(now + self._propagation_ps, partial(self._report, report)),
        ]
        is_closed = window.total is not None or bool(window.finding)
        self._open_block = window.block + is_closed
        if window.total is not None:
            head = BlockHead(window.block, window.total, 0, window.distilled_bits, window.clicks)
            effects.append(Timer(now + self._announce_ps, partial(self._announce, head)))
        if is_closed:
            effects += self._tell("failed", window.finding)
        if done is not None:
            late_s = to_seconds(done.late_ps)
            effects += self._tell("late", f"block {window.block} came {late_s:.3f} s late" if late_s else "")
        return effects

    def _tell(self, kind: str, finding: str) -> Effects:
        """Tell both agents of a fault of the devices that stands, in new words, or is over."""
        if finding == self._faults.get(kind, ""):
            return ()
        self._faults[kind] = finding
        fault = DeviceFault(self.plan.name, kind, bool(finding), finding)
        return [device.send(fault) for device in self._devices]

    def _report(self, report: CountsReport, now: int) -> Effects:
        return [device.send(report) for device in self._devices if device.ticking and not self._over]

    def _announce(self, head: BlockHead, now: int) -> Effects:
        if self._over:
            return ()
        self._blocks.put(head, self.engine.bits(head.number))
        return [device.send(self._closed(head)) for device in self._devices]

    def _closed(self, head: BlockHead) -> BlockClosed:
        name, counts = self.plan.name, head.counts
        raw = self.plan.level == CLICKS
        return BlockClosed(name, head.number, counts, head.provisioned_bits, head.distilled_bits, raw)

"""The twin: one element that stands for all devices, monitors and the lab of a network.

It answers the instruction set (T6) and the lab (T8) and speaks on no other arrow. Every result leaves
at the instant it is due. The world does not crash with a node: devices keep what they were told.
"""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Handle, Send, SetBearer, Timer
from qstrata.core.errors import InputError, InternalError
from qstrata.core.randomness import RandomSource, SystemRandom, stream
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.device import (
    Bits,
    BlockClosed,
    CountsReport,
    Discard,
    Measure,
    NothingToRead,
    PrepareAndSend,
    Read,
    SignalReport,
    Started,
    Tick,
)
from qstrata.fabric.messages.lab import Heal, Inject, LabAnswer, ListFaults
from qstrata.kernel.element import Element
from qstrata.physics.counts import zero
from qstrata.physics.fibre import propagation_delay_ps
from qstrata.twin.blocks import BlockHead, HeldBlocks
from qstrata.twin.faults import CUT, INTERCEPT, LOSS, FaultBook
from qstrata.twin.link import LinkRun
from qstrata.twin.plan import LinkPlan, MonitorPlan, TwinPlan, check_plan
from qstrata.twin.sampling import disturbed

STOP = -1
"""`Discard` of this block number stops a device."""

INSTRUCTIONS_REMEMBERED = 64
"""A device knows its last so many starts and stops again, so that one that comes twice is done once."""


class Binder(Protocol):
    """What the twin needs of a port: a handle to another element, bound once."""

    def bind(self, to: Address, channel: str = "") -> Handle:
        """Return the handle; raises RefusedError where the figure or the scope forbids it."""
        ...


class _Device:
    """One link end: on or off, asked for reports or not, and the starts and stops it knows again."""

    def __init__(self, link: "_Link", end: int, port: Binder) -> None:
        self.link = link
        self.end = end
        self.on = False
        self.ticking = False
        self._port = port
        self._agent = link.plan.ends[end].agent
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


class _Link:
    """One link: its run, the blocks its devices hold, and a token that outdates its pending timer."""

    def __init__(
        self, plan: LinkPlan, world: TwinPlan, ports: Mapping[Address, Binder], run: LinkRun
    ) -> None:
        self.plan = plan
        self.run = run
        self.blocks = HeldBlocks()
        self.devices = tuple(_Device(self, end, ports[plan.ends[end].device]) for end in (0, 1))
        self.propagation_ps = propagation_delay_ps(plan.length_km)
        self.announce_ps = self.propagation_ps + world.processing_ps
        self.token = 0


class Twin(Element):
    """Be the world of a network: decoy-state BB84 links sampled at level `counts`.

    `ports` maps the address of every device, monitor and the lab to its port. With a seed in the plan all
    draws come from its streams; without one, key bits and the seed of the counts come from `entropy`.
    Devices report every `report_period_ps` of the plan, whatever period a Tick asks. Raises InputError for
    a plan that cannot run.
    """

    def __init__(
        self, plan: TwinPlan, ports: Mapping[Address, Binder], entropy: RandomSource | None = None
    ) -> None:
        super().__init__(plan.lab)
        check_plan(plan)
        self._plan = plan
        self._entropy = entropy or SystemRandom()
        self._lab = ports[plan.lab]
        self._links = {link.name: self._make_link(link, ports) for link in plan.links}
        self._devices = {
            end.agent: device
            for link in self._links.values()
            for end, device in zip(link.plan.ends, link.devices, strict=True)
        }
        self._monitors = {monitor.termination: monitor for monitor in plan.monitors}
        self._ports = ports
        self._watched: set[str] = set()
        self._by_bearer = {bearer: link for link in self._links.values() for bearer in link.plan.bearers}
        fibres = {link.name: link.fibre for link in plan.links}
        channels = [channel for link in plan.links for channel in link.bearers[1:]]
        self._faults = FaultBook(fibres, (*channels, *plan.management))
        self.on(PrepareAndSend, partial(self._switch_on, 0))
        self.on(Measure, partial(self._switch_on, 1))
        self.on(Tick, self._tick)
        self.on(Read, self._read)
        self.on(Discard, self._discard)
        self.on(Inject, self._inject)
        self.on(Heal, self._heal)
        self.on(ListFaults, self._list_faults)

    def _make_link(self, plan: LinkPlan, ports: Mapping[Address, Binder]) -> _Link:
        seed = self._plan.seed
        run = LinkRun(
            plan.name,
            plan.parameters,
            seed=int.from_bytes(self._entropy.bytes(16), "big") if seed is None else seed,
            block_ps=plan.block_ps,
            period_ps=self._plan.report_period_ps,
            first_block=plan.first_block,
        )
        link = _Link(plan, self._plan, ports, run)
        if plan.initial_key_bits:
            link.blocks.put(BlockHead(0, zero(), plan.initial_key_bits), self._key_bits(plan.name, 0))
        return link

    def _key_bits(self, link: str, block: int) -> RandomSource:
        seed = self._plan.seed
        return self._entropy if seed is None else stream(seed, "twin", link, block, "bits")

    def _device(self, owner: Address) -> _Device:
        device = self._devices.get(owner)
        if device is None:
            raise InternalError(f"{owner} owns no link device: its instruction cannot be followed")
        return device

    # --- devices (T6) ---

    def _switch_on(self, end: int, message: PrepareAndSend | Measure, sender: Address, now: int) -> Effects:
        device = self._device(sender)
        if device.end != end:
            raise InternalError(f"{type(message).__name__} from {sender}: its device is the other end")
        effects: list[Effect] = [device.send(Started(message.instruction))]
        link = device.link
        effects += [device.send(_closed(link, head)) for head in link.blocks.heads(end)]
        if device.is_new(message.instruction) and not device.on:
            device.on = True
            if all(each.on for each in link.devices):
                link.run.begin(now + link.propagation_ps)
                link.token += 1
                effects.append(self._next_report(link))
        return effects

    def _tick(self, message: Tick, sender: Address, now: int) -> Effects:
        monitor = self._monitors.get(sender)
        if monitor is None:
            self._device(sender).ticking = True
            return ()
        self._watched.add(monitor.site)
        return [
            self._signal(monitor, link, bearer)
            for link in self._links.values()
            if monitor.site in (link.plan.transmitter.site, link.plan.receiver.site)
            for bearer in link.plan.bearers
        ]

    def _read(self, message: Read, sender: Address, now: int) -> Effects:
        device = self._device(sender)
        bits = device.link.blocks.read(device.end, message.block, message.length_bits)
        if isinstance(bits, KeyMaterial):
            return (device.send(Bits(message.instruction, message.block, bits)),)
        return (device.send(NothingToRead(message.instruction, message.block)),)

    def _discard(self, message: Discard, sender: Address, now: int) -> Effects:
        device = self._device(sender)
        if message.block != STOP:
            device.link.blocks.discard(device.end, message.block)
        elif device.is_new(message.instruction) and device.on:
            device.on = False
            if device.link.run.running:
                device.link.run.halt(now)
                device.link.token += 1
        return ()

    # --- the run of a link ---

    def _next_report(self, link: _Link) -> Timer:
        return Timer(link.run.next_ps, partial(self._close_window, link, link.token))

    def _close_window(self, link: _Link, token: int, now: int) -> Effects:
        if token != link.token:
            return ()
        window = link.run.advance()
        report = CountsReport(link.plan.name, window.block, window.counts)
        effects = [self._next_report(link), Timer(now + link.propagation_ps, partial(_report, link, report))]
        if window.total is not None:
            head = BlockHead(window.block, window.total, 0)
            effects.append(Timer(now + link.announce_ps, partial(self._announce, link, head)))
        return effects

    def _announce(self, link: _Link, head: BlockHead, now: int) -> Effects:
        link.blocks.put(head, self._key_bits(link.plan.name, head.number))
        return [device.send(_closed(link, head)) for device in link.devices]

    # --- signal monitors (T6) ---

    def _signal(self, monitor: MonitorPlan, link: _Link, bearer: str) -> Send:
        loss_db = 0.0
        if bearer == link.plan.fibre:
            loss_db = link.plan.parameters.loss_db + self._faults.amount(LOSS, bearer)
        report = SignalReport(bearer, not self._faults.amount(CUT, bearer), loss_db)
        return Send(self._ports[monitor.device].bind(monitor.termination), report)

    # --- the lab (T8) ---

    def _inject(self, message: Inject, sender: Address, now: int) -> Effects:
        def fault() -> str:
            return self._faults.inject(message.kind, message.target, message.amount, now)

        return self._alter(fault, message, sender, now)

    def _heal(self, message: Heal, sender: Address, now: int) -> Effects:
        return self._alter(lambda: self._faults.heal(message.kind, message.target), message, sender, now)

    def _list_faults(self, message: ListFaults, sender: Address, now: int) -> Effects:
        return (self._answer(message.request, "", sender),)

    def _alter(
        self, act: Callable[[], str], message: Inject | Heal, sender: Address, now: int
    ) -> list[Effect]:
        try:
            bearer = act()
        except InputError as error:
            return [self._answer(message.request, str(error), sender)]
        return [*self._consequences(message.kind, bearer, now), self._answer(message.request, "", sender)]

    def _answer(self, request: int, error: str, to: Address) -> Send:
        return Send(self._lab.bind(to), LabAnswer(request, error, self._faults.standing))

    def _consequences(self, kind: str, bearer: str, now: int) -> list[Effect]:
        """Let the world follow its faults at one bearer: pulses, bearer table, monitors."""
        effects: list[Effect] = []
        cut = bool(self._faults.amount(CUT, bearer))
        if kind == CUT:
            effects.append(SetBearer(bearer, intact=not cut))
        link = self._by_bearer.get(bearer)
        if link is None:
            return effects
        if bearer == link.plan.fibre:
            share, loss_db = self._faults.amount(INTERCEPT, bearer), self._faults.amount(LOSS, bearer)
            link.run.change(disturbed(link.plan.parameters, loss_db, share, cut), now)
        if kind != INTERCEPT:
            sites = (link.plan.transmitter.site, link.plan.receiver.site)
            effects += [
                self._signal(monitor, link, bearer)
                for monitor in self._plan.monitors
                if monitor.site in sites and monitor.site in self._watched
            ]
        return effects


def _closed(link: _Link, head: BlockHead) -> BlockClosed:
    return BlockClosed(link.plan.name, head.number, head.counts, head.provisioned_bits)


def _report(link: _Link, report: CountsReport, now: int) -> Effects:
    return [device.send(report) for device in link.devices if device.ticking]

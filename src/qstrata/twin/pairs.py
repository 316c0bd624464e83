"""The devices with memory cells, and the links between them: a part of the world.

It follows the instructions of `qstrata.fabric.messages.qubits`. Its states are exact and aged to the instant
of each use; what measurements give is drawn from one stream a device, heralds from one a link.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from qstrata.core.address import Address
from qstrata.core.effects import Effect, Effects, Send, Timer
from qstrata.core.errors import InternalError
from qstrata.core.randomness import stream
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.qubits import CreatePair, Done, FreeCell, Heralded, Measured, Refusal, Refused
from qstrata.physics import density
from qstrata.twin import qubits
from qstrata.twin.attempts import Attempt, LinkAttempts
from qstrata.twin.faults import CUT, LOSS, SUBSTITUTION, TAMPERING, FaultBook, memory_of
from qstrata.twin.key_link import Binder
from qstrata.twin.operations import INSTRUCTIONS, Operation, operation
from qstrata.twin.pairs_plan import MemoryPlan, PairLinkPlan, check_pairs
from qstrata.twin.qubits import Cell

ANSWERS_KEPT = 1024
"""A device answers its last so many instructions again; an older id is a new instruction."""

UNIFORMS_AHEAD = 256


class _Device:
    """One device: its cells, what they wait for, its answers, its draws."""

    def __init__(self, plan: MemoryPlan, port: Binder, seed: int) -> None:
        self.plan = plan
        self.name = str(plan.device)
        self.cells = [Cell(self.name, plan.parameters) for _ in range(plan.parameters.cells)]
        self.busy: set[int] = set()
        self.waiting: dict[int, _Wish] = {}
        self.answers: OrderedDict[str, Message | None] = OrderedDict()
        self.tampered = 0.0
        self._handle = port.bind(plan.owner)
        self._seed = seed
        self._block = 0
        self._ahead: list[float] = []

    def uniform(self) -> float:
        """Return the next number in [0, 1) of the device's stream."""
        if not self._ahead:
            generator = stream(self._seed, "twin", "outcomes", self.name, self._block)
            self._ahead = generator.random(UNIFORMS_AHEAD).tolist()
            self._block += 1
        return self._ahead.pop()

    def answer(self, message: Any) -> Send:
        """Send what became of an instruction, and remember it."""
        self.answers[message.instruction] = message
        while len(self.answers) > ANSWERS_KEPT:
            _, oldest = self.answers.popitem(last=False)
            if isinstance(oldest, Measured):
                oldest.bit.wipe()
        return Send(self._handle, message)

    def refuse(self, message: Any, reason: Refusal) -> Effects:
        """Answer that an instruction cannot be done."""
        return (self.answer(Refused(message.instruction, reason)),)

    def repeat(self, message: Any) -> Effects:
        """Answer an instruction again, if it has been answered."""
        known = self.answers[message.instruction]
        self.answers.move_to_end(message.instruction)
        return (Send(self._handle, known),) if known is not None else ()

    def free_for(self, number: int) -> Refusal | None:
        """Say why a qubit cannot be put into a cell, None where it can."""
        if not 0 <= number < len(self.cells):
            return Refusal.UNKNOWN_CELL
        if number in self.busy:
            return Refusal.CELL_BUSY
        taken = self.cells[number].group is not None or number in self.waiting
        return Refusal.CELL_TAKEN if taken else None

    def usable(self, number: int, now: int) -> Refusal | None:
        """Say why the qubit of a cell cannot be used, None where it can."""
        if not 0 <= number < len(self.cells):
            return Refusal.UNKNOWN_CELL
        if number in self.busy:
            return Refusal.CELL_BUSY
        cell = self.cells[number]
        if cell.expire(now):
            return Refusal.EXPIRED
        return Refusal.CELL_EMPTY if cell.group is None else None


class _Wish:
    """An unanswered CreatePair of one end, and the attempt that it is part of."""

    __slots__ = ("attempt", "device", "message")

    def __init__(self, device: _Device, message: CreatePair) -> None:
        self.device = device
        self.message = message
        self.attempt: _Try | None = None


class _Try(Attempt):
    """An attempt of two wishes, those of end 0 and end 1."""

    __slots__ = ("wishes",)

    def __init__(self, wishes: tuple[_Wish, _Wish], since_ps: int) -> None:
        super().__init__(since_ps)
        self.wishes = wishes


class _Link:
    """One link: its attempts, the wishes at each end that wait for one at the other, pairs counted."""

    def __init__(self, plan: PairLinkPlan, ends: tuple[_Device, _Device], seed: int) -> None:
        self.plan = plan
        self.ends = ends
        self.heralds = LinkAttempts(plan.name, plan.parameters, seed)
        self.open: tuple[deque[_Wish], deque[_Wish]] = (deque(), deque())
        self.tries: list[_Try] = []
        self.pairs = 0


class Pairs:
    """Be the memory devices of a network and the links that entangle them: a `Part` of the world.

    `ports` maps every device to its port; all draws come from streams of `seed`. Raises InputError for a
    plan that cannot run.
    """

    kinds: ClassVar[tuple[type[Message], ...]] = (CreatePair, FreeCell, *INSTRUCTIONS)
    next_block = 1

    def __init__(
        self,
        memories: Sequence[MemoryPlan],
        links: Sequence[PairLinkPlan],
        ports: Mapping[Address, Binder],
        seed: int,
    ) -> None:
        check_pairs(tuple(memories), tuple(links))
        devices = {plan.device: _Device(plan, ports[plan.device], seed) for plan in memories}
        self._devices = {device.plan.owner: device for device in devices.values()}
        self._links = {
            plan.name: _Link(plan, (devices[plan.ends[0]], devices[plan.ends[1]]), seed) for plan in links
        }
        self._over = False

    @property
    def owners(self) -> Sequence[Address]:
        """Return the elements that own the devices."""
        return tuple(self._devices)

    @property
    def bearers(self) -> Sequence[str]:
        """Return the fibres and channels of the links."""
        return tuple(dict.fromkeys(name for link in self._links.values() for name in link.plan.bearers))

    def loss_db(self, bearer: str) -> float:
        """Return the loss of a healthy fibre, 0 for a channel."""
        fibres = {link.plan.fibre: link.plan.parameters.loss_db for link in self._links.values()}
        return fibres.get(bearer, 0.0)

    def instruct(self, message: Any, sender: Address, now: int) -> Effects:
        """Follow an instruction of a device's owner."""
        device = self._devices.get(sender)
        if device is None:
            raise InternalError(f"{sender} owns no memory device: its instruction cannot be followed")
        if type(message) not in self.kinds:
            raise InternalError(f"{type(message).__name__} from {sender}: a memory device does not know it")
        if message.instruction in device.answers:
            return device.repeat(message)
        if isinstance(message, CreatePair):
            return self._create(device, message, now)
        if isinstance(message, FreeCell):
            return self._free(device, message, now)
        asked = operation(message)
        for number in asked.uses:
            reason = device.usable(number, now)
            if reason is not None:
                return device.refuse(message, reason)
        for number in asked.fills:
            reason = device.free_for(number)
            if reason is not None:
                return device.refuse(message, reason)
        return self._begin(device, message, asked, now)

    def follow(self, bearer: str, faults: FaultBook, now: int) -> Effects:
        """Let the links of a fibre follow the faults that stand there; undecided attempts start anew.

        Memories follow those that stand at their site, with what comes into them from now on.
        """
        effects: list[Effect] = []
        for device in self._devices.values():
            if memory_of(device.plan.site) == bearer:
                device.tampered = faults.amount(TAMPERING, bearer)
        for link in self._links.values():
            if link.plan.fibre == bearer:
                loss_db, cut = faults.amount(LOSS, bearer), bool(faults.amount(CUT, bearer))
                link.heralds.change(loss_db, cut, faults.amount(SUBSTITUTION, bearer))
                for attempt in link.tries:
                    if not link.heralds.is_decided(attempt, now):
                        effects += self._aim(link, attempt, now)
        return effects

    def succeed(self, before: Any, faults: FaultBook, now: int) -> Effects:
        """Take the place of another part: qubits and attempts of the other are lost."""
        before.end()
        memories = dict.fromkeys(memory_of(device.plan.site) for device in self._devices.values())
        bearers = (*self.bearers, *memories)
        return [effect for bearer in bearers for effect in self.follow(bearer, faults, now)]

    def end(self) -> None:
        """Tell nobody anything any more."""
        self._over = True

    # --- operations in cells ---

    def _begin(self, device: _Device, message: Any, asked: Operation, now: int) -> Effects:
        lasts_ps = asked.lasts_ps(device.plan.parameters)
        if not lasts_ps:
            return (self._finish(device, message, asked, now),)
        cells = (*asked.uses, *asked.fills)
        device.answers[message.instruction] = None
        device.busy.update(cells)

        def done(then: int) -> Effects:
            if self._over:
                return ()
            device.busy.difference_update(cells)
            return (self._finish(device, message, asked, then),)

        return (Timer(now + lasts_ps, done),)

    def _finish(self, device: _Device, message: Any, asked: Operation, now: int) -> Send:
        cells = tuple(device.cells[number] for number in (*asked.uses, *asked.fills))
        result = asked.act(cells, device.uniform, now)
        if isinstance(result, Refusal):
            return device.answer(Refused(message.instruction, result))
        return device.answer(result)

    # --- pairs over links ---

    def _create(self, device: _Device, message: CreatePair, now: int) -> Effects:
        link = self._links.get(message.link)
        if link is None or device not in link.ends:
            return device.refuse(message, Refusal.UNKNOWN_LINK)
        if 0 <= message.cell < len(device.cells):
            device.cells[message.cell].expire(now)
        reason = device.free_for(message.cell)
        if reason is not None:
            return device.refuse(message, reason)
        device.answers[message.instruction] = None
        wish = device.waiting[message.cell] = _Wish(device, message)
        link.open[link.ends.index(device)].append(wish)
        return self._match(link, now)

    def _match(self, link: _Link, now: int) -> Effects:
        effects: list[Effect] = []
        while link.open[0] and link.open[1]:
            attempt = _Try((link.open[0].popleft(), link.open[1].popleft()), now)
            for wish in attempt.wishes:
                wish.attempt = attempt
            link.tries.append(attempt)
            effects += self._aim(link, attempt, now)
        return effects

    def _aim(self, link: _Link, attempt: _Try, now: int) -> Effects:
        due_ps = link.heralds.aim(attempt, now)
        if due_ps is None:
            return ()
        return (Timer(due_ps, partial(self._herald, link, attempt, attempt.token)),)

    def _herald(self, link: _Link, attempt: _Try, token: int, now: int) -> Effects:
        if token != attempt.token or self._over:
            return ()
        assert attempt.emitted_ps is not None
        link.tries.remove(attempt)
        link.pairs += 1
        cells = [wish.device.cells[wish.message.cell] for wish in attempt.wishes]
        state = link.heralds.state(attempt)
        for axis, wish in enumerate(attempt.wishes):
            state = density.depolarise(state, (axis,), 1.0 - wish.device.tampered)
        qubits.place(state, cells, attempt.emitted_ps)
        effects: list[Effect] = []
        for wish in attempt.wishes:
            del wish.device.waiting[wish.message.cell]
            told = Heralded(
                wish.message.instruction,
                wish.message.cell,
                f"{link.plan.name}/{link.pairs}",
                attempt.frame,
                attempt.emitted_ps,
                link.heralds.attempts(attempt),
            )
            effects.append(wish.device.answer(told))
        return effects

    def _free(self, device: _Device, message: FreeCell, now: int) -> Effects:
        if not 0 <= message.cell < len(device.cells):
            return device.refuse(message, Refusal.UNKNOWN_CELL)
        if message.cell in device.busy:
            return device.refuse(message, Refusal.CELL_BUSY)
        qubits.free(device.cells[message.cell])
        effects: list[Effect] = []
        wish = device.waiting.pop(message.cell, None)
        if wish is not None:
            effects += self._give_up(wish, now)
        return [device.answer(Done(message.instruction)), *effects]

    def _give_up(self, wish: _Wish, now: int) -> Effects:
        """End what a wish waits for; the other end's wish waits again, before those that came later."""
        link = self._links[wish.message.link]
        attempt = wish.attempt
        if attempt is None:
            link.open[link.ends.index(wish.device)].remove(wish)
            return ()
        attempt.token += 1
        link.tries.remove(attempt)
        other = attempt.wishes[0] if attempt.wishes[1] is wish else attempt.wishes[1]
        other.attempt = None
        link.open[link.ends.index(other.device)].appendleft(other)
        return self._match(link, now)

"""The conformance suite of devices with memory cells: what repeaters and applications rely on.

It speaks the instructions of `qstrata.fabric.messages.qubits` to three devices in a row, in virtual time.
Errors of one bit in a thousand would pass: the devices of the suite are as good as their figures allow.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from qstrata.core.address import Address, End
from qstrata.core.errors import QstrataError
from qstrata.core.time import PS_PER_MS, PS_PER_S, PS_PER_US
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.qubits import (
    ApplyGate,
    CreatePair,
    DistilOutcome,
    DistilPairs,
    Done,
    FreeCell,
    Heralded,
    Measured,
    MeasureQubit,
    MoveQubit,
    PrepareQubit,
    Refusal,
    Refused,
    StoreQubit,
    SwapOutcome,
    SwapPairs,
)
from qstrata.physics.entanglement_distillation import Distillation, frame_after
from qstrata.physics.memories import MemoryParameters
from qstrata.physics.pair_link import DeviceParameters, PairLinkParameters, herald_ps
from qstrata.testing.bench import Bench, BenchPort, require
from qstrata.twin.contract import Part
from qstrata.twin.key_link import Binder
from qstrata.twin.pairs_plan import MemoryPlan, PairLinkPlan

T1_S = 1.0
_ANSWER_PS = PS_PER_S
_WAITS = 1000
_STANDARD_ERRORS = 5.0
_PAIRS = 8
_Z, _X = 0.0, math.pi / 2.0

MakeMemories = Callable[[int, Mapping[Address, Binder]], Part]
"""Makes the devices of `SUITE_MEMORIES` and their links, from a seed and the ports of all by address."""


def _memory(site: str) -> MemoryPlan:
    return MemoryPlan(
        site=site,
        device=Address(End.WORLD, "suite", site, "memory"),
        owner=Address(End.FORWARDING_RES, "suite", site, "repeater"),
        parameters=DeviceParameters(
            cells=4,
            memory=MemoryParameters(t1_s=T1_S, t2_s=2.0 * T1_S),
            gate_ps=PS_PER_US,
            two_qubit_gate_ps=2 * PS_PER_US,
            measure_ps=3 * PS_PER_US,
        ),
    )


def _link(a: MemoryPlan, b: MemoryPlan) -> PairLinkPlan:
    name = f"{a.site}-{b.site}"
    near = PairLinkParameters(length_km=0.2, loss_db=0.0, fidelity=1.0)
    return PairLinkPlan(name=name, ends=(a.device, b.device), parameters=near, fibre=f"fibre/{name}")


SUITE_MEMORIES = tuple(map(_memory, "abc"))
"""Three devices of four cells each; what they lose with time is T1 alone."""

SUITE_PAIR_LINKS = tuple(map(_link, SUITE_MEMORIES, SUITE_MEMORIES[1:]))
"""The links a-b and b-c, two hundred metres long, whose pairs are perfect."""

A, B, C = (memory.owner for memory in SUITE_MEMORIES)


def check_memory_devices(make: MakeMemories) -> None:
    """Check devices with memory cells, of an engine or a driver, against everything that owners rely on.

    `make(seed, ports)` makes the devices of `SUITE_MEMORIES`, all cells free, joined by `SUITE_PAIR_LINKS`.
    Raises AssertionError that says which promise was broken.
    """
    ports = {memory.device: BenchPort() for memory in SUITE_MEMORIES}
    for check in _CHECKS:
        check(_Devices(Bench(make(1, ports))))


class _Devices:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._ids = count()
        self._known = 0
        self._answers: dict[tuple[Address, str], list[Message]] = {}

    def ask(self, owner: Address, kind: Callable[..., Message], *fields: Any) -> Message:
        """Give an instruction under a new id, and return what came of it."""
        instruction = f"suite {next(self._ids)}"
        self.bench.tell(owner, kind(instruction, *fields))
        return self.answer(owner, instruction)

    def answer(self, owner: Address, instruction: str) -> Message:
        """Wait for the answer to an instruction, step by step, so that no time is lost."""
        until_ps = self.bench.now + _ANSWER_PS
        while not (found := self.answers(owner, instruction)):
            require(self.bench.now < until_ps, f"{instruction} is not answered within a second")
            self.bench.run(PS_PER_US)
        return found[0]

    def answers(self, owner: Address, instruction: str) -> list[Message]:
        """Return what an owner was told of an instruction, in order."""
        for _, to, message in self.bench.told[self._known :]:
            name = getattr(message, "instruction", "")
            self._answers.setdefault((to, name), []).append(message)
        self._known = len(self.bench.told)
        return self._answers.get((owner, instruction), [])

    def done(self, owner: Address, kind: Callable[..., Message], *fields: Any) -> None:
        answer = self.ask(owner, kind, *fields)
        require(isinstance(answer, Done), f"{_name(kind)} is answered with {_shown(answer)}")

    def refuses(self, reason: Refusal, owner: Address, kind: Callable[..., Message], *fields: Any) -> None:
        answer = self.ask(owner, kind, *fields)
        promise = (
            f"{_name(kind)}{fields} is to be refused with {reason.name}, not answered with {_shown(answer)}"
        )
        require(isinstance(answer, Refused) and answer.reason is reason, promise)

    def bit(self, owner: Address, cell: int, theta: float = _Z, phi: float = 0.0) -> int:
        answer = self.ask(owner, MeasureQubit, cell, theta, phi)
        require(isinstance(answer, Measured), f"MeasureQubit is answered with {_shown(answer)}")
        assert isinstance(answer, Measured)
        return answer.bit.reveal()[0]

    def pair(self, left: Address, right: Address, link: str, cells: tuple[int, int]) -> Heralded:
        """Entangle a cell of either end of a link, and return what the left one was told."""
        instructions = [f"suite {next(self._ids)}" for _ in range(2)]
        for owner, instruction, cell in zip((left, right), instructions, cells, strict=True):
            self.bench.tell(owner, CreatePair(instruction, link, cell))
        told = [self.answer(owner, each) for owner, each in zip((left, right), instructions, strict=True)]
        for answer, cell in zip(told, cells, strict=True):
            require(isinstance(answer, Heralded), f"CreatePair is answered with {_shown(answer)}")
            require(getattr(answer, "cell", None) == cell, "a pair is heralded in another cell")
        first, second = told
        assert isinstance(first, Heralded)
        assert isinstance(second, Heralded)
        same = (first.pair, first.frame, first.created_ps) == (second.pair, second.frame, second.created_ps)
        require(same, "the two ends of a pair are told of different pairs")
        return first


def _name(kind: Callable[..., Message]) -> str:
    return getattr(kind, "__name__", "an instruction")


def _shown(answer: Message) -> str:
    return f"Refused {answer.reason.name}" if isinstance(answer, Refused) else type(answer).__name__


def _check_states(devices: _Devices) -> None:
    for theta, phi in ((_Z, 0.0), (math.pi, 0.0), (1.1, 0.3), (_X, 2.0)):
        for flipped in (0, 1):
            devices.done(A, PrepareQubit, 0, theta, phi)
            along = (math.pi - theta, phi + math.pi) if flipped else (theta, phi)
            require(
                devices.bit(A, 0, *along) == flipped, "a prepared qubit is not measured as it was prepared"
            )
    devices.done(A, PrepareQubit, 0)
    devices.done(A, PrepareQubit, 1)
    for gate, cells, angle in (("h", (0,), 0.0), ("cx", (0, 1), 0.0), ("rx", (1,), math.pi)):
        devices.done(A, ApplyGate, gate, cells, angle)
    require(devices.bit(A, 0) != devices.bit(A, 1), "gates do not do what they are called")
    devices.refuses(Refusal.CELL_EMPTY, A, MeasureQubit, 0)


def _check_refusals(devices: _Devices) -> None:
    for cell in (0, 1):
        devices.done(A, PrepareQubit, cell, math.pi)
    devices.bench.tell(A, CreatePair("waits", "a-b", 2))
    cases: Sequence[tuple[Refusal, Callable[..., Message], tuple[Any, ...]]] = (
        (Refusal.UNKNOWN_LINK, CreatePair, ("x-y", 3)),
        (Refusal.UNKNOWN_CELL, CreatePair, ("a-b", 4)),
        (Refusal.CELL_TAKEN, CreatePair, ("a-b", 0)),
        (Refusal.CELL_TAKEN, CreatePair, ("a-b", 2)),
        (Refusal.CELL_TAKEN, PrepareQubit, (0,)),
        (Refusal.UNKNOWN_CELL, PrepareQubit, (-1,)),
        (Refusal.NO_DIRECTION, PrepareQubit, (3, math.nan, 0.0)),
        (Refusal.CELL_EMPTY, MeasureQubit, (3,)),
        (Refusal.UNKNOWN_CELL, MeasureQubit, (4,)),
        (Refusal.UNKNOWN_CELL, FreeCell, (4,)),
        (Refusal.CELL_TAKEN, MoveQubit, (0, 1)),
        (Refusal.CELL_EMPTY, MoveQubit, (3, 0)),
        (Refusal.SAME_CELL, ApplyGate, ("cx", (0, 0))),
        (Refusal.NO_SUCH_GATE, ApplyGate, ("toffoli", (0, 1))),
        (Refusal.NO_SUCH_GATE, ApplyGate, ("rx", (0,), math.inf)),
        (Refusal.CELL_EMPTY, SwapPairs, (0, 3)),
        (Refusal.SAME_CELL, SwapPairs, (0, 0)),
        (Refusal.NOT_TWO_PAIRS, DistilPairs, (0, 1, Distillation.DEJMPS)),
        (Refusal.BAD_CUTOFF, StoreQubit, (0, devices.bench.now - 1)),
    )
    for reason, kind, fields in cases:
        devices.refuses(reason, A, kind, *fields)
    for cell in (0, 1):
        require(devices.bit(A, cell) == 1, "what was refused has changed a qubit")
    devices.done(A, FreeCell, 2)
    devices.done(A, PrepareQubit, 2)


def _check_repeats(devices: _Devices) -> None:
    bench = devices.bench
    for instruction, message in (
        ("once", PrepareQubit("once", 0, math.pi)),
        ("flip", ApplyGate("flip", "x", (0,))),
        ("read", MeasureQubit("read", 0)),
    ):
        bench.tell(A, message)
        devices.answer(A, instruction)
        bench.tell(A, message)
        bench.run(PS_PER_MS)
        answers = devices.answers(A, instruction)
        require(
            len(answers) == 2, f"{_name(type(message))} that comes twice is answered {len(answers)} times"
        )
        require(type(answers[0]) is type(answers[1]), "an instruction that comes twice is done twice")
        if isinstance(answers[0], Measured) and isinstance(answers[1], Measured):
            bits = [answer.bit.reveal()[0] for answer in answers if isinstance(answer, Measured)]
            require(bits == [0, 0], "a gate that comes twice is applied twice, or a bit differs")


def _check_time(devices: _Devices) -> None:
    bench = devices.bench
    devices.done(A, PrepareQubit, 0)
    begun_ps = bench.now
    bench.tell(A, MeasureQubit("slow", 0))
    devices.refuses(Refusal.CELL_BUSY, A, ApplyGate, "x", (0,))
    devices.answer(A, "slow")
    took_ps = bench.now - begun_ps
    require(took_ps >= 3 * PS_PER_US, f"a measurement of 3 us is told after {took_ps / PS_PER_US:g} us")


def _check_moves(devices: _Devices) -> None:
    devices.done(A, PrepareQubit, 0, math.pi)
    until_ps = devices.bench.now + PS_PER_MS
    devices.done(A, StoreQubit, 0, until_ps)
    devices.done(A, MoveQubit, 0, 3)
    devices.refuses(Refusal.CELL_EMPTY, A, MeasureQubit, 0)
    devices.bench.run(2 * PS_PER_MS)
    devices.refuses(Refusal.EXPIRED, A, MeasureQubit, 3)


def _check_cutoff(devices: _Devices) -> None:
    for late in (False, True):
        devices.done(A, PrepareQubit, 0, math.pi)
        until_ps = devices.bench.now + PS_PER_MS
        devices.done(A, StoreQubit, 0, until_ps)
        devices.bench.run(until_ps - devices.bench.now + (1 if late else -10 * PS_PER_US))
        if late:
            devices.refuses(Refusal.EXPIRED, A, MeasureQubit, 0)
            devices.done(A, PrepareQubit, 0)
        else:
            require(devices.bit(A, 0) == 1, "a qubit is lost before its cut-off")


def _check_waits(devices: _Devices) -> None:
    """Wait in one go and in two: of |1> a share of e^(-t/T1) is left, whoever has looked meanwhile."""
    waited_ps = round(0.7 * T1_S * PS_PER_S)
    expected = math.exp(-0.7)
    spread = _STANDARD_ERRORS * math.sqrt(expected * (1.0 - expected) / _WAITS)
    for parts in (1, 2):
        left = 0
        for _ in range(_WAITS):
            devices.done(A, PrepareQubit, 0, math.pi)
            for part in range(parts):
                if part:
                    devices.done(A, StoreQubit, 0, devices.bench.now + 10 * PS_PER_S)
                devices.bench.run(waited_ps // parts)
            left += devices.bit(A, 0)
        require(
            abs(left / _WAITS - expected) <= spread,
            f"{left} of {_WAITS} qubits are left after {parts} waits of {0.7 / parts:g} T1 each, "
            f"{_WAITS * expected:.0f} are expected",
        )


def _check_past(devices: _Devices) -> None:
    bench = devices.bench
    devices.done(A, PrepareQubit, 0)
    bench.run(PS_PER_S)
    devices.done(A, ApplyGate, "x", (0,))
    bench.now -= PS_PER_S // 2
    try:
        bench.tell(A, MeasureQubit("past", 0))
        bench.run(PS_PER_S)
    except QstrataError:
        return
    told = devices.answers(A, "past")
    require(not any(isinstance(each, Measured) for each in told), "a qubit is measured back in time")


def _check_pairs(devices: _Devices) -> None:
    bench = devices.bench
    bench.tell(A, CreatePair("alone", "a-b", 3))
    bench.run(PS_PER_MS)
    require(not devices.answers(A, "alone"), "a pair is heralded that only one end has asked for")
    devices.done(A, FreeCell, 3)
    names = []
    for number in range(_PAIRS):
        told = devices.pair(A, B, "a-b", (0, 1))
        names.append(told.pair)
        light_ps = herald_ps(SUITE_PAIR_LINKS[0].parameters)
        require(bench.now - told.created_ps >= light_ps, "a herald is told before its light can be back")
        require(told.attempts >= 1, "a pair is heralded without an attempt")
        devices.refuses(Refusal.CELL_TAKEN, A, PrepareQubit, 0)
        _compare(devices, (A, 0), (B, 1), told.frame, number, "a heralded pair")
    require(len(set(names)) == _PAIRS, "two pairs have one name")


def _check_swaps(devices: _Devices) -> None:
    for number in range(_PAIRS):
        frame = devices.pair(A, B, "a-b", (0, 0)).frame ^ devices.pair(B, C, "b-c", (1, 0)).frame
        outcome = devices.ask(B, SwapPairs, 0, 1)
        require(isinstance(outcome, SwapOutcome), f"SwapPairs is answered with {_shown(outcome)}")
        assert isinstance(outcome, SwapOutcome)
        for cell in (0, 1):
            devices.refuses(Refusal.CELL_EMPTY, B, MeasureQubit, cell)
        _compare(devices, (A, 0), (C, 0), frame ^ outcome.outcome, number, "a swapped pair")


def _check_distillation(devices: _Devices) -> None:
    for number, protocol in enumerate((*Distillation, *Distillation)):
        frames = [devices.pair(A, B, "a-b", (cell, cell)).frame for cell in (0, 1)]
        bits = []
        for owner in (A, B):
            told = devices.ask(owner, DistilPairs, 0, 1, protocol)
            require(isinstance(told, DistilOutcome), f"DistilPairs is answered with {_shown(told)}")
            assert isinstance(told, DistilOutcome)
            bits.append(told.bit)
            devices.refuses(Refusal.CELL_EMPTY, owner, MeasureQubit, 1)
        frame, parity = frame_after(protocol, frames[0], frames[1])
        require(bits[0] ^ bits[1] == parity, "distilling perfect pairs fails")
        _compare(devices, (A, 0), (B, 0), frame, number, "a distilled pair")


def _compare(
    devices: _Devices, left: tuple[Address, int], right: tuple[Address, int], frame: int, turn: int, what: str
) -> None:
    """Measure a pair in Z or X by turns: an X in its frame flips one end's bit in Z, a Z flips it in X."""
    theta = _X if turn % 2 else _Z
    bits = [devices.bit(owner, cell, theta) for owner, cell in (left, right)]
    expected = frame & 1 if turn % 2 else frame >> 1
    axis = "X" if turn % 2 else "Z"
    require(bits[0] ^ bits[1] == expected, f"{what} does not have its frame along {axis}")


_CHECKS: Sequence[Callable[[_Devices], None]] = (
    _check_states,
    _check_refusals,
    _check_repeats,
    _check_time,
    _check_moves,
    _check_cutoff,
    _check_past,
    _check_pairs,
    _check_swaps,
    _check_distillation,
    _check_waits,
)

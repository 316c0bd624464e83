"""What each instruction on cells needs, how long it takes, and what it does: one function each."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.qubits import (
    ApplyGate,
    DistilOutcome,
    DistilPairs,
    Done,
    Measured,
    MeasureQubit,
    MoveQubit,
    PrepareQubit,
    Refusal,
    StoreQubit,
    SwapOutcome,
    SwapPairs,
)
from qstrata.physics import density
from qstrata.physics.density import GATES
from qstrata.physics.pair_link import DeviceParameters
from qstrata.twin import qubits
from qstrata.twin.qubits import Cell, Uniform

Result = Message | Refusal
Act = Callable[[tuple[Cell, ...], Uniform, int], Result]


class Operation(msgspec.Struct, frozen=True):
    """Hold one instruction as the device sees it: cells it uses and fills, its time, and what it does.

    `act(cells, uniform, now)` takes the cells of `uses`, then `fills`, at the instant when it ends.
    """

    uses: tuple[int, ...]
    fills: tuple[int, ...]
    lasts_ps: Callable[[DeviceParameters], int]
    act: Act


def operation(message: Any) -> Operation:
    """Return what an instruction asks for."""
    return _OPERATIONS[type(message)](message)


def _at_once(device: DeviceParameters) -> int:
    return 0


def _one_gate(device: DeviceParameters) -> int:
    return device.gate_ps


def _two_gate(device: DeviceParameters) -> int:
    return device.two_qubit_gate_ps


def _gate_and_measure(device: DeviceParameters) -> int:
    return device.two_qubit_gate_ps + device.measure_ps


def _measure(device: DeviceParameters) -> int:
    return device.measure_ps


def _prepare_qubit(message: PrepareQubit) -> Operation:
    def act(cells: tuple[Cell, ...], uniform: Uniform, now: int) -> Result:
        if not _is_direction(message):
            return Refusal.NO_DIRECTION
        qubits.place(density.qubit(message.theta, message.phi), list(cells), now)
        return Done(message.instruction)

    return Operation((), (message.cell,), _one_gate, act)


def _store(message: StoreQubit) -> Operation:
    def act(cells: tuple[Cell, ...], uniform: Uniform, now: int) -> Result:
        if message.until_ps < now:
            return Refusal.BAD_CUTOFF
        cells[0].until_ps = message.until_ps
        return Done(message.instruction)

    return Operation((message.cell,), (), _at_once, act)


def _move(message: MoveQubit) -> Operation:
    def act(cells: tuple[Cell, ...], uniform: Uniform, now: int) -> Result:
        qubits.move(cells[0], cells[1], now)
        return Done(message.instruction)

    return Operation((message.cell,), (message.to_cell,), _two_gate, act)


def _gate(message: ApplyGate) -> Operation:
    def act(cells: tuple[Cell, ...], uniform: Uniform, now: int) -> Result:
        if GATES.get(message.gate) != len(cells) or not math.isfinite(message.angle):
            return Refusal.NO_SUCH_GATE
        refusal = _refusal_of_two(cells)
        if refusal is not None:
            return refusal
        qubits.apply_gate(cells, message.gate, message.angle, now)
        return Done(message.instruction)

    return Operation(message.cells, (), _one_gate if len(message.cells) == 1 else _two_gate, act)


def _swap(message: SwapPairs) -> Operation:
    def act(cells: tuple[Cell, ...], uniform: Uniform, now: int) -> Result:
        refusal = _refusal_of_two(cells)
        if refusal is not None:
            return refusal
        return SwapOutcome(message.instruction, qubits.swap(cells[0], cells[1], uniform, now))

    return Operation((message.cell, message.other_cell), (), _gate_and_measure, act)


def _distil(message: DistilPairs) -> Operation:
    def act(cells: tuple[Cell, ...], uniform: Uniform, now: int) -> Result:
        refusal = _refusal_of_two(cells)
        if refusal is None and not qubits.are_two_pairs(*cells):
            refusal = Refusal.NOT_TWO_PAIRS
        if refusal is not None:
            return refusal
        bit = qubits.distil(cells[0], cells[1], message.protocol, uniform, now)
        return DistilOutcome(message.instruction, bit)

    return Operation((message.keep, message.spend), (), _gate_and_measure, act)


def _measure_qubit(message: MeasureQubit) -> Operation:
    def act(cells: tuple[Cell, ...], uniform: Uniform, now: int) -> Result:
        if not _is_direction(message):
            return Refusal.NO_DIRECTION
        bit = qubits.measure(cells[0], density.direction(message.theta, message.phi), uniform, now)
        return Measured(message.instruction, KeyMaterial(bytes((bit,))))

    return Operation((message.cell,), (), _measure, act)


def _is_direction(message: PrepareQubit | MeasureQubit) -> bool:
    return math.isfinite(message.theta) and math.isfinite(message.phi)


def _refusal_of_two(cells: tuple[Cell, ...]) -> Refusal | None:
    if len(cells) > 1 and cells[0] is cells[1]:
        return Refusal.SAME_CELL
    return None if qubits.fits(*cells) else Refusal.TOO_MANY_QUBITS


_OPERATIONS: Mapping[type[Message], Callable[[Any], Operation]] = {
    PrepareQubit: _prepare_qubit,
    StoreQubit: _store,
    MoveQubit: _move,
    ApplyGate: _gate,
    SwapPairs: _swap,
    DistilPairs: _distil,
    MeasureQubit: _measure_qubit,
}

INSTRUCTIONS: tuple[type[Message], ...] = tuple(_OPERATIONS)
"""The instructions that work on cells alone."""

"""The conformance suite of memory devices: the native ones pass, and drivers that break a promise do not."""

import math

import msgspec
import pytest

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.qubits import (
    ApplyGate,
    CreatePair,
    MeasureQubit,
    MoveQubit,
    PrepareQubit,
    StoreQubit,
    SwapPairs,
)
from qstrata.physics.memories import MemoryParameters
from qstrata.testing import check_memory_devices
from qstrata.testing.memory_suite import SUITE_MEMORIES, SUITE_PAIR_LINKS
from qstrata.twin.pairs import Pairs


def native(seed, ports):
    return Pairs(SUITE_MEMORIES, SUITE_PAIR_LINKS, ports, seed)


def test_the_native_devices_keep_every_promise():
    check_memory_devices(native)


def driver(change, memories=SUITE_MEMORIES, links=SUITE_PAIR_LINKS):
    """Return a driver that follows instructions as `change` makes them, of devices as they are otherwise."""

    class Changed(Pairs):
        count = 0

        def instruct(self, message, sender, now):
            type(self).count += 1
            message, now = change(message, now, type(self).count)
            return super().instruct(message, sender, now)

    return lambda seed, ports: Changed(memories, links, ports, seed)


def other(message, **fields):
    return msgspec.structs.replace(message, **fields)


def anew(message, now, count):
    return (other(message, instruction=f"{message.instruction}/{count}"), now)


def without_cutoff(message, now, _):
    return (
        other(message, until_ps=now + 100 * PS_PER_S) if isinstance(message, StoreQubit) else message,
        now,
    )


def any_x(message, now, _):
    return (other(message, gate="z") if isinstance(message, ApplyGate) else message, now)


def along_z(message, now, _):
    return (other(message, theta=0.0) if isinstance(message, MeasureQubit) else message, now)


def half_turned(message, now, _):
    return (
        other(message, theta=math.pi - message.theta) if isinstance(message, PrepareQubit) else message,
        now,
    )


def elsewhere(message, now, _):
    return (other(message, cell=3) if isinstance(message, CreatePair) else message, now)


def stays(message, now, _):
    return (ApplyGate(message.instruction, "x", (0,)) if isinstance(message, MoveQubit) else message, now)


def measures(message, now, _):
    return (MeasureQubit(message.instruction, 0) if isinstance(message, SwapPairs) else message, now)


def memories(**figures):
    made = (
        msgspec.structs.replace(each, parameters=msgspec.structs.replace(each.parameters, **figures))
        for each in SUITE_MEMORIES
    )
    return tuple(made)


def short_lived(share):
    lives = MemoryParameters(t1_s=share, t2_s=2.0 * share)
    return memories(memory=lives)


def poor_links():
    noisy = msgspec.structs.replace(SUITE_PAIR_LINKS[0].parameters, fidelity=0.25)
    return tuple(msgspec.structs.replace(each, parameters=noisy) for each in SUITE_PAIR_LINKS)


def as_told(message, now, _):
    return message, now


BROKEN = {
    "instructions are done twice": (
        driver(anew),
        "is not answered within|answered .* times|done twice|applied",
    ),
    "cut-offs are forgotten": (driver(without_cutoff), "EXPIRED|BAD_CUTOFF"),
    "gates are others": (driver(any_x), "ApplyGate is answered with Refused"),
    "measurements are along Z": (driver(along_z), "not measured as it was prepared"),
    "preparations are upside down": (driver(half_turned), "not measured as it was prepared"),
    "pairs are put elsewhere": (driver(elsewhere), "is to be refused|another cell"),
    "qubits do not move": (driver(stays), "is to be refused|answered with"),
    "a swap is a measurement": (driver(measures), "is to be refused|SwapPairs is answered"),
    "qubits live half as long": (driver(as_told, short_lived(0.5)), "qubits are left after 1 waits"),
    "qubits live for ever": (driver(as_told, short_lived(math.inf)), "qubits are left after 1 waits"),
    "cells are missing": (driver(as_told, memories(cells=3)), "is to be refused"),
    "measurements take no time": (driver(as_told, memories(measure_ps=0)), "CELL_BUSY|is told after"),
    "pairs are noise": (driver(as_told, links=poor_links()), "does not have its frame"),
}


@pytest.mark.parametrize(("make", "promise"), BROKEN.values(), ids=BROKEN)
def test_a_driver_that_breaks_a_promise_is_found_out(make, promise):
    with pytest.raises(AssertionError, match=promise):
        check_memory_devices(make)


class AgesWhenLookedAt(Pairs):
    """Take a look at a qubit for a wait of its own."""

    def instruct(self, message, sender, now):
        effects = super().instruct(message, sender, now)
        if isinstance(message, StoreQubit) and message.until_ps > now + PS_PER_S:
            self._devices[sender].cells[message.cell].touched_ps -= PS_PER_S // 4
        return effects


class GoesBack(Pairs):
    """Take an instruction of the past for one of the present."""

    latest = 0

    def instruct(self, message, sender, now):
        self.latest = max(now, self.latest)
        return super().instruct(message, sender, self.latest)


@pytest.mark.parametrize(
    ("devices", "promise"),
    [(AgesWhenLookedAt, "qubits are left after 2 waits"), (GoesBack, "measured back in time")],
)
def test_devices_that_keep_time_badly_are_found_out(devices, promise):
    with pytest.raises(AssertionError, match=promise):
        check_memory_devices(lambda seed, ports: devices(SUITE_MEMORIES, SUITE_PAIR_LINKS, ports, seed))

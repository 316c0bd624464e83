"""Tests of a circuit's pairs at its ends: which pairs, along which axis, and what the outcomes say.

Pairs that are good enough cannot be told apart (RFC 9340, 4.1), so that nobody knows the fidelity of one.
The ends measure a share of the pairs, the same ones along the same axis, for their names say which; what the
measurements of many say of all is for telemetry to tell.
"""

import math
from collections import OrderedDict
from zlib import crc32

import msgspec

from qstrata.fabric.messages.samples import AxisCount
from qstrata.physics.bell import SIGNS
from qstrata.strata.forwarding.resource.repeater import EndPair

AXES = (("x", math.pi / 2, 0.0), ("y", math.pi / 2, math.pi / 2), ("z", 0.0, 0.0))
"""The axes of test measurements, with polar angle and azimuth in radians."""

TESTS_KEPT = 256
"""An end waits for the other's word on its last so many tested pairs."""


class _Test(msgspec.Struct):
    pair: EndPair
    axis: int
    own: int | None = None


def axis_of_test(name: str, share: float) -> int | None:
    """Return the axis along which a pair is tested, None where it is not; both ends find the same."""
    draw = crc32(name.encode())
    if draw >= share * 2**32:
        return None
    return crc32(b"axis/" + name.encode()) % len(AXES)


class PairTests:
    """Keep the tests of one end: pairs being measured, the other end's outcomes, and counts by axis."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._tests: OrderedDict[str, _Test] = OrderedDict()
        self._words: OrderedDict[str, int] = OrderedDict()
        self._counts = [[0, 0] for _ in AXES]

    def begin(self, pair: EndPair) -> tuple[float, float] | None:
        """Return the direction (polar angle, azimuth) in which a pair is to be measured, None if it is not."""
        axis = axis_of_test(pair.name, self._share)
        if axis is None:
            return None
        self._tests[pair.name] = _Test(pair, axis)
        while len(self._tests) > TESTS_KEPT:
            self._tests.popitem(last=False)
        _, theta, phi = AXES[axis]
        return theta, phi

    def waits_for(self, name: str) -> bool:
        """Tell whether the own outcome of a pair is still to come."""
        test = self._tests.get(name)
        return test is not None and test.own is None

    def measured(self, name: str, bit: int) -> None:
        """Take the own outcome of a test."""
        self._tests[name].own = bit
        self._compare(name)

    def forget(self, name: str) -> bool:
        """Give a test up; tells whether there was one."""
        return self._tests.pop(name, None) is not None

    def hear(self, name: str, bit: int) -> None:
        """Take the other end's outcome of a test; it may come before the own one."""
        self._words[name] = bit
        while len(self._words) > TESTS_KEPT:
            self._words.popitem(last=False)
        self._compare(name)

    def counts(self) -> tuple[AxisCount, ...]:
        """Return what both ends measured, by axis."""
        rows = zip(AXES, self._counts, strict=True)
        return tuple(AxisCount(axis, pairs, total) for (axis, _, _), (pairs, total) in rows)

    def _compare(self, name: str) -> None:
        test, other = self._tests.get(name), self._words.get(name)
        if test is None or test.own is None or other is None:
            return
        del self._tests[name], self._words[name]
        count = self._counts[test.axis]
        count[0] += 1
        count[1] += SIGNS[test.pair.frame][test.axis] * (1 - 2 * (test.own ^ other))

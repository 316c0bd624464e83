"""Tests of a circuit's pairs at its ends: which pairs, along which directions, and what the outcomes say.

Pairs that are good enough cannot be told apart (RFC 9340, 4.1), so that nobody knows the fidelity of one.
What the measurements of many say of all is for telemetry to tell. Nobody may foresee a test: the head draws
which pairs are tested once all links of a pair have told their heralds, and tells the tail; each end draws
its own setting, and the tail tells it with its outcome, after the measurement (as the bases of BBM92 are).
"""

import math
from collections import OrderedDict
from itertools import product

import msgspec

from qstrata.core.randomness import RandomSource
from qstrata.fabric.messages.samples import SettingCount
from qstrata.physics.bell import SIGNS
from qstrata.strata.forwarding.resource.repeater import EndPair

DIRECTIONS = {
    "x": (math.pi / 2, 0.0),
    "y": (math.pi / 2, math.pi / 2),
    "z": (0.0, 0.0),
    "p": (math.pi / 4, 0.0),
    "m": (-math.pi / 4, 0.0),
}
"""Polar angle and azimuth of every setting, in radians: the axes, and (Z + X)/sqrt2 and (Z - X)/sqrt2."""

SETTINGS = tuple(DIRECTIONS)
HEAD, TAIL = "xxxyyzzz", "xxyyzzpm"
"""What each end draws from, all alike: axes for the fidelity, and Z and X against p and m for CHSH."""

COMPARED = ("xx", "yy", "zz", "zp", "zm", "xp", "xm")
"""The settings of head and tail whose outcomes are related; the others are drawn, and tell nothing."""

TESTS_KEPT = 256
"""An end waits for the other's word on its last so many tested pairs."""


class _Test(msgspec.Struct):
    pair: EndPair
    setting: str
    own: int | None = None


class PairTests:
    """Keep the tests of one end, which draws from `settings`: pairs being measured, outcomes, counts.

    `share` (0 to 1) of the pairs are tested; `random` is the end's own.
    """

    def __init__(self, share: float, settings: str, random: RandomSource) -> None:
        self._share = share
        self._settings = settings
        self._random = random
        self._tests: OrderedDict[str, _Test] = OrderedDict()
        self._words: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._counts = {settings: [0, 0] for settings in COMPARED}

    def draw(self) -> bool:
        """Draw whether a pair is tested."""
        return int.from_bytes(self._random.bytes(4), "big") < self._share * 2**32

    def begin(self, pair: EndPair) -> tuple[float, float]:
        """Draw the direction (polar angle, azimuth) in which a pair is to be measured."""
        setting = self._settings[self._random.bytes(1)[0] % len(self._settings)]
        self._tests[pair.name] = _Test(pair, setting)
        while len(self._tests) > TESTS_KEPT:
            self._tests.popitem(last=False)
        return DIRECTIONS[setting]

    def waits_for(self, name: str) -> EndPair | None:
        """Return the pair whose own outcome is still to come, None where it is not."""
        test = self._tests.get(name)
        return test.pair if test is not None and test.own is None else None

    def measured(self, name: str, bit: int) -> tuple[int, int]:
        """Take the own outcome of a test; returns what may be told now: number of the setting, bit."""
        test = self._tests[name]
        test.own = bit
        self._compare(name)
        return SETTINGS.index(test.setting), bit

    def forget(self, name: str) -> bool:
        """Give a test up; tells whether there was one."""
        return self._tests.pop(name, None) is not None

    def hear(self, name: str, setting: int, bit: int) -> None:
        """Take the other end's setting and outcome of a test; they may come before the own one."""
        self._words[name] = SETTINGS[setting], bit
        while len(self._words) > TESTS_KEPT:
            self._words.popitem(last=False)
        self._compare(name)

    def counts(self) -> tuple[SettingCount, ...]:
        """Return what the head has compared, by the settings of both ends."""
        return tuple(SettingCount(settings, *count) for settings, count in self._counts.items())

    def _compare(self, name: str) -> None:
        test, word = self._tests.get(name), self._words.get(name)
        if test is None or test.own is None or word is None:
            return
        del self._tests[name], self._words[name]
        other, bit = word
        count = self._counts.get(test.setting + other)
        if count is not None:
            count[0] += 1
            count[1] += wanted_sign(test.setting + other, test.pair) * (1 - 2 * (test.own ^ bit))


def wanted_sign(settings: str, pair: EndPair) -> int:
    """Return the sign that the product of outcomes has more often in compared settings."""
    sign = SIGNS[pair.frame]["xyz".index(settings[0])]
    return -sign if settings == "xm" else sign


def shares() -> dict[str, float]:
    """Return how often each compared setting is drawn, as a share of the pairs that are tested."""
    drawn = [one + other for one, other in product(HEAD, TAIL)]
    return {settings: drawn.count(settings) / len(drawn) for settings in COMPARED}

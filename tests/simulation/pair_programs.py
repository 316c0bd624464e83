"""Programs at the ends of a circuit, of nothing but the instruction set: BBM92 with CHSH, teleportation."""

import math
from typing import ClassVar

from qstrata.core.effects import Send
from qstrata.core.randomness import stream
from qstrata.fabric.messages.entanglement import Purpose
from qstrata.fabric.messages.qubits import (
    ApplyGate,
    DistilOutcome,
    DistilPairs,
    FreeCell,
    Measured,
    MeasureQubit,
    MoveQubit,
    PrepareQubit,
)
from qstrata.physics.entanglement_distillation import Distillation, frame_after
from qstrata.strata.forwarding.resource.repeater import RepeaterElement

HALF = math.pi / 2
KEY_BASES = 2
"""The first two angles of an end give key, the others are for the test alone."""


def framed(theta, frame):
    """Return the angle in the x-z plane that measures a framed pair as `theta` measures Phi+."""
    if frame & 2:
        theta = math.pi - theta
    return -theta if frame & 1 else theta


class Collecting(RepeaterElement):
    """Write down every pair of both ends, and forget it."""

    def __init__(self, *given, **distils):
        super().__init__(*given, **distils)
        self.pairs = []

    def deliver(self, pair, now):
        self.pairs.append((now, pair))
        return self.finish(now)


class AxisMeasuring(RepeaterElement):
    """Measure every pair along x, y or z, the same axis at both ends."""

    ALONG = ((HALF, 0.0), (HALF, HALF), (0.0, 0.0))

    def __init__(self, *given, **distils):
        super().__init__(*given, **distils)
        self.on(Measured, self._measured)
        self._pair = None
        self.outcomes = {}

    @classmethod
    def axis(cls, name):
        return int(stream(5, "axis", name).integers(3))

    def deliver(self, pair, now):
        self._pair = pair
        along = self.ALONG[self.axis(pair.name)]
        return [Send(self.device, MeasureQubit(f"{self.address.site}/test/{pair.name}", pair.cell, *along))]

    def _measured(self, message, sender, now):
        self.outcomes[self._pair.name] = (self._pair.frame, message.bit.take()[0])
        return self.finish(now, measured=True)


class Measuring(RepeaterElement):
    """Be one end of E91 and BBM92: measure along a drawn angle, tell which; give up the bits of the test."""

    ANGLES: ClassVar = {True: (0.0, HALF), False: (0.0, HALF, math.pi / 4, -math.pi / 4)}

    def __init__(self, *given):
        super().__init__(*given)
        self.on(Measured, self._measured)
        self._draws = stream(7, "angles", self.address.site)
        self._current = None
        self.own = {}
        self.theirs = {}
        self.given_up = {}

    def deliver(self, pair, now):
        angles = self.ANGLES[self.is_head]
        basis = int(self._draws.integers(len(angles)))
        self._current = (pair, basis)
        # One end alone takes the frame into account, by turning its analyser.
        theta = angles[basis] if self.is_head else framed(angles[basis], pair.frame)
        return [Send(self.device, MeasureQubit(f"{self.address.site}/{pair.name}", pair.cell, theta))]

    def _measured(self, message, sender, now):
        pair, basis = self._current
        self.own[pair.name] = (basis, message.bit.take()[0])
        told = self.tell(pair.name, Purpose.BASIS, basis)
        return [told, *self._sift(pair.name), *self.finish(now, measured=True)]

    def hear(self, word, now):
        if word.purpose is Purpose.BASIS:
            (self.theirs[word.pair],) = word.bits
            return self._sift(word.pair)
        (self.given_up[word.pair],) = word.bits
        return []

    def _sift(self, name):
        if name in self.own and name in self.theirs and not self.is_key(name):
            return [self.tell(name, Purpose.BIT, self.own[name][1])]
        return []

    def is_key(self, name):
        """Tell whether both ends measured a pair in the same basis of the key."""
        return self.own[name][0] == self.theirs[name] < KEY_BASES

    def key(self):
        """Return the sifted bits of the pairs that both ends know, by pair."""
        return {name: bit for name, (_, bit) in self.own.items() if name in self.theirs and self.is_key(name)}

    def correlations(self):
        """Return the mean product of outcomes, and how many pairs, by the bases of head and tail."""
        sums = {}
        for name, bit in self.given_up.items():
            if name not in self.own:
                continue
            bases = (self.own[name][0], self.theirs[name])
            bases = bases if self.is_head else bases[::-1]
            total, count = sums.get(bases, (0, 0))
            sums[bases] = (total + 1 - 2 * (bit ^ self.own[name][1]), count + 1)
        return {bases: (total / count, count) for bases, (total, count) in sums.items()}

    def chsh(self):
        """Return the CHSH value, and its standard error."""
        found = self.correlations()
        terms = [(found[0, 2], 1), (found[0, 3], 1), (found[1, 2], 1), (found[1, 3], -1)]
        error = math.sqrt(sum((1 - mean**2) / count for (mean, count), _ in terms))
        return sum(sign * mean for (mean, _), sign in terms), error


class Teleporting(RepeaterElement):
    """Send qubits drawn at the head; the tail corrects them and checks them along the direction drawn."""

    SOURCE = 2

    def __init__(self, *given):
        super().__init__(*given)
        self.on(Measured, self._measured)
        self._pair = None
        self._bits = {}
        self.checks = []

    @staticmethod
    def drawn(name):
        """Return the direction of the qubit that is sent with a pair, uniform on the sphere."""
        draws = stream(3, "sent", name)
        return math.acos(1 - 2 * draws.random()), 2 * math.pi * draws.random()

    def deliver(self, pair, now):
        self._pair = pair
        if not self.is_head:
            return []
        return [
            self._do(PrepareQubit, "prepare", self.SOURCE, *self.drawn(pair.name)),
            self._do(ApplyGate, "cx", "cx", (self.SOURCE, pair.cell)),
            self._do(ApplyGate, "h", "h", (self.SOURCE,)),
            self._do(MeasureQubit, "z", self.SOURCE),
            self._do(MeasureQubit, "x", pair.cell),
        ]

    def hear(self, word, now):
        if self._pair is None or word.pair != self._pair.name:
            return []
        gates = [gate for gate, bit in zip("xz", word.bits, strict=True) if bit]
        applied = [self._do(ApplyGate, f"correct-{gate}", gate, (self._pair.cell,)) for gate in gates]
        return [*applied, self._do(MeasureQubit, "check", self._pair.cell, *self.drawn(self._pair.name))]

    def _measured(self, message, sender, now):
        what = message.instruction.rpartition("/")[2]
        bit = message.bit.take()[0]
        if what == "check":
            self.checks.append(bit)
            self._pair = None
            return self.finish(now, measured=True)
        self._bits[what] = bit
        if what != "x":
            return []
        pair, bits = self._pair, self._bits
        self._pair, self._bits = None, {}
        correction = (bits["x"] ^ pair.frame >> 1, bits["z"] ^ pair.frame & 1)
        return [self.tell(pair.name, Purpose.CORRECTION, *correction), *self.finish(now, measured=True)]

    def _do(self, kind, what, *fields):
        return Send(self.device, kind(f"{self.address.site}/{self._pair.name}/{what}", *fields))


class Distilling(RepeaterElement):
    """Distil every two pairs of the circuit into one by DEJMPS, and measure what comes of it in Z.

    The first of two pairs is moved aside to make room for the second.
    """

    ASIDE = 2
    PROTOCOL = Distillation.DEJMPS

    def __init__(self, *given):
        super().__init__(*given)
        self.on(DistilOutcome, self._distilled)
        self.on(Measured, self._measured)
        self._aside = None
        self._second = None
        self._bits = {}
        self._kept = None
        self.tries = 0
        self.measured = []

    def deliver(self, pair, now):
        if self._aside is None:
            self._aside = pair
            move = MoveQubit(f"{self.address.site}/{pair.name}/move", pair.cell, self.ASIDE)
            return [Send(self.device, move), *self.finish(now, measured=True)]
        self._second = pair
        name = f"{self.address.site}/{self._aside.name}/distil"
        return [Send(self.device, DistilPairs(name, self.ASIDE, pair.cell, self.PROTOCOL))]

    def _distilled(self, message, sender, now):
        self._bits[self._aside.name, True] = message.bit
        told = self.tell(self._aside.name, Purpose.DISTILLED, message.bit)
        return [told, *self._compare(now)]

    def hear(self, word, now):
        (self._bits[word.pair, False],) = word.bits
        return self._compare(now)

    def _compare(self, now):
        if self._aside is None or self._second is None:
            return []
        own, far = (self._bits.get((self._aside.name, end)) for end in (True, False))
        if own is None or far is None:
            return []
        frame, parity = frame_after(self.PROTOCOL, self._aside.frame, self._second.frame)
        self.tries += 1
        name = f"{self.address.site}/{self._aside.name}"
        if own ^ far != parity:
            self._aside = self._second = None
            return [
                Send(self.device, FreeCell(f"{name}/failed", self.ASIDE)),
                *self.finish(now, measured=True),
            ]
        self._kept = (self._aside.name, frame)
        return [Send(self.device, MeasureQubit(f"{name}/measure", self.ASIDE))]

    def _measured(self, message, sender, now):
        self.measured.append((*self._kept, message.bit.take()[0]))
        self._aside = self._second = None
        return self.finish(now, measured=True)

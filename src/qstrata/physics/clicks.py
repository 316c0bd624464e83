"""Clicks of a decoy-state BB84 link, one by one, as both ends record them.

The pulses between two clicks are skipped: numpy draws how many, by geometric law, and a word of random bits
for each click, of which a kernel makes bases, intensity and bits at both ends. Before the detectors act,
every kind of click is as probable as at level `counts` (`side_channels.detector_cells`); dead time and
after-pulses act on the clicks in their order.
"""

import math

import numpy as np
from numpy.typing import NDArray

from qstrata.physics.click_records import (
    INTENSITY_SHIFT,
    RECEIVER_BIT,
    RECEIVER_X,
    SENDER_X,
    Clicks,
    joined,
    triple,
)
from qstrata.physics.compiled import kernel
from qstrata.physics.counts import Triple, outcome_probabilities
from qstrata.physics.detectors import dead_pulses
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.side_channels import detector_cells

BATCH = 1 << 18
_CELL_BITS = 31
_CHANCE_BITS = 30
_GUIDES = 256
_DIFFER = 64
_DETECTOR_SHIFT = 7
_POSITION, _DEAD, _PENDING, _MADE = 0, 1, 3, 5

Numbers = NDArray[np.int64]


class ClickSampler:
    """Draw the clicks of one link, stretch after stretch; the detectors keep their state in between."""

    def __init__(self, parameters: LinkParameters) -> None:
        self._state = np.zeros(6, dtype=np.int64)
        self._state[_DEAD : _DEAD + 2] = -1
        self._state[_PENDING : _PENDING + 2] = -1
        self.change(parameters)

    def change(self, parameters: LinkParameters) -> None:
        """Let the link behave differently from the next stretch on."""
        cells = detector_cells(parameters)
        silent = outcome_probabilities(parameters)[:, -1]
        self._silent = silent / silent.sum()
        self._clicks = float(cells.sum())
        self._dead = dead_pulses(parameters.dead_time_ns, parameters.pulse_rate_hz)
        self._chance = round(parameters.afterpulse_probability * (1 << _CHANCE_BITS))
        self._kinds = _table(cells.ravel(), _KINDS)
        z, z_bob = parameters.sender_z_probability, parameters.receiver_z_probability
        bases = np.array([z * z_bob, (1.0 - z) * (1.0 - z_bob), (1.0 - z) * z_bob, z * (1.0 - z_bob)])
        dark = np.outer(parameters.intensity_probabilities, bases).ravel()
        self._dark_kinds = _table(dark, _DARK_KINDS)

    def sample(self, generator: np.random.Generator, pulses: int) -> Clicks:
        """Return the clicks of the next `pulses` >= 0 pulses, numbered from 0."""
        parts: list[Clicks] = []
        state = self._state
        state[_POSITION] = -1
        finished = self._clicks <= 0.0 or not pulses
        scale = -1.0 / math.log1p(-self._clicks) if self._clicks > 0.0 else 0.0
        while not finished:
            expected = (pulses - int(state[_POSITION])) * self._clicks
            size = min(BATCH, int(expected + 5.0 * math.sqrt(expected)) + 16)
            waits = generator.standard_exponential(size)
            words = generator.integers(0, 1 << 63, size, dtype=np.int64)
            spare = size if self._chance else 0
            after = generator.integers(0, 1 << 63, spare, dtype=np.int64)
            positions = np.empty(size + spare, dtype=np.int64)
            records = np.empty(size + spare, dtype=np.uint8)
            finished = assemble(
                waits,
                scale,
                words,
                after,
                pulses,
                self._dead,
                self._chance,
                self._kinds,
                self._dark_kinds,
                state,
                positions,
                records,
            )
            made = int(state[_MADE])
            parts.append(Clicks(positions[:made], records[:made]))
        # The next stretch counts from 0 again.
        state[_DEAD:_MADE] -= pulses
        return joined(parts)

    def sent(self, generator: np.random.Generator, clicks: Clicks, pulses: int) -> Triple:
        """Draw how many of `pulses` had each intensity, given the clicks among them."""
        seen = np.bincount(clicks.intensities, minlength=3)
        return triple(seen + generator.multinomial(pulses - len(clicks.records), self._silent))


def _table(probabilities: NDArray[np.float64], kinds: list[int]) -> Numbers:
    """Return a table to draw kinds from with random bits: for their highest ones where to begin to look, then
    the upper bound of every kind, then the kinds."""
    total = probabilities.sum()
    shares = np.cumsum(probabilities) / (total if total > 0.0 else 1.0)
    bounds = np.rint(shares * (1 << _CELL_BITS)).astype(np.int64)
    last = int(np.flatnonzero(probabilities)[-1]) if total > 0.0 else 0
    bounds[last:] = 1 << _CELL_BITS
    firsts = np.arange(_GUIDES, dtype=np.int64) * ((1 << _CELL_BITS) // _GUIDES)
    guide = np.searchsorted(bounds, firsts, side="right")
    return np.concatenate([guide, bounds, np.array(kinds)]).astype(np.int64)


@kernel
def pick(table: Numbers, word: int) -> int:
    """Return the kind that the lowest bits of a random word choose from a table."""
    share = word & ((1 << _CELL_BITS) - 1)
    entry = _GUIDES + table[share // ((1 << _CELL_BITS) // _GUIDES)]
    while share >= table[entry]:
        entry += 1
    return int(table[entry + (len(table) - _GUIDES) // 2])


@kernel
def next_afterpulse(state: Numbers) -> int:
    """Return the detector whose after-pulse is due first; its due time is below 0 where none is."""
    first, second = state[_PENDING], state[_PENDING + 1]
    return 1 if first < 0 or 0 <= second < first else 0


@kernel
def rest(state: Numbers, detector: int, until: int, word: int, chance: int) -> None:
    """Let a detector be dead until a pulse, and after-pulse then if the highest bits of a word say so."""
    state[_DEAD + detector] = until
    state[_PENDING + detector] = until + 1 if word >> (_CELL_BITS + 2) < chance else -1


@kernel
def assemble(
    waits: NDArray[np.float64],
    scale: float,
    words: Numbers,
    after: Numbers,
    pulses: int,
    dead: int,
    chance: int,
    kinds: Numbers,
    dark_kinds: Numbers,
    state: Numbers,
    positions: Numbers,
    records: NDArray[np.uint8],
) -> bool:
    """Make clicks of what was drawn, and let the detectors record them; say whether the stretch is over.

    `state` is the position, until when either detector is dead, when its after-pulse is due or below 0, and
    how many clicks were made here (written).
    """
    made = 0
    used = 0
    position = state[_POSITION]
    last = -1
    for i in range(len(waits)):
        position += np.int64(waits[i] * scale) + 1
        until = min(position, pulses)
        while used < len(after):
            detector = next_afterpulse(state)
            due = state[_PENDING + detector]
            if due < 0 or due >= until:
                break
            word = after[used]
            used += 1
            rest(state, detector, due + dead, word, chance)
            if due != last:
                positions[made] = due
                kind = pick(dark_kinds, word)
                records[made] = kind | ((word >> _CELL_BITS) & 1) | (detector << 1)
                made += 1
                last = due
        if position >= pulses:
            state[_POSITION] = pulses
            state[_MADE] = made
            return True
        word = words[i]
        kind = pick(kinds, word)
        got = kind >> _DETECTOR_SHIFT
        sent = got ^ ((kind >> 1) & 1)
        if kind & _DIFFER:
            sent = (word >> _CELL_BITS) & 1
        if position > state[_DEAD + got]:
            rest(state, got, position + dead, word, chance)
            if position != last:
                positions[made] = position
                records[made] = (kind & 60) | sent | (got << 1)
                made += 1
                last = position
    state[_POSITION] = position
    state[_MADE] = made
    return False


def _kinds(columns: tuple[int, ...]) -> list[int]:
    return [(intensity << INTENSITY_SHIFT) | kind for intensity in range(3) for kind in columns]


_KINDS = [
    (detector << _DETECTOR_SHIFT) | kind
    for detector in range(2)
    for kind in _kinds(
        (
            0,
            RECEIVER_BIT,
            SENDER_X | RECEIVER_X,
            SENDER_X | RECEIVER_X | RECEIVER_BIT,
            SENDER_X | _DIFFER,
            RECEIVER_X | _DIFFER,
        )
    )
]
"""The 18 kinds of clicks of either detector as `counts` orders them; RECEIVER_BIT stands for an error."""
_DARK_KINDS = _kinds((0, SENDER_X | RECEIVER_X, SENDER_X, RECEIVER_X))

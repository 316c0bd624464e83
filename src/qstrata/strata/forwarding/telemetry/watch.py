"""The watch over one link: what its instruments say, from sample to sample and from block to block.

Samples of one block are judged together as they come, so that a strong attack shows within seconds and a weak
one at the end of the block. Where the click rate steps, light was lost or found: the samples before and after
are judged apart, and the one between them not at all. A block has passed if most of it was judged and nothing
was found; the suspect window runs from the block after the last one that passed.

Devices that tell raw blocks count clicks alone. What both ends compare when they distil such a block is
judged when they tell of it, and the block has passed only then. A watch that begins amid a block does not let
it pass, and knows of those before what is recalled to it; without that its first window runs from block 1.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from qstrata.fabric.messages.reports import Evidence, Suspicion
from qstrata.fabric.messages.samples import Verdicts
from qstrata.physics.counts import Counts
from qstrata.physics.instruments import LIGHT, instruments_of, is_compared, step_of_light
from qstrata.physics.monitors import (
    DECOY_RATIO,
    QBER_X,
    QBER_Z,
    VACUUM_YIELD,
    Reading,
)
from qstrata.physics.parameters import KeyLinkParameters
from qstrata.physics.tallies import Tally, add

STEP_DEVIANCE = 40.0
"""Above this deviance from the samples before, the light has stepped: it takes nine standard errors."""

LIGHT_SHARE = 0.05
"""A click rate or transmittance that differs by less from what was commissioned is no alarm."""

PASSED_SHARE = 0.75
"""A block passes if at least so much of it was judged: a click rate that keeps stepping hides no attack."""


DOUBT_MIN = 1e-300
"""No smaller probability is told."""

LENGTHS_KEPT = 8
"""A block is held against the longest of so many: one whose samples were lost does not pass."""

HALVES_KEPT = 64
"""Raw blocks that wait for the other half of their verdict."""

COMPARED = (QBER_Z, QBER_X, DECOY_RATIO, VACUUM_YIELD)
"""The instruments that need what both ends compare."""


class LinkWatch:
    """Watch one link, known as it was commissioned; what is known of blocks goes on from a watch `before`."""

    def __init__(self, link: str, commissioned: KeyLinkParameters, before: "LinkWatch | None" = None) -> None:
        self.link = link
        self.suspicion: Suspicion | None = before.suspicion if before is not None else None
        self.past: Suspicion | None = before.past if before is not None else None
        self.light: Reading | None = None
        self.commissioned = commissioned
        self._instruments = instruments_of(commissioned)
        self._passed: int = before._passed if before is not None else 0
        self._told: int = before._told if before is not None else 0
        self._quiet: dict[int, None] = {}
        self._sound: dict[int, None] = {}
        self._lengths: deque[int] = deque(maxlen=LENGTHS_KEPT)
        self._begin(0)

    def _begin(self, block: int) -> None:
        self._block = block
        self._pulses = self._judged = 0
        self._found = self._is_compared = False
        self._stretch = self.commissioned.protocol.nothing

    def count(self, block: int, counts: Tally, now: int) -> bool:
        """Take a sample in, and tell whether what it leads to suspect has changed."""
        before = (self.suspicion, self.light)
        if block != self._block:
            self._end_block()
            self._begin(block)
        self._pulses += counts.pulses
        if self._goes_on(counts):
            self._stretch = add(self._stretch, counts)
            self._judged += counts.pulses
            self._judge(now)
        else:
            self._stretch = self.commissioned.protocol.nothing
        self._is_compared = self._is_compared or is_compared(counts)
        return before != (self.suspicion, self.light)

    def compare(self, block: int, counts: Counts, errors: int | None, now: int) -> bool:
        """Take in what both ends of a raw block have told each other, once; tell whether suspicion changed.

        `errors` were corrected in its key, None where that is not known. Its click rates were judged before.
        """
        before = self.suspicion
        if block <= self._told or not is_compared(counts):
            return False
        self._told = block
        counts = msgspec.structs.replace(counts, m=((errors or 0, 0, 0), counts.m[1]))
        findings = self._instruments.findings(counts)
        attack = [
            reading
            for reading in findings
            if reading.instrument in COMPARED and not (errors is None and reading.instrument == QBER_Z)
        ]
        if attack:
            self._suspect(block, attack, now)
        else:
            self._note(self._sound, block)
        return before != self.suspicion

    def _goes_on(self, counts: Tally) -> bool:
        return step_of_light(self._stretch, counts) < STEP_DEVIANCE

    def _judge(self, now: int) -> None:
        found = self._instruments.findings(self._stretch)
        light = next((reading for reading in found if reading.instrument in LIGHT), None)
        attack = [reading for reading in found if reading.instrument not in LIGHT]
        self.light = light if light and _differs(light) else None
        if attack:
            self._found = True
            self._suspect(self._block, attack, now)

    @property
    def told(self) -> Suspicion | None:
        """Return what is suspected, or was and is not settled: a new suspicion takes that in."""
        return self.suspicion or self.past

    def settle(self, last_block: int) -> None:
        """Forget a window that stands no more: control has set it aside."""
        if self.past is not None and self.past.last_block <= last_block:
            self.past = None

    def verdicts(self, now: int) -> Verdicts:
        """Return what is to be known of the blocks after a restart."""
        told = self.told
        if told is None:
            return Verdicts(now, self._passed)
        window = told.first_block, told.last_block
        return Verdicts(now, self._passed, *window, told.raised_ps, told.stands)

    def recall(self, kept: Verdicts) -> None:
        """Know again what was judged before a restart, beside what has been since."""
        stands = kept.stands and self._passed <= kept.last_block
        self._passed = max(self._passed, kept.passed)
        if not kept.last_block:
            return
        known = self.told
        again = Suspicion(
            link=self.link,
            first_block=min(known.first_block, kept.first_block) if known else kept.first_block,
            last_block=max(known.last_block, kept.last_block) if known else kept.last_block,
            raised_ps=kept.raised_ps,
            evidence=known.evidence if known else (),
            stands=stands or self.suspicion is not None,
        )
        self.suspicion, self.past = (again, None) if again.stands else (None, again)

    def _suspect(self, block: int, attack: Sequence[Reading], now: int) -> None:
        known, stood = self.told, self.suspicion
        self.past = None
        self.suspicion = Suspicion(
            link=self.link,
            first_block=min(known.first_block, block) if known else min(self._passed + 1, block),
            last_block=max(known.last_block, block) if known else block,
            raised_ps=stood.raised_ps if stood else now,
            evidence=tuple(_evidence(reading) for reading in attack),
        )

    def _end_block(self) -> None:
        if not self._pulses:
            return
        self._lengths.append(self._pulses)
        heard_whole = self._block == 1 or len(self._lengths) > 1
        if heard_whole and not self._found and self._judged >= PASSED_SHARE * max(self._lengths):
            if self._is_compared:
                self._pass(self._block)
            else:
                self._note(self._quiet, self._block)

    def _note(self, half: dict[int, None], block: int) -> None:
        """Note that one half of a raw block's verdict is good: its clicks, or what both ends compared."""
        half[block] = None
        while len(half) > HALVES_KEPT:
            del half[next(iter(half))]
        if block in self._quiet and block in self._sound:
            del self._quiet[block], self._sound[block]
            self._pass(block)

    def _pass(self, block: int) -> None:
        self._passed = max(self._passed, block)
        if self.suspicion is not None and block > self.suspicion.last_block:
            self.past, self.suspicion = msgspec.structs.replace(self.suspicion, stands=False), None


def _differs(reading: Reading) -> bool:
    return abs(reading.observed - reading.expected) > LIGHT_SHARE * reading.expected


def _evidence(reading: Reading) -> Evidence:
    return Evidence(reading.instrument, reading.observed, reading.expected, reading.false_alarm)


def in_words(suspicion: Suspicion) -> str:
    """Return a suspicion for operators: which blocks, what was seen, and how sure that is."""
    first, last = suspicion.first_block, suspicion.last_block
    return evidence_in_words(
        f"block {first}" if first == last else f"blocks {first} to {last}", suspicion.evidence
    )


def evidence_in_words(where: str, evidence: Sequence[Evidence]) -> str:
    """Return what is suspected where, what was seen, and how sure that is."""
    seen = "; ".join(
        f"{each.instrument} {each.observed:.4g} instead of {each.expected:.4g}" for each in evidence
    )
    # Smaller ones come to 0, which no probability of chance is.
    doubt = max(min(each.false_alarm for each in evidence), DOUBT_MIN)
    return f"possible attack in {where}: {seen} (by chance with probability {doubt:.1g} at most)"


def light_in_words(reading: Reading) -> str:
    """Return what is said of light that is not as commissioned."""
    change = 100.0 * (reading.observed / reading.expected - 1.0)
    what = "light is lost or taken" if change < 0 else "there is light that was not commissioned"
    return f"{reading.instrument} {change:+.0f} %: {what}"

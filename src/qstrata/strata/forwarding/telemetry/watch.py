"""The watch over one link: what its instruments say, from sample to sample and from block to block.

Samples of one block are judged together as they come, so that a strong attack shows within seconds and a weak
one at the end of the block. Where the click rate steps, light was lost or found: the samples before and after
are judged apart, and the one between them not at all. A block has passed if most of it was judged and nothing
was found; the suspect window runs from the block after the last one that passed.
"""

from qstrata.fabric.messages.reports import Evidence, Suspicion
from qstrata.physics.counts import Counts, add, zero
from qstrata.physics.monitors import CLICK_RATE, Instruments, Reading, divergence
from qstrata.physics.parameters import KeyLinkParameters

STEP_DEVIANCE = 40.0
"""Above this deviance from the samples before, the click rate has stepped: it takes nine standard errors."""

LIGHT_SHARE = 0.05
"""A click rate that differs by less from what was commissioned is no alarm."""

PASSED_SHARE = 0.75
"""A block passes if at least so much of it was judged: a click rate that keeps stepping hides no attack."""


class LinkWatch:
    """Watch one link, known as it was commissioned."""

    def __init__(self, link: str, commissioned: KeyLinkParameters) -> None:
        self.link = link
        self.suspicion: Suspicion | None = None
        self.light: Reading | None = None
        self.commissioned = commissioned
        self._instruments = Instruments(commissioned)
        self._block = 0
        self._passed = 0
        self._pulses = 0
        self._judged = 0
        self._found = False
        self._stretch = zero()

    def count(self, block: int, counts: Counts, now: int) -> bool:
        """Take a sample in, and tell whether what it leads to suspect has changed."""
        before = (self.suspicion, self.light)
        if block != self._block:
            self._end_block()
            self._block, self._pulses, self._judged, self._found = block, 0, 0, False
            self._stretch = zero()
        self._pulses += counts.pulses
        if self._goes_on(counts):
            self._stretch = add(self._stretch, counts)
            self._judged += counts.pulses
            self._judge(now)
        else:
            self._stretch = zero()
        return before != (self.suspicion, self.light)

    def _goes_on(self, counts: Counts) -> bool:
        pulses = self._stretch.pulses
        if not pulses or not counts.pulses:
            return True
        rate, before = counts.detections / counts.pulses, self._stretch.detections / pulses
        return counts.pulses * divergence(rate, before) < STEP_DEVIANCE

    def _judge(self, now: int) -> None:
        found = self._instruments.findings(self._stretch)
        light = next((reading for reading in found if reading.instrument == CLICK_RATE), None)
        attack = tuple(reading for reading in found if reading.instrument != CLICK_RATE)
        self.light = light if light and _differs(light) else None
        if attack:
            self._found = True
            known = self.suspicion
            self.suspicion = Suspicion(
                link=self.link,
                first_block=known.first_block if known else self._passed + 1,
                last_block=self._block,
                raised_ps=known.raised_ps if known else now,
                evidence=tuple(_evidence(reading) for reading in attack),
            )

    def _end_block(self) -> None:
        if self._pulses and not self._found and self._judged >= PASSED_SHARE * self._pulses:
            self._passed = self._block
            self.suspicion = None


def _differs(reading: Reading) -> bool:
    return abs(reading.observed - reading.expected) > LIGHT_SHARE * reading.expected


def _evidence(reading: Reading) -> Evidence:
    return Evidence(reading.instrument, reading.observed, reading.expected, reading.false_alarm)


def in_words(suspicion: Suspicion) -> str:
    """Return a suspicion for operators: which blocks, what was seen, and how sure that is."""
    first, last = suspicion.first_block, suspicion.last_block
    blocks = f"block {first}" if first == last else f"blocks {first} to {last}"
    seen = "; ".join(
        f"{each.instrument} {each.observed:.4g} instead of {each.expected:.4g}" for each in suspicion.evidence
    )
    doubt = min(each.false_alarm for each in suspicion.evidence)
    return f"possible attack in {blocks}: {seen} (by chance with probability {doubt:.1g} at most)"


def light_in_words(reading: Reading) -> str:
    """Return what is said of a click rate that is not as commissioned."""
    change = 100.0 * (reading.observed / reading.expected - 1.0)
    what = "light is lost or taken" if change < 0 else "there is light that was not commissioned"
    return f"click rate {change:+.0f} %: {what}"

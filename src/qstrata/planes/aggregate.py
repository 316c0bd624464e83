"""Aggregation: from samples to rates, error rates and the alarms that stand."""

from collections.abc import Collection

import msgspec

from qstrata.core.time import to_seconds
from qstrata.fabric.messages.reports import Alarm
from qstrata.physics.counts import Counts
from qstrata.physics.tallies import Tally

BLOCKS_KEPT = 8
"""Blocks over which a key rate slides; chosen by qstrata."""


class DistilledBlock(msgspec.Struct, frozen=True, gc=False):
    """One block: its number, length in bits, duration, and when it was heard of."""

    number: int
    length_bits: int
    duration_ps: int
    at_ps: int


class KeyRate(msgspec.Struct, frozen=True, gc=False):
    """The last blocks of a link, and how many have been heard of in all; both ends report each."""

    recent: tuple[DistilledBlock, ...] = ()
    blocks: int = 0

    def with_block(self, block: DistilledBlock) -> "KeyRate":
        """Add a block; one that is known already changes nothing."""
        if any(known.number == block.number for known in self.recent):
            return self
        return KeyRate((*self.recent, block)[-BLOCKS_KEPT:], self.blocks + 1)

    def rate_bps(self, now: int) -> float:
        """Return bits over seconds of the last blocks; 0 without any.

        A block that is overdue by half its duration counts as one without key, so that the rate of a
        link that has stopped falls.
        """
        duration_ps = sum(block.duration_ps for block in self.recent)
        if duration_ps <= 0:
            return 0.0
        last = self.recent[-1]
        waited_ps = now - last.at_ps
        if 2 * waited_ps > 3 * last.duration_ps:
            duration_ps += waited_ps - last.duration_ps
        return sum(block.length_bits for block in self.recent) / to_seconds(duration_ps)


def key_basis_qber(counts: Tally) -> float | None:
    """Return the error rate in the key basis, None without a detection there, or without such a basis."""
    if not isinstance(counts, Counts):
        return None
    detected = sum(counts.n[0])
    return sum(counts.m[0]) / detected if detected else None


def per_second(count: int, elapsed_ps: int) -> float:
    """Return a count as a rate over the time it took; 0 when no time has passed."""
    return count / to_seconds(elapsed_ps) if elapsed_ps > 0 else 0.0


class AlarmBoard:
    """Hold the alarms that stand, by subject and channel, and the sources that uphold each."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, str, str], Alarm] = {}

    def raised(self, source: str, subject: str, channel: str, finding: str, now: int) -> None:
        """Raise an alarm; while it stands it keeps its first instant and takes the newest words."""
        key = (subject, channel, source)
        known = self._standing.get(key)
        since = known.raised_ps if known is not None else now
        self._standing[key] = Alarm(subject, channel, finding, since)

    def cleared(self, source: str, subject: str, channel: str = "") -> None:
        """Clear what a source raised about a subject, of one channel or, if empty, of all."""
        for key in [key for key in self._standing if key[0] == subject and key[2] == source]:
            if not channel or key[1] == channel:
                del self._standing[key]

    def keep(self, subjects: Collection[str]) -> None:
        """Drop the alarms of all other subjects."""
        self._standing = {key: alarm for key, alarm in self._standing.items() if key[0] in subjects}

    def standing(self) -> tuple[Alarm, ...]:
        """Return one alarm a subject and channel, the oldest of its sources, ordered by name."""
        alarms: dict[tuple[str, str], Alarm] = {}
        for key in sorted(self._standing):
            alarm = self._standing[key]
            known = alarms.get(key[:2])
            if known is None or alarm.raised_ps < known.raised_ps:
                alarms[key[:2]] = alarm
        return tuple(alarms.values())

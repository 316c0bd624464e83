"""Time: integer picoseconds since the network's start, and one anchor to the calendar.

Every instant inside the network is an `int` of picoseconds counted from the start of the network; a
Python integer does not overflow. The calendar is met only through `EpochAnchor`.
"""

import time

import msgspec

PS_PER_US = 1_000_000
PS_PER_MS = 1_000_000_000
PS_PER_S = 1_000_000_000_000


def seconds(value: float) -> int:
    """Convert seconds to integer picoseconds, rounded to the nearest."""
    return round(value * PS_PER_S)


def to_seconds(time_ps: int) -> float:
    """Convert integer picoseconds to seconds."""
    return time_ps / PS_PER_S


class EpochAnchor(msgspec.Struct, frozen=True):
    """Tie the network's time 0 to the calendar; `epoch_s` is Unix time in whole seconds."""

    epoch_s: int

    def to_epoch_s(self, time_ps: int) -> int:
        """Return the Unix time in whole seconds of an instant, rounded down."""
        return self.epoch_s + time_ps // PS_PER_S

    def to_time_ps(self, epoch_s: int) -> int:
        """Return the instant of a Unix time in whole seconds; negative before the network's start."""
        return (epoch_s - self.epoch_s) * PS_PER_S


def wall_clock_ns() -> int:
    """Read the calendar: Unix time in nanoseconds; for who starts a network, never for what runs in it."""
    return time.time_ns()

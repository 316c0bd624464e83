"""How late a paced network is."""

import msgspec


class Lateness(msgspec.Struct, frozen=True):
    """How late the events of a topic ran, in picoseconds of the clock; `early` is how many ran too soon.

    p50 and p99 are upper bounds of buckets at most 1/16 wide; the maximum is exact.
    """

    topic: str
    count: int
    p50_ps: int
    p99_ps: int
    max_ps: int
    early: int

"""When recurring work is done: each at a place of its own in the period, so that the load is spread."""

from hashlib import blake2b


def phase_ps(name: str, period_ps: int) -> int:
    """Return a place in the period: fixed by the name, spread evenly over names."""
    return int.from_bytes(blake2b(name.encode(), digest_size=16).digest(), "big") % period_ps


def next_beat_ps(name: str, period_ps: int, now: int) -> int:
    """Return the first instant after `now` at the name's place in the period; at most a period away."""
    return now + period_ps - (now - phase_ps(name, period_ps)) % period_ps

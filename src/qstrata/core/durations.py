"""Durations as people type them: `90s`, `15m`, `6h`, `1d`, `1h30m`."""

import re

from qstrata.core.time import PS_PER_S

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART = r"(?:(\d{1,9}(?:\.\d{1,12})?)%s)?"
_DURATION = re.compile("".join(_PART % unit for unit in _SECONDS))


def duration_ps(text: str) -> int:
    """Return a duration in picoseconds, above 0; raises ValueError with the forms there are."""
    from fractions import Fraction

    match = _DURATION.fullmatch(text.strip())
    parts = match.groups(default="0") if match else ()
    seconds = sum(Fraction(part) * unit for part, unit in zip(parts, _SECONDS.values(), strict=False))
    if not seconds:
        raise ValueError(f"{text!r} is not a duration: give 90s, 15m, 6h, 1d or 1h30m")
    return int(seconds * PS_PER_S)

"""A figure that somebody gives: its meaning, unit and range."""

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """A parameter: its meaning, unit, allowed range, default and where that comes from."""

    name: str
    meaning: str
    unit: str
    minimum: float
    maximum: float
    default: float
    source: str

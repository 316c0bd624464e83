"""A link protocol as planners see it: figures that go in, figures that come out, and what joins them."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from qstrata.core.errors import InputError
from qstrata.physics.figure import Figure
from qstrata.physics.parameters import Parameter
from qstrata.physics.profiles import Profile

__all__ = [
    "ATTENUATION_DB_PER_KM",
    "FIBRE",
    "FIXED_LOSS_DB",
    "Column",
    "Figure",
    "Figures",
    "RateModel",
    "complete",
    "loss_db",
    "profile_figures",
    "table",
]

ATTENUATION_DB_PER_KM = "attenuation_db_per_km"
FIXED_LOSS_DB = "fixed_loss_db"


class Column(msgspec.Struct, frozen=True):
    """A result: its name, unit and meaning."""

    name: str
    unit: str
    meaning: str


Figures = Mapping[str, float]
"""The value of every figure of a model, by name."""


class RateModel(msgspec.Struct, frozen=True):
    """A protocol's closed form: `evaluate(figures, length_km)` returns one value for each column.

    `check(figures)` raises InputError where figures, each in its range, contradict each other.
    """

    name: str
    summary: str
    source: str
    figures: tuple[Figure, ...]
    columns: tuple[Column, ...]
    evaluate: Callable[[Figures, float], tuple[float, ...]]
    check: Callable[[Figures], None]


FIBRE = (
    Figure(
        ATTENUATION_DB_PER_KM,
        "attenuation of the fibre",
        "dB/km",
        0.1,
        10.0,
        0.2,
        "ITU-T G.652 (2016), appendix I: typical maximum of cabled fibre at 1550 nm is 0.2 to 0.3",
    ),
    Figure(
        FIXED_LOSS_DB,
        "loss besides the fibre's: connectors, splices, filters",
        "dB",
        0.0,
        100.0,
        0.0,
        "chosen by qstrata: the fibre alone",
    ),
)
"""Figures of the fibre, which every model has."""


def profile_figures(profile: Profile[Any], parameters: Iterable[Parameter]) -> tuple[Figure, ...]:
    """Return a figure for each field of a profile, its value the default; `parameters` tell its meaning."""
    meanings = {parameter.name: parameter.meaning for parameter in parameters}
    return tuple(
        Figure(
            field.name,
            meanings[field.name],
            field.unit,
            field.minimum,
            field.maximum,
            field.value,
            field.source,
        )
        for field in profile.fields
    )


def loss_db(figures: Figures, length_km: float) -> float:
    """Return the loss of a fibre of that length with all that is in it."""
    return figures[ATTENUATION_DB_PER_KM] * length_km + figures[FIXED_LOSS_DB]


def complete(model: RateModel, given: Figures) -> dict[str, float]:
    """Fill figures up with the model's defaults.

    Raises InputError for a figure that the model does not have, one out of range, and a contradiction.
    """
    known = {figure.name: figure for figure in model.figures}
    for name, value in given.items():
        figure = known.get(name)
        if figure is None:
            raise InputError(f"{model.name} has no figure {name!r}: it has {', '.join(sorted(known))}")
        if not (math.isfinite(value) and figure.minimum <= value <= figure.maximum):
            unit = "" if figure.unit == "1" else f" {figure.unit}"
            raise InputError(
                f"{name} ({figure.meaning}) is {value:g}: "
                f"give {figure.minimum:g} to {figure.maximum:g}{unit} ({figure.source})"
            )
    values = {figure.name: given.get(figure.name, figure.default) for figure in model.figures}
    model.check(values)
    return values


def table(model: RateModel, given: Figures, lengths_km: Iterable[float]) -> list[tuple[float, ...]]:
    """Return one row for each length, its values in the order of the columns; raises as `complete`."""
    figures = complete(model, given)
    return [model.evaluate(figures, length_km) for length_km in lengths_km]

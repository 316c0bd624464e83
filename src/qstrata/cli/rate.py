"""`qstrata rate`: what a link of a protocol gives at each length, before anybody builds it."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from qstrata.cli.arguments import Json
from qstrata.cli.endings import UsageError, talk
from qstrata.cli.tables import Table, out, show, show_json
from qstrata.core.errors import EnvironmentFaultError, InputError
from qstrata.network.suggestion import did_you_mean
from qstrata.physics.rates import RATE_MODELS, rate_model
from qstrata.physics.rates.model import Column, Figure, RateModel, complete, table

LENGTHS_MAX = 10_000
LENGTH_MAX_KM = 2_000

rate = App(name="rate", help="Calculate what a link gives: rates, errors and keys by length.")


class Rates(msgspec.Struct, frozen=True):
    """What was calculated: every figure that went in, and one row for each length."""

    protocol: str
    summary: str
    source: str
    figures: dict[str, float]
    units: dict[str, str]
    rows: tuple[dict[str, float], ...]


class ProtocolPage(msgspec.Struct, frozen=True):
    """All that can be set of a protocol and all that it gives."""

    protocol: str
    summary: str
    source: str
    figures: tuple[Figure, ...]
    columns: tuple[Column, ...]


@rate.default
def calculate(
    protocol: Annotated[
        str | None, Parameter(help=f"One of {', '.join(model.name for model in RATE_MODELS)}.")
    ] = None,
    /,
    *,
    length_km: Annotated[
        str, Parameter(help="Lengths of the fibre in km: FIRST:LAST:STEP, or a list 10,25.5,50.")
    ] = "0:150:10",
    set_: Annotated[
        tuple[str, ...],
        Parameter(name="--set", help="NAME=VALUE of a figure that `--list` shows. May be given again."),
    ] = (),
    list_: Annotated[
        bool, Parameter(name="--list", help="Show every figure: unit, range, default, source.")
    ] = False,
    plot: Annotated[
        Path | None, Parameter(help="Draw rates over length into this file: PNG, SVG or PDF by its name.")
    ] = None,
    json: Json = False,
) -> None:
    """Calculate rates, error rates, bounds and secret key of a link protocol at lengths of fibre."""
    if list_ or protocol is None:
        _list([rate_model(protocol)] if protocol else RATE_MODELS, as_json=json)
        return
    model = rate_model(protocol)
    given = dict(_setting(text, model) for text in set_)
    lengths = lengths_km(length_km)
    rows = table(model, given, lengths)
    if plot is not None:
        _plot(model, lengths, rows, plot)
        talk(f"drawn: {plot}")
    if json:
        show_json(_rates(model, complete(model, given), lengths, rows))
    elif plot is None:
        _show(model, lengths, rows)


def lengths_km(text: str) -> tuple[float, ...]:
    """Return the lengths that `FIRST:LAST:STEP` (both ends included) or a list by commas names.

    Raises UsageError for other text, and InputError for lengths below 0, above 2000 km or too many.
    """
    try:
        if ":" in text:
            first, last, step = (Fraction(part) for part in text.split(":"))
            if step <= 0 or last < first:
                raise ValueError
            count = int((last - first) / step) + 1
            if count > LENGTHS_MAX:
                raise InputError(
                    f"{text} names {count} lengths: give a step that makes {LENGTHS_MAX} or fewer"
                )
            lengths = tuple(float(first + step * index) for index in range(count))
        else:
            lengths = tuple(float(Fraction(part)) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise UsageError(
            f"{text!r} names no lengths: give FIRST:LAST:STEP, as 0:150:10, or a list, as 10,25.5,50"
        ) from None
    if not all(0 <= length <= LENGTH_MAX_KM for length in lengths):
        raise InputError(f"{text}: lengths go from 0 to {LENGTH_MAX_KM} km")
    return lengths


def _setting(text: str, model: RateModel) -> tuple[str, float]:
    given, sign, value = text.partition("=")
    name, known = given.strip().replace("-", "_"), [figure.name for figure in model.figures]
    if name not in known:
        raise InputError(f"{model.name} has no figure {name!r}{did_you_mean(name, known)}")
    try:
        return name, float(value)
    except ValueError:
        what = f"{value!r} is no number" if sign else "there is no `=`"
        raise UsageError(f"--set {text!r}: {what}: give NAME=VALUE, as e_d=0.01") from None


def _rates(
    model: RateModel, figures: dict[str, float], lengths: Sequence[float], rows: Sequence[tuple[float, ...]]
) -> Rates:
    names = [column.name for column in model.columns]
    return Rates(
        protocol=model.name,
        summary=model.summary,
        source=model.source,
        figures=figures,
        units={"length_km": "km", **{column.name: column.unit for column in model.columns}},
        rows=tuple(
            {"length_km": length, **dict(zip(names, row, strict=True))}
            for length, row in zip(lengths, rows, strict=True)
        ),
    )


def _show(model: RateModel, lengths: Sequence[float], rows: Sequence[tuple[float, ...]]) -> None:
    columns = ("length km>", *(f"{column.name} {column.unit}>" for column in model.columns))
    cells = tuple(
        (f"{length:g}", *(f"{value:.4g}" for value in row)) for length, row in zip(lengths, rows, strict=True)
    )
    show([Table(f"{model.summary} ({model.source})", columns, cells)])


def _list(models: Sequence[RateModel], *, as_json: bool) -> None:
    if as_json:
        show_json([ProtocolPage(m.name, m.summary, m.source, m.figures, m.columns) for m in models])
        return
    for model in models:
        figures = tuple(
            (
                figure.name,
                f"{figure.default:g}",
                figure.unit,
                f"{figure.minimum:g} to {figure.maximum:g}",
                figure.meaning,
                figure.source,
            )
            for figure in model.figures
        )
        columns = tuple((column.name, column.unit, column.meaning) for column in model.columns)
        out(f"{model.name}: {model.summary} ({model.source})\n")
        show(
            [
                Table("figures", ("name", "default>", "unit", "range", "meaning", "source"), figures),
                Table("results", ("name", "unit", "meaning"), columns),
            ]
        )
        out()


def _plot(model: RateModel, lengths: Sequence[float], rows: Sequence[tuple[float, ...]], file: Path) -> None:
    """Draw every rate of the model over length, on a logarithmic scale, one panel for each unit."""
    try:
        from matplotlib.figure import Figure as Canvas
    except ImportError:
        raise EnvironmentFaultError(
            "plots need matplotlib, which is not installed: pip install matplotlib"
        ) from None
    units = tuple(dict.fromkeys(column.unit for column in model.columns if "/" in column.unit))
    canvas = Canvas(figsize=(8, 3.2 * len(units)), layout="constrained")
    for place, unit in enumerate(units, 1):
        axes = canvas.add_subplot(len(units), 1, place)
        for index, column in enumerate(model.columns):
            if column.unit == unit:
                values = [row[index] if row[index] > 0 else float("nan") for row in rows]
                axes.semilogy(lengths, values, label=column.name.replace("_", " "), marker=".")
        axes.set(xlabel="length (km)", ylabel=unit)
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
    canvas.suptitle(f"{model.summary}\n{model.source}", fontsize=10)
    try:
        canvas.savefig(file)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot draw into {file}: {error}") from None

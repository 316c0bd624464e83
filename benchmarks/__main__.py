"""`python -m benchmarks [MEASURE ...] [--json] [--hours H]`: measure, and print a table or JSON."""

import argparse
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.clicks import clicks
from benchmarks.measures import Figure, fabric, kernel, store, virtual_hours
from benchmarks.postprocessing import postprocessing

MEASURES: dict[str, Callable[[float], list[Figure]]] = {
    "kernel": lambda _: kernel(),
    "fabric": lambda _: fabric(),
    "store": lambda _: store(),
    "madrid": virtual_hours,
    "clicks": lambda _: clicks(),
    "postprocessing": lambda _: postprocessing(),
}
"""What can be measured, given the virtual hours of Madrid."""


def machine() -> dict[str, Any]:
    """Return what the figures depend on: Python, processors, and how busy the machine was."""
    return {
        "python": platform.python_version(),
        "processors": os.cpu_count() or 1,
        "load-1-min": round(os.getloadavg()[0], 2),
    }


def show(figures: list[Figure], before: dict[str, Any], after: dict[str, Any]) -> None:
    """Print the figures as a table."""
    table = Table("measure", "figure", "value", "unit", "bound")
    for figure in figures:
        value = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:.3g}"
        table.add_row(figure.measure, figure.name, value, figure.unit, figure.bound)
    console = Console()
    console.print(table)
    load = f"load {before['load-1-min']} before, {after['load-1-min']} after"
    console.print(f"Python {after['python']}, {after['processors']} processors, {load}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the speed of qstrata.")
    parser.add_argument("measure", nargs="*", help=f"what to measure, of {', '.join(MEASURES)} (default all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--hours", type=float, default=6.0, help="virtual hours of Madrid (default 6)")
    given = parser.parse_args()
    if unknown := [name for name in given.measure if name not in MEASURES]:
        parser.error(f"nothing is called {unknown[0]}: choose of {', '.join(MEASURES)}")
    before = machine()
    figures = [figure for name in given.measure or MEASURES for figure in MEASURES[name](given.hours)]
    after = machine()
    if given.json:
        document = {"before": before, "after": after, "figures": figures}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        show(figures, before, after)


if __name__ == "__main__":
    main()

"""`python -m benchmarks [MEASURE ...] [--list] [--json] [--quick]`: measure, and print tables or JSON."""

import argparse
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import etsi014
from benchmarks.chain import chain
from benchmarks.clicks import clicks
from benchmarks.kmes import Row
from benchmarks.measures import Figure, fabric, kernel, store, virtual_hours
from benchmarks.postprocessing import postprocessing

MEASURES: dict[str, tuple[str, Callable[[float], list[Figure]]]] = {
    "kernel": ("events of the queue", lambda _: kernel()),
    "fabric": ("messages through host and memory fabric", lambda _: fabric()),
    "store": ("durable commits on this disk", lambda _: store()),
    "madrid": ("a busy Madrid in virtual time, against real time", virtual_hours),
    "clicks": ("decoy BB84 click by click, against real time", lambda _: clicks()),
    "chain": ("end-to-end pairs of repeater chains", lambda _: chain()),
    "postprocessing": ("sifted key to secret key, both ends", lambda _: postprocessing()),
}
"""What is measured, and how, given the virtual hours of Madrid; ETSI014 besides, with a table of its own."""

ETSI014 = "etsi014"
WIDTH = 150
LISTED = {name: what for name, (what, _) in MEASURES.items()} | {
    ETSI014: "requests of ETSI GS QKD 014 by mutual TLS, beside a constant answer",
    "twin": "the twin beside other simulators: python -m benchmarks.twin, or make bench-twin",
}
NAMES = (*MEASURES, ETSI014)


def machine() -> dict[str, Any]:
    """Return what the figures depend on: Python, processors, and how busy the machine was."""
    return {
        "python": platform.python_version(),
        "processors": os.cpu_count() or 1,
        "load-1-min": round(os.getloadavg()[0], 2),
    }


def show(figures: list[Figure], rows: list[Row], before: dict[str, Any], after: dict[str, Any]) -> None:
    """Print the figures and rows as tables."""
    console = Console(width=WIDTH)
    if figures:
        console.print(_figures(figures))
    if rows:
        console.print(_rows(rows))
        for row in rows:
            if row.note:
                console.print(f"{row.row}: {row.note}")
    load = f"load {before['load-1-min']} before, {after['load-1-min']} after"
    console.print(f"Python {after['python']}, {after['processors']} processors, {load}")


def _figures(figures: list[Figure]) -> Table:
    table = Table("measure", "figure", "value", "unit", "bound")
    for figure in figures:
        value = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:.3g}"
        table.add_row(figure.measure, figure.name, value, figure.unit, figure.bound)
    return table


def _rows(rows: list[Row]) -> Table:
    table = Table("ETSI 014", "per s", "p50/p99 ms", "CPU ms", "constant", "ratio", "load", "bound", "kept")
    for row in rows:
        beside = f"{row.constant_per_s:,.0f}/s, {row.constant_cpu_ms:.3f} ms" if row.constant_per_s else ""
        table.add_row(
            row.row,
            f"{row.per_s:,.0f} {row.unit}",
            f"{row.p50_ms:.1f} / {row.p99_ms:.1f}",
            f"{row.cpu_ms:.3f}" if row.cpu_ms else "",
            beside,
            f"{row.ratio:.2f}" if row.ratio else "",
            f"{row.load_1_min:g}",
            row.bound,
            "yes" if row.holds else "no",
        )
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the speed of qstrata.")
    parser.add_argument("measure", nargs="*", help=f"what to measure, of {', '.join(NAMES)} (default all)")
    parser.add_argument("--list", action="store_true", help="list what can be measured, and measure nothing")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--hours", type=float, default=6.0, help="virtual hours of Madrid (default 6)")
    parser.add_argument(
        "--rows", nargs="+", choices=etsi014.ROWS, default=list(etsi014.ROWS), help="of etsi014"
    )
    parser.add_argument("--quick", action="store_true", help="two seconds for each row of etsi014")
    given = parser.parse_args()
    if unknown := [name for name in given.measure if name not in NAMES]:
        parser.error(f"nothing is called {unknown[0]}: choose of {', '.join(NAMES)}")
    if given.list:
        listing = "".join(f"{name:15} {what}\n" for name, what in LISTED.items())
        sys.stdout.write(msgspec.json.encode(LISTED).decode() + "\n" if given.json else listing)
        return
    wanted = given.measure or NAMES
    before = machine()
    figures = [figure for name in wanted if name in MEASURES for figure in MEASURES[name][1](given.hours)]
    seconds = etsi014.QUICK_SECONDS if given.quick else etsi014.SECONDS
    rows = etsi014.measure(given.rows, seconds) if ETSI014 in wanted else []
    after = machine()
    if given.json:
        document = {"before": before, "after": after, "figures": figures, "etsi014": rows}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        show(figures, rows, before, after)


if __name__ == "__main__":
    main()

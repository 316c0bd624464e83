"""The table of `python -m benchmarks.twin`: on a terminal, and in the page of the documentation."""

import msgspec
from rich.console import Console
from rich.table import Table

HEADINGS = ("row", "who", "per second", "ours, times", "bound", "kept", "what was run")
BEFORE = "Before: "
"""How the line begins that says how busy the machine was; it follows the table of the page."""


class Line(msgspec.Struct, frozen=True):
    """One line of the table: `per_s` of `unit`, None where a peer gave none; `ratio` is ours over it."""

    row: str
    who: str
    per_s: float | None
    unit: str
    ratio: float | None = None
    bound: str = ""
    kept: bool | None = None
    note: str = ""


def cells(line: Line) -> tuple[str, ...]:
    """Return a line as texts, one for each of HEADINGS."""
    return (
        line.row,
        line.who,
        "none" if line.per_s is None else f"{line.per_s:,.0f} {line.unit}",
        "" if line.ratio is None else f"{line.ratio:,.0f}",
        line.bound,
        "" if line.kept is None else "yes" if line.kept else "no",
        line.note,
    )


def show(lines: list[Line], before: str, after: str) -> None:
    """Print the table."""
    table = Table(*HEADINGS)
    for line in lines:
        table.add_row(*cells(line))
    console = Console(width=180)
    console.print(table)
    console.print(load(before, after))


def load(before: str, after: str) -> str:
    """Say how busy the machine was."""
    return f"{BEFORE}{before}. After: {after}."


def with_table(page: str, lines: list[Line], before: str, after: str) -> str:
    """Return the page with this table and load in place of its own; ValueError where it has none."""
    kept = page.splitlines()
    table = [number for number, text in enumerate(kept) if text.startswith("|")]
    loads = [number for number, text in enumerate(kept) if text.startswith(BEFORE)]
    if not table or len(loads) != 1 or table != list(range(table[0], table[0] + len(table))):
        raise ValueError("a page with one table and one line of the load is needed")
    made = [_row(HEADINGS), "|" + "---|" * len(HEADINGS), *(_row(cells(line)) for line in lines)]
    kept[loads[0]] = load(before, after)
    return "\n".join([*kept[: table[0]], *made, *kept[table[-1] + 1 :]]) + "\n"


def _row(texts: tuple[str, ...]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"

"""Tables on stdout: by rich on a terminal, plain aligned text everywhere else."""

import sys
from collections.abc import Sequence

import msgspec


class Table(msgspec.Struct, frozen=True):
    """A titled table; columns whose name ends in `>` hold figures and are set to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def show(tables: Sequence[Table]) -> None:
    """Print tables; one without rows is a line that says so."""
    for index, table in enumerate(tables):
        if index:
            out()
        if not table.rows:
            out(f"{table.title}: none")
        elif sys.stdout.isatty():
            _show_rich(table)
        else:
            out(plain(table))


def out(text: str = "") -> None:
    """Print a line of data."""
    sys.stdout.write(f"{text}\n")


def plain(table: Table) -> str:
    """Return a table as text: its title, then aligned columns without any decoration."""
    names = tuple(column.removesuffix(">") for column in table.columns)
    right = tuple(column.endswith(">") for column in table.columns)
    widths = [max(map(len, column)) for column in zip(names, *table.rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (names, *table.rows)
    ]
    return "\n".join([table.title, *(f"  {line}" for line in lines)])


def show_json(value: object) -> None:
    """Print one JSON document."""
    out(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _show_rich(table: Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console, JustifyMethod
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(title=Text(table.title), box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in table.columns:
        justify: JustifyMethod = "right" if column.endswith(">") else "left"
        made.add_column(Text(column.removesuffix(">")), justify=justify, overflow="fold")
    for row in table.rows:
        made.add_row(*map(Text, row))
    Console(file=sys.stdout, highlight=False).print(made)

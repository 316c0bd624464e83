"""The report as a page: a table for each topic, the mistakes that are not made, and the plots."""

import html
import math
from collections.abc import Mapping, Sequence

from truth.mistakes import MISTAKES
from truth.row import LIMIT, Row
from truth.studies import TOPICS, name_of

HEAD = f"""# The truth: what the twin does, and what it should do

Each row is a figure of a **run**: of the instruction set on the emulated devices, or of the samplers behind
it, with the seed and the size of the sample. It stands beside what a closed form gives, written out anew for
this page from the paper it names, or an independent tool (qutip for exact states, scipy for quadrature).
Nothing is compared with the formula that produced it. Two rows are figures of the link calculator, not
runs: the threshold of BB84 and the worked key rate.

- **z** is the residual in standard errors. A row holds within {LIMIT:g}; bounds (<=, >=) are never crossed by
  more.
- **would show** is the relative error of the figure that this sample would reveal: 5 standard errors. Samples
  are such that this is 1 % or less; where that would take too long, the column says what the row can show.
- `make truth` makes the page anew in `build/truth` with all samples, in nine minutes of processor time:
  five on two free processors. Every row runs in the tests too, with a smaller sample.
"""
PLOTS = (
    ("truth-residuals.svg", "Residuals of all rows in standard errors, sorted, beside those of pure chance"),
    (
        "truth-bb84.svg",
        "Gains and error rates of decoy BB84 over distance: runs (points) and closed forms (lines)",
    ),
    ("truth-pairs.svg", "Fidelity of pairs that wait, and of chains: runs (points) and closed forms (lines)"),
    (
        "truth-attacks.svg",
        "Alarms under weak attacks, and Raman noise over distance: runs and what is predicted",
    ),
)

COLUMNS = ("figure", "run", "expected", "z", "would show", "expected from", "sample")

Results = Mapping[str, Sequence[Row]]
"""The rows of every study, by its name."""


def rows_of(results: Results) -> list[Row]:
    """Return all rows, in the order of the report."""
    return [row for studies in TOPICS.values() for study in studies for row in results[name_of(study)]]


def verdict(rows: Sequence[Row]) -> str:
    """Say how many rows hold, and which of them shows least."""
    failed = [row for row in rows if not row.holds]
    chance = [row for row in rows if row.relation == "=" and row.error > 0.0 and row.expected]
    shown = sum(row.visible <= 0.01 for row in chance)
    worst = max((abs(row.z) for row in chance), default=0.0)
    text = f"**{len(rows) - len(failed)} of {len(rows)} rows hold.** Largest residual: {worst:.1f} standard "
    text += (
        f"errors. Of the {len(chance)} rows with a sample or rounding, {shown} would show an error of 1 %."
    )
    return text + "".join(f"\n- does not hold: {row.name}" for row in failed)


def markdown(results: Results, pictures: str) -> str:
    """Return the page; `pictures` is the path of the plots as seen from it."""
    parts = [HEAD, verdict(rows_of(results)), ""]
    parts += [f"![{caption}]({pictures}{name})\n" for name, caption in PLOTS]
    for topic, studies in TOPICS.items():
        parts += [
            f"## {topic}",
            "",
            "| " + " | ".join(COLUMNS) + " |",
            "|---|---|---|---|---|---|---|",
        ]
        parts += [_line(row) for study in studies for row in results[name_of(study)]]
        parts.append("")
    return "\n".join([*parts, *_mistakes()])


def _line(row: Row) -> str:
    relation = "" if row.relation == "=" else f"{row.relation} "
    cells = (
        row.name,
        number(row.ours),
        relation + number(row.expected),
        residual(row),
        shows(row),
        row.source,
        row.sample,
    )
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def number(value: float) -> str:
    """Return a figure with as many digits as are worth reading."""
    return f"{value:.7g}"


def residual(row: Row) -> str:
    """Return the residual, or for a bound whether it holds."""
    if row.relation != "=":
        return "holds" if row.holds else "broken"
    return "exact" if row.ours == row.expected else f"{row.z:+.2f}"


def shows(row: Row) -> str:
    """Return the error that would show."""
    if row.relation != "=" or not row.error:
        return ""
    if not row.expected:
        return f"{LIMIT * row.error:.0e}"
    return f"{row.visible:.1e}" if row.visible < 5e-5 else f"{100 * row.visible:.2g} %"


def _mistakes() -> list[str]:
    lines = [
        "## Mistakes that are known of simulators, and are not made here",
        "",
        "Each was found by its figures or its code. The study is part of this page and of",
        "`tests/simulation/test_truth.py`; the tests besides watch for the same.",
        "",
        "| where | what goes wrong there | study here | tests here |",
        "|---|---|---|---|",
    ]
    for mistake in MISTAKES:
        tests = "<br>".join(f"`{test}`" for test in mistake.tests)
        lines.append(f"| {mistake.where} | {mistake.what} | `{mistake.study}` | {tests} |")
    return [*lines, ""]


def as_html(results: Results) -> str:
    """Return the report as one page for a browser."""
    parts = ["<!doctype html><meta charset=utf-8><title>Truth report</title>"]
    parts.append("<style>body{font:14px sans-serif;margin:2em}td,th{padding:2px 8px;text-align:left}")
    parts.append("tr.broken{background:#fbb}</style>")
    rows = rows_of(results)
    parts.append(f"<h1>Truth report</h1><p>{sum(row.holds for row in rows)} of {len(rows)} rows hold.</p>")
    parts += [f'<p><img src="{name}" alt="{html.escape(caption)}"></p>' for name, caption in PLOTS]
    for topic, studies in TOPICS.items():
        parts.append(f"<h2>{topic}</h2><table><tr><th>" + "<th>".join(COLUMNS))
        for study in studies:
            for row in results[name_of(study)]:
                cells = (
                    row.name,
                    number(row.ours),
                    f"{row.relation} {number(row.expected)}",
                    residual(row),
                    shows(row),
                    row.source,
                    row.sample,
                )
                kind = "" if row.holds else ' class="broken"'
                parts.append(f"<tr{kind}>" + "".join(f"<td>{html.escape(cell)}" for cell in cells))
        parts.append("</table>")
    return "\n".join(parts) + "\n"


def normal_quantiles(count: int) -> list[float]:
    """Return what sorted residuals of pure chance would be."""
    from scipy.special import ndtri

    return [float(ndtri((index + 0.5) / count)) for index in range(count)]


def finite(rows: Sequence[Row]) -> list[float]:
    """Return the residuals of the rows that have a sample, sorted."""
    sampled = (
        row
        for row in rows
        if row.relation == "=" and "exact" not in row.sample and row.error > 1e-9 * abs(row.expected)
    )
    return sorted(row.z for row in sampled if math.isfinite(row.z))

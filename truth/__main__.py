"""`python -m truth [--docs] [--share SHARE] [--workers N]`: run every study and write the report."""

import argparse
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from truth.plots import draw
from truth.report import PLOTS, as_html, markdown, rows_of, verdict
from truth.studies import STUDIES, run

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "truth"
PAGE = ROOT / "docs" / "explanation" / "truth.md"
PICTURES = ROOT / "docs" / "pictures"
LONGEST = (
    "pairs.waiting",
    "uses.bbm92",
    "attacks.detection",
    "pairs.distillation",
    "pairs.heralding",
    "circuits.pumping",
    "circuits.attacks_on_pairs",
)
"""Studies that are begun first, so that no worker is left with one at the end."""


def main() -> int:
    """Run, write, and return 1 where a row does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m truth", description="Hold the twin against closed forms."
    )
    parser.add_argument("--share", type=float, default=1.0, help="share of the full samples (default 1)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--docs", action="store_true", help="write the page of the documentation too")
    given = parser.parse_args()
    began_s = time.perf_counter()
    names = [*LONGEST, *(name for name in STUDIES if name not in LONGEST)]
    with ProcessPoolExecutor(given.workers) as pool:
        pending = {name: pool.submit(run, name, given.share) for name in names}
        results = {name: pending[name].result() for name in STUDIES}
    rows = rows_of(results)
    BUILD.mkdir(parents=True, exist_ok=True)
    draw(BUILD, rows, given.share)
    (BUILD / "truth.md").write_text(markdown(results, ""), encoding="utf-8")
    (BUILD / "truth.html").write_text(as_html(results), encoding="utf-8")
    if given.docs:
        PICTURES.mkdir(exist_ok=True)
        PAGE.write_text(markdown(results, "../pictures/"), encoding="utf-8")
        for name, _ in PLOTS:
            shutil.copyfile(BUILD / name, PICTURES / name)
    sys.stdout.write(
        f"{verdict(rows)}\nwritten in {time.perf_counter() - began_s:.0f} s: {BUILD / 'truth.html'}\n"
    )
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

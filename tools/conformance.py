"""Report, API by API, which rows of its conformance tests hold: `make conformance`.

The tests of tests/conformance are run, and their names are read as sentences: nothing is said that no test
says.
"""

import ast
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
FOLDER = Path("tests/conformance")


class Row(NamedTuple):
    """One row: the module of its test, what it says, and `holds`, `fails` or `not run`, in how many cases."""

    module: str
    says: str
    verdict: str
    cases: int


def rows(junit: str) -> list[Row]:
    """Return the rows of a JUnit report (XML), each test once: it holds if all of its cases do."""
    verdicts: dict[tuple[str, str], list[str]] = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):  # noqa: S314 - pytest's own output
        name = case.get("name", "").partition("[")[0].removeprefix("test_").replace("_", " ")
        key = (case.get("classname", "").rpartition(".")[2], name)
        failed = case.find("failure") is not None or case.find("error") is not None
        verdict = "fails" if failed else "not run" if case.find("skipped") is not None else "holds"
        verdicts.setdefault(key, []).append(verdict)
    worst = ("fails", "not run", "holds")
    return [
        Row(module, says, min(found, key=worst.index), len(found))
        for (module, says), found in verdicts.items()
    ]


def report(found: list[Row], titles: dict[str, str]) -> str:
    """Return the report in Markdown: a table for each API, by the titles of its modules."""
    lines = ["# Conformance report", ""]
    for module in dict.fromkeys(row.module for row in found):
        own = [row for row in found if row.module == module]
        counts = Counter(row.verdict for row in own)
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("holds", "fails", "not run"))
        lines += [f"## {titles.get(module, module)}", "", f"{len(own)} rows: {told}.", ""]
        lines += ["| row | cases | verdict |", "|---|---|---|"]
        lines += [f"| {row.says} | {row.cases} | {row.verdict} |" for row in own]
        lines.append("")
    return "\n".join(lines)


def title(module: Path) -> str:
    """Return what a module of tests says of itself in its first line."""
    said = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or module.stem
    return said.partition("\n")[0].rstrip(".")


def main() -> int:
    """Run the conformance tests, print the report, and exit as they did."""
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder, "junit.xml")
        command = [sys.executable, "-m", "pytest", "-q", str(FOLDER), f"--junitxml={junit}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not junit.exists():
            sys.stderr.write(done.stdout + done.stderr)
            return done.returncode
        found = rows(junit.read_text(encoding="utf-8"))
    titles = {module.stem: title(module) for module in sorted((ROOT / FOLDER).glob("test_*.py"))}
    print(report(found, titles))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

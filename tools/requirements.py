"""Report which requirements a named test shows, and which none does.

Run as `python tools/requirements.py [--json]`. Reads `tests/requirements.toml`; exits 1 if it names an
unknown requirement or a test that pytest does not collect.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "requirements.toml"
KNOWN_IDS = tuple([f"R{n}" for n in range(1, 185)] + [f"D{n}" for n in range(1, 14)])


class TableError(Exception):
    """The table cannot be judged; the text says what to mend."""


def read_table(text: str) -> dict[str, list[str]]:
    """Parse the table of requirement id to node ids, in the order of the ids.

    Raises `TableError` for an unknown id or a value that is no list of strings.
    """
    table = tomllib.loads(text).get("requirements", {})
    for key, tests in table.items():
        if key not in KNOWN_IDS:
            raise TableError(f"{key} is no requirement: ids run from R1 to R184 and from D1 to D13")
        if not isinstance(tests, list) or not tests or not all(isinstance(t, str) for t in tests):
            raise TableError(f"{key} must be a list of pytest node ids, at least one")
    return {key: table[key] for key in KNOWN_IDS if key in table}


def collect_tests() -> frozenset[str]:
    """Return the node ids that pytest collects, campaigns included, parameters stripped.

    Raises `TableError` when the collection itself fails.
    """
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise TableError(f"pytest could not collect the tests:\n{run.stdout[-4000:]}{run.stderr[-2000:]}")
    return frozenset(line.split("[")[0] for line in run.stdout.splitlines() if "::" in line)


def missing_tests(table: dict[str, list[str]], collected: frozenset[str]) -> list[str]:
    """Return one sentence for each named test that does not exist."""
    return [
        f"{key} names {test}, which pytest does not collect"
        for key, tests in table.items()
        for test in tests
        if test not in collected
    ]


def render(table: dict[str, list[str]]) -> str:
    """Lay the report out for people: what is shown, by which tests, then what is not."""
    lines = [f"{key:5} {test}" for key, tests in table.items() for test in tests]
    hidden = [key for key in KNOWN_IDS if key not in table]
    rows = [" ".join(hidden[start : start + 16]) for start in range(0, len(hidden), 16)]
    head = f"shown: {len(table)} of {len(KNOWN_IDS)}"
    return "\n".join([head, *lines, "", f"not shown: {len(hidden)}", *rows])


def main(arguments: list[str] | None = None) -> int:
    """Print the report and return the exit code."""
    parser = argparse.ArgumentParser(description="List which requirements a named test shows.")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    try:
        table = read_table(TABLE.read_text(encoding="utf-8"))
        missing = missing_tests(table, collect_tests())
    except TableError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(
            json.dumps(
                {"shown": table, "not_shown": [k for k in KNOWN_IDS if k not in table], "missing": missing}
            )
        )
    else:
        print(render(table))
    for line in missing:
        print(line, file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

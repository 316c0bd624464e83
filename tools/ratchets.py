"""Measure the house rules that no linter knows, against limits that may only get tighter.

Run as `python tools/ratchets.py`. Exits 1 and names file and line of each breach. Counts in
`ratchets.json` may only fall: when one does, the tool asks for the new figure.
"""

import ast
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BASELINE = Path(__file__).with_name("ratchets.json")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
BANNED_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Breach(NamedTuple):
    """One place that breaks one rule; `where` is the path relative to the project's root."""

    rule: str
    where: str
    line: int
    text: str


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every comment in `source`."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _check_text(source: str, where: str) -> Iterator[Breach]:
    count = source.count("\n") + (not source.endswith("\n"))
    if count > FILE_LINES_MAX:
        yield Breach("file-length", where, count, f"{count} lines, at most {FILE_LINES_MAX}")
    for line, text in comments(source):
        if BANNED_WORDS.search(text):
            yield Breach("banned-word", where, line, text)


def _check_node(node: ast.AST, where: str, *, may_print: bool) -> Iterator[Breach]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                text = f"{node.name}: {length} lines, at most {FUNCTION_LINES_MAX}"
                yield Breach("function-length", where, node.lineno, text)
        case ast.ExceptHandler(type=None):
            yield Breach("bare-except", where, node.lineno, "name the errors that are expected")
        case ast.Call(func=ast.Name(id="print")) if not may_print:
            yield Breach("print", where, node.lineno, "only the command line talks to people")


def _check_docstrings(tree: ast.Module, where: str) -> Iterator[Breach]:
    public = [
        node
        for node in tree.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]
    if not ast.get_docstring(tree):
        yield Breach("docstring", where, 1, "the module has no docstring")
    for node in public:
        if not ast.get_docstring(node):
            yield Breach("docstring", where, node.lineno, f"{node.name} has no docstring")


def check_source(source: str, where: str) -> list[Breach]:
    """Return every breach in one file; `where` decides which rules hold (`src/`, `src/qstrata/cli/`)."""
    tree = ast.parse(source)
    in_src = where.startswith("src/")
    breaches = list(_check_text(source, where))
    if in_src:
        may_print = where.startswith("src/qstrata/cli/")
        for node in ast.walk(tree):
            breaches.extend(_check_node(node, where, may_print=may_print))
        breaches.extend(_check_docstrings(tree, where))
    return breaches


def count_ratchets(sources: dict[str, str]) -> dict[str, int]:
    """Count what may only fall, over the files under `src/`."""
    texts = [
        text for where, source in sources.items() if where.startswith("src/") for _, text in comments(source)
    ]
    return {"type-ignore": sum(bool(TYPE_IGNORE.search(text)) for text in texts)}


def compare(counts: dict[str, int], baseline: dict[str, int]) -> list[str]:
    """Return one sentence for each count that differs from its baseline, in either direction."""
    rose = [f"{k}: {v}, at most {baseline[k]} allowed" for k, v in counts.items() if v > baseline[k]]
    fell = [
        f"{k}: {v}, better than {baseline[k]}: write {v} into tools/{BASELINE.name}"
        for k, v in counts.items()
        if v < baseline[k]
    ]
    return rose + fell


def main() -> int:
    """Check the tree and return the exit code."""
    rooms = ("src", "tests", "tools", "benchmarks", "truth")
    paths = sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))
    sources = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    breaches = [breach for where, source in sources.items() for breach in check_source(source, where)]
    lines = [f"{b.where}:{b.line}: {b.rule}: {b.text}" for b in breaches]
    lines += compare(count_ratchets(sources), json.loads(BASELINE.read_text(encoding="utf-8")))
    print("\n".join([*lines, f"ratchets: {len(sources)} files, {len(lines)} breaches"]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())

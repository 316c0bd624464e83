"""Every wrong file of tests/golden/network is refused with exactly the problems that its head foretells.

A head line reads `# LINE:COLUMN WORDS => MEANT`: where a problem is shown, words of its message, and what was
meant to stand there, for the files where one can tell.
"""

import re
from pathlib import Path

import pytest

from qstrata.network.document import DescriptionError
from qstrata.network.loader import load

FILES = sorted((Path(__file__).parents[2] / "golden" / "network").glob("*.yaml"))
HEAD = re.compile(r"^# (\d+):(\d+) (.+?)(?: => (.+))?$", re.MULTILINE)


def foretold(path: Path) -> list[tuple[int, int, str, str]]:
    found = HEAD.findall(path.read_text(encoding="utf-8"))
    return sorted((int(line), int(column), words, meant) for line, column, words, meant in found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_wrong_file_is_refused_with_all_its_problems_and_no_others(path: Path):
    with pytest.raises(DescriptionError) as refused:
        load(path)
    expected = foretold(path)
    problems = refused.value.problems
    assert [(p.place.line, p.place.column) for p in problems] == [(line, at) for line, at, _, _ in expected]
    for problem, (line, column, words, meant) in zip(problems, expected, strict=True):
        assert words in problem.message
        assert problem.meant == meant
        assert f"{path}:{line}:{column}: {problem.message}\n" in str(refused.value)


def test_four_of_five_wrong_files_are_told_what_was_meant():
    told = [path for path in FILES if foretold(path)[0][3]]
    assert len(FILES) >= 60
    assert len(told) >= 0.8 * len(FILES)

"""Every row of the truth report with a small sample; `make truth` takes samples that show an error of 1 %."""

from pathlib import Path

import pytest

from truth.mistakes import MISTAKES, Mistake
from truth.studies import STUDIES, run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "truth.md"
SHARE = 0.004


@pytest.mark.parametrize("study", STUDIES)
def test_runs_agree_with_closed_forms_and_independent_tools_and_the_page_says_so(study: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for row in run(study, SHARE):
        assert row.holds, row
        assert f"| {row.name} |" in page, f"make truth ARGS=--docs writes the row {row.name!r}"


def test_the_page_tells_of_no_row_that_does_not_hold() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "rows hold.**" in page
    assert "does not hold" not in page
    assert "broken" not in page


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.study)
def test_each_mistake_of_others_is_watched_by_a_study_and_by_tests_that_exist(mistake: Mistake) -> None:
    assert mistake.study in STUDIES
    for test in mistake.tests:
        path, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")

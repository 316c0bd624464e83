"""A requirement counts only by a test that exists."""

import pytest

from tools.requirements import KNOWN_IDS, TABLE, TableError, collect_tests, missing_tests, read_table, render


def test_every_id_is_known_and_every_named_test_exists():
    table = read_table(TABLE.read_text(encoding="utf-8"))
    assert missing_tests(table, collect_tests()) == []


def test_ids_run_from_r1_to_r184_and_d1_to_d13():
    assert len(KNOWN_IDS) == len(set(KNOWN_IDS)) == 184 + 13


@pytest.mark.parametrize("line", ['R185 = ["a::b"]', 'D14 = ["a::b"]', "R1 = []", 'R1 = "a::b"', "R1 = [1]"])
def test_a_line_that_means_nothing_is_refused(line: str):
    with pytest.raises(TableError):
        read_table(f"[requirements]\n{line}\n")


def test_a_test_that_does_not_exist_is_named_with_its_requirement():
    table = read_table('[requirements]\nR2 = ["t.py::test_b"]\nR1 = ["t.py::test_a"]\n')
    assert missing_tests(table, frozenset({"t.py::test_a"})) == [
        "R2 names t.py::test_b, which pytest does not collect"
    ]


def test_the_report_counts_shown_and_not_shown():
    report = render({"R1": ["t.py::test_a"]})
    assert "shown: 1 of 197" in report
    assert "not shown: 196" in report

"""The conformance report says what the tests said, and nothing better."""

from tools.conformance import FOLDER, ROOT, Row, report, rows, title

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.conformance.test_api" name="test_a_size_is_of_bytes[1]"/>
<testcase classname="tests.conformance.test_api" name="test_a_size_is_of_bytes[2]"><failure/></testcase>
<testcase classname="tests.conformance.test_api" name="test_status_is_whole"/>
<testcase classname="tests.conformance.test_other" name="test_it_is_described"><skipped/></testcase>
</testsuite></testsuites>"""


def test_a_row_holds_only_if_all_of_its_cases_do():
    assert rows(JUNIT) == [
        Row("test_api", "a size is of bytes", "fails", 2),
        Row("test_api", "status is whole", "holds", 1),
        Row("test_other", "it is described", "not run", 1),
    ]


def test_every_api_has_a_table_and_its_counts():
    told = report(rows(JUNIT), {"test_api": "ETSI GS QKD 014"})
    assert "## ETSI GS QKD 014\n\n2 rows: 1 holds, 1 fails, 0 not run.\n" in told
    assert "| a size is of bytes | 2 | fails |" in told
    assert "## test_other\n\n1 rows: 0 holds, 0 fails, 1 not run.\n" in told


def test_every_module_of_conformance_tests_names_what_it_is_about():
    modules = sorted((ROOT / FOLDER).glob("test_*.py"))
    titles = [title(module) for module in modules]
    assert modules
    assert len(set(titles)) == len(modules)
    assert not any(text.startswith("test_") for text in titles)

"""`qstrata scenario`: outcomes as table, JSON, JUnit and pictures, and an exit code that tells."""

import json
from importlib.util import find_spec
from xml.etree import ElementTree

import pytest

from qstrata.cli import main

TEXT = (
    "name: short\nabout: a cut and its alarm\nnetwork: ring\nlasts: 1m\nevery: 5s\n"
    "watch:\n  - {figure: detections-per-s, of: r1-r2}\n"
    "steps:\n"
    "  - {at: 20s, inject: cut, on: r1-r2}\n"
    "  - {at: 20s, expect: alarms, of: r1-r2, at-least: 1, within: 10s}\n"
    "  - {at: 40s, expect: link-state, of: r1-r2, equals: STATE}\n"
)


@pytest.fixture
def good(tmp_path):
    file = tmp_path / "good.yaml"
    file.write_text(TEXT.replace("STATE", "passive"))
    return str(file)


@pytest.fixture
def bad(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(TEXT.replace("STATE", "active"))
    return str(file)


def test_a_scenario_that_holds_ends_well_with_its_steps(good, capsys):
    assert main(["scenario", "run", good]) == 0
    printed = capsys.readouterr().out
    assert "inject cut on r1-r2" in printed
    assert "expect alarms of r1-r2" in printed
    assert "has lost the signal of fibre/r1-r2" in printed.partition("alarms, in seconds of virtual time")[2]
    assert "FAILED" not in printed


def test_a_scenario_that_does_not_hold_ends_with_code_1(bad, capsys):
    assert main(["scenario", "run", bad]) == 1
    printed = capsys.readouterr()
    assert "FAILED" in printed.out
    assert "1 of what was expected did not come" in printed.err


def test_json_gives_every_step_and_every_watched_figure(good, capsys):
    assert main(["scenario", "run", good, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [each["holds"] for each in answer["outcomes"]] == [True, True, True]
    assert len(answer["series"][0]["values"]) == 13
    assert answer["report"]["network"] == "ring"


def test_junit_counts_what_was_expected(bad, tmp_path):
    file = tmp_path / "report.xml"
    assert main(["scenario", "run", bad, "--junit", str(file)]) == 1
    suite = ElementTree.parse(file).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.find("failure") is not None for case in suite.findall("testcase")] == [False, True]


def test_the_list_shows_what_comes_with_the_package(capsys):
    assert main(["scenario", "list", "--json"]) == 0
    names = {page["name"] for page in json.loads(capsys.readouterr().out)}
    assert {"fibre-cut", "link-budget", "flash-crowd", "detector-ageing", "eavesdropper"} <= names


def test_a_scenario_that_is_not_there_is_refused(capsys):
    assert main(["scenario", "run", "nothing"]) == 1
    assert "no shipped scenario is called `nothing`" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib, an extra, is not installed")
def test_watched_figures_are_drawn_where_it_is_wanted(good, tmp_path):
    picture = tmp_path / "run.svg"
    assert main(["scenario", "run", good, "--plot", str(picture)]) == 0
    assert "<svg" in picture.read_text()

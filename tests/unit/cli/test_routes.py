"""`qstrata routes`: policies side by side, as tables and JSON, and what wrong wishes are told."""

import json

import pytest

from qstrata.cli import main
from qstrata.network.routing_policies import policy_names


def printed(capsys, *words):
    assert main(["routes", *words]) == 0
    return capsys.readouterr().out


def test_every_policy_is_compared_with_what_it_refuses_and_the_files_own_is_marked(capsys):
    text = printed(capsys, "randstad")
    for name in policy_names():
        assert f"\n{name}: " in f"\n{text}"
    assert "joint-rate (the file's)" in text
    assert "serves circuit utrecht-delft" in text


def test_json_has_paths_figures_and_totals(capsys):
    report = json.loads(printed(capsys, "randstad", "--policy", "fewest-hops", "--json"))
    assert (report["network"], report["run_s"]) == ("randstad", None)
    (policy,) = report["policies"]
    assert policy["served"] == 5
    first = policy["circuits"][0]
    assert (first["path"], first["links"]) == (["amsterdam", "delft"], ["amsterdam-delft"])
    assert 0.9 < first["fidelity"] < 0.98
    assert policy["measured_pairs_per_s"] is None


def test_without_a_link_circuits_go_round_or_are_refused(capsys):
    words = ["randstad", "--policy", "fewest-hops", "--json", "--without", "amsterdam-delft"]
    (policy,) = json.loads(printed(capsys, *words))["policies"]
    assert policy["circuits"][0]["path"] == ["amsterdam", "leiden", "delft"]


def test_runs_stand_beside_expectations(capsys):
    words = ["randstad", "--policy", "joint-rate", "--run", "10s", "--seed", "4"]
    text = printed(capsys, *words)
    assert "run pairs/s" in text
    assert " +- " in text
    report = json.loads(printed(capsys, *words, "--json"))
    (policy,) = report["policies"]
    assert (report["run_s"], report["seed"]) == (10.0, 4)
    assert all(row["measured"]["pairs"] > 10 for row in policy["circuits"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["randstad", "--policy", "fewest"], "no routing policy is called 'fewest'"),
        (["randstad", "--without", "amsterdam-delf"], "did you mean `amsterdam-delft`?"),
        (["madrid"], "has no `circuits`"),
    ],
)
def test_wrong_wishes_are_told_what_there_is(words, said, capsys):
    assert main(["routes", *words]) == 1
    assert said in capsys.readouterr().err

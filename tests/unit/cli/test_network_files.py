"""The network file from the command line: one to start from, its schema, its problems as JSON."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest

from qstrata.cli import main
from qstrata.core.time import PS_PER_S
from qstrata.network.loader import load
from qstrata.network.simulation import Simulation


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_init_writes_a_file_that_validates(capsys):
    assert main(["init"]) == 0
    assert "wrote network.yaml and qstrata.schema.json" in capsys.readouterr().err
    assert main(["validate", "network.yaml"]) == 0
    assert "3 nodes, 2 links, 3 SAEs" in capsys.readouterr().out


def test_the_head_of_the_file_leads_editors_to_its_schema():
    assert main(["init", "mine.yaml"]) == 0
    text = Path("mine.yaml").read_text()
    found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert found is not None
    jsonschema_rs.meta.validate(json.loads(Path(found[1]).read_text()))


def test_the_network_is_called_like_the_file_or_as_one_wants():
    assert main(["init", "My Net.yaml"]) == 0
    assert main(["init", "other.yaml", "--name", "lab-7"]) == 0
    assert (load(Path("My Net.yaml")).name, load(Path("other.yaml")).name) == ("my-net", "lab-7")


def test_a_name_that_no_network_may_have_is_refused(capsys):
    assert main(["init", "--name", "Lab_7"]) == 1
    assert "cannot be called `Lab_7`" in capsys.readouterr().err
    assert not Path("network.yaml").exists()


@pytest.mark.parametrize("standing", ["network.yaml", "qstrata.schema.json"])
def test_init_overwrites_nothing_unless_it_is_told_to(capsys, standing):
    Path(standing).write_text("mine")
    assert main(["init"]) == 1
    assert f"{standing} would be overwritten" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == [standing]
    assert Path(standing).read_text() == "mine"
    assert main(["init", "--force"]) == 0
    assert Path(standing).read_text() != "mine"


def test_a_second_file_shares_the_schema_beside_it():
    assert main(["init", "one.yaml"]) == 0
    assert main(["init", "two.yaml"]) == 0


def test_a_folder_that_is_not_there_is_a_fault_of_the_machine(capsys):
    assert main(["init", "nowhere/net.yaml"]) == 3
    assert "cannot be written" in capsys.readouterr().err


def test_the_starter_comes_up_in_virtual_time_and_its_demand_is_served():
    assert main(["init"]) == 0
    simulation = Simulation(load(Path("network.yaml")), seed=1)
    simulation.start_demands()
    simulation.run_until(60 * PS_PER_S)
    report = simulation.report()
    assert report.keys_fetched == report.keys_delivered > 30
    assert report.refusals == 0


@pytest.mark.parametrize("words", [["schema"], ["schema", "--json"]])
def test_the_schema_is_printed(capsys, words):
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "qstrata network file"


def test_the_schema_is_written_to_a_new_file_only(capsys):
    Path("net.yaml").write_text("mine")
    assert main(["schema", "net.yaml"]) == 1
    assert main(["schema", "net.json"]) == 0
    assert main(["schema"]) == 0
    assert Path("net.yaml").read_text() == "mine"
    assert Path("net.json").read_text() == capsys.readouterr().out


def test_validate_prints_problems_as_json(capsys):
    assert main(["init"]) == 0
    path = Path("network.yaml")
    text = path.read_text().replace("14.5", "14.5 km").replace("ends: [mid,", "ends: [middle,")
    path.write_text(text)
    capsys.readouterr()
    assert main(["validate", "network.yaml", "--json"]) == 1
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert answer["valid"] is False
    lines = text.splitlines()
    places = [(at["file"], lines[at["line"] - 1][at["col"] - 1 :].split(",")[0]) for at in answer["problems"]]
    assert places == [("network.yaml", "14.5 km"), ("network.yaml", "middle")]
    assert [at["meant"] for at in answer["problems"]] == ["14.5", "mid"]
    assert all(at["message"] for at in answer["problems"])
    assert said.err.count("\n") == 1


def test_validate_prints_what_a_good_file_holds_as_json(capsys):
    assert main(["validate", "madrid", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["valid"], answer["problems"]) == (True, [])
    assert (answer["network"], answer["nodes"], answer["links"], answer["saes"]) == ("madrid", 4, 3, 4)


@pytest.mark.parametrize("words", ["'init'", "'schema'"])
def test_light_commands_import_nothing_heavy(words):
    source = (
        f"import sys\nfrom qstrata.cli import main\nmain([{words}])\n"
        "heavy = 'aiohttp apsw asyncio cryptography numpy rich yaml qstrata.network.assembly'\n"
        "print([name for name in heavy.split() if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"

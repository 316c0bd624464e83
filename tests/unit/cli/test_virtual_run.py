"""What a virtual run reports."""

import json

import pytest

from qstrata.cli import main
from qstrata.network.loader import load_text
from qstrata.network.shipped import shipped_text
from qstrata.network.simulation import Simulation


def test_the_report_is_that_of_the_simulation_whoever_slices_its_time(capsys, tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(shipped_text("madrid"), encoding="utf-8")
    assert main(["run", str(path), "--virtual", "--for", "30s", "--seed", "5", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    outcome = json.loads(said.out)
    simulation = Simulation(load_text(path.read_text(encoding="utf-8"), str(path)), 5)
    simulation.start_demands()
    simulation.run_until(30 * 10**12)
    report = outcome["report"]
    assert report["event_log_sha256"] == simulation.recorder.sha256()
    assert report["keys_delivered"] >= report["keys_fetched"] > 0
    assert outcome["ratio_to_real_time"] * outcome["wall_s"] == pytest.approx(30.0)

    assert main(["run", str(path), "--virtual", "--for", "30s", "--seed", "5"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["event", "log", "SHA-256", report["event_log_sha256"]] in lines
    assert ["keys", "delivered", str(report["keys_delivered"])] in lines


DARK = """
name: dark
domain: dark
nodes:
  - {name: a, site: [0.0, 0.0]}
  - {name: b, site: [0.1, 0.0]}
links:
  - {ends: [a, b], length-km: 10.0, loss-db: 60.0, channels: default, block-s: 5}
saes: []
"""


def test_the_report_shows_how_links_stand_at_the_end(capsys, tmp_path):
    path = tmp_path / "dark.yaml"
    path.write_text(DARK, encoding="utf-8")
    assert main(["run", str(path), "--virtual", "--for", "20s", "--json"]) == 0
    (link,) = json.loads(capsys.readouterr().out)["report"]["findings"]["links"]
    assert (link["name"], link["state"], link["blocks"], link["key_rate_bps"]) == ("a-b", "active", 3, 0.0)
    assert main(["run", str(path), "--virtual", "--for", "20s"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a-b", "active"] in [line[:2] for line in lines]


def test_a_run_without_demands_says_so_on_stderr_alone(capsys):
    assert main(["run", "ring", "--virtual", "--for", "1s", "--json"]) == 0
    said = capsys.readouterr()
    assert "has no `demands`" in said.err
    assert json.loads(said.out)["report"]["keys_delivered"] == 0

"""`engine`: what may run links here, and how what is missing is installed."""

import json

import pytest

from qstrata.cli import engine, main


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("QSTRATA_ENGINES", str(tmp_path))
    return tmp_path


def test_the_list_says_which_engines_can_run_here(home, capsys):
    assert main(["engine", "list", "--json"]) == 0
    ready = {row["name"]: row["ready"] for row in json.loads(capsys.readouterr().out)}
    assert ready == {"native": True, "script": True, "sequence": False, "trace": True}
    assert main(["engine", "list"]) == 0
    assert "qstrata engine install sequence" in capsys.readouterr().out


def test_what_is_installed_is_left_alone(home, capsys, monkeypatch):
    python = home / "sequence" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(engine, "_run", lambda *command: pytest.fail("it was installed again"))
    assert main(["engine", "install", "sequence"]) == 0
    assert "is installed in" in capsys.readouterr().out


def test_a_pinned_release_is_installed_in_an_environment_of_its_own(home, monkeypatch):
    commands = []
    monkeypatch.setattr(engine, "_run", lambda command, failure: commands.append(command))
    assert main(["engine", "install", "sequence"]) == 0
    made, installed, tried = commands
    assert made[1:] == ["-m", "venv", str(home / "sequence")]
    assert installed[0] == tried[0] == str(home / "sequence" / "bin" / "python")
    assert installed[-1].startswith("sequence")


def test_an_environment_that_cannot_be_made_is_the_machines_fault(home, capfd, monkeypatch):
    monkeypatch.setattr(engine.sys, "executable", "/nowhere/python")
    assert main(["engine", "install", "sequence"]) == 3
    assert "the environment cannot be made" in capfd.readouterr().err

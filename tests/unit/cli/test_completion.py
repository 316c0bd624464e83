"""Completion: commands, options and live names, by the hidden command and through the shells' scripts."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from qstrata.cli import main
from qstrata.network.state import state_paths
from tests.unit.cli.answers import NETWORK, scripted_network

COMMANDS = {
    "demo",
    "up",
    "down",
    "inspect",
    "trace",
    "inject",
    "heal",
    "keys",
    "events",
    "pki",
    "doctor",
    "completion",
}


@pytest.fixture
def up() -> Iterator[None]:
    with scripted_network(state_paths("lab"), NETWORK):
        yield


def completed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["_complete", *words]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return str(said.out).splitlines()


def test_commands_are_completed_and_the_hidden_one_is_not(capsys):
    assert set(completed(capsys, "")) >= COMMANDS
    assert "_complete" not in completed(capsys, "")
    assert completed(capsys, "ke") == ["keys"]
    assert completed(capsys, "keys", "") == ["status", "get", "fetch"]
    assert completed(capsys) == completed(capsys, "")


def test_every_command_offers_its_options(capsys):
    assert completed(capsys, "inspect", "--w") == ["--watch"]
    assert {"--show-keys", "--json", "--help"} <= set(completed(capsys, "keys", "get", "--"))
    assert completed(capsys, "keys", "--") == ["--help"]


def test_choices_are_completed(capsys):
    assert completed(capsys, "heal", "")[:3] == ["cut", "loss", "intercept-resend"]
    assert completed(capsys, "completion", "z") == ["zsh"]


@pytest.mark.parametrize(
    "words", [["inspect"], ["events"], ["down"], ["trace", "id"], ["inject", "list", "--network"]]
)
def test_networks_that_are_up_are_completed(capsys, up, words):
    assert completed(capsys, *words, "") == ["lab"]
    assert completed(capsys, *words, "x") == []


@pytest.mark.parametrize(
    "words", [["keys", "get", "--from"], ["keys", "status", "--json", "--to"], ["pki", "export"]]
)
def test_saes_are_completed_by_node_and_by_name(capsys, up, words):
    assert completed(capsys, *words, "") == ["a", "urn:qkd:lab:a:sae"]
    assert completed(capsys, *words, "urn:qkd:l") == ["urn:qkd:lab:a:sae"]


def test_an_option_with_its_value_in_one_word_is_completed(capsys, up):
    assert completed(capsys, "keys", "get", "--from=ur") == ["--from=urn:qkd:lab:a:sae"]


def test_what_can_be_hurt_is_completed(capsys, up):
    every = ["a-b", "a-b/distillation", "a-b/relay", "management/a"]
    assert completed(capsys, "inject", "cut", "") == every
    assert completed(capsys, "inject", "kme-late", "") == ["kme/a", "session/5e55"]
    assert completed(capsys, "inject", "loss", "--network", "lab", "a") == ["a-b"]
    assert completed(capsys, "inject", "replay", "") == ["a-b/distillation", "a-b/relay"]
    assert completed(capsys, "inject", "rogue-controller", "") == ["a"]
    assert completed(capsys, "inject", "trojan-horse", "") == ["a-b"]
    assert completed(capsys, "inject", "memory-tampering", "") == []


def test_what_can_be_healed_is_completed(capsys, up):
    assert completed(capsys, "heal", "loss", "") == ["fibre/b-c"]
    assert completed(capsys, "heal", "--json", "cut", "") == ["fibre/a-b"]
    assert completed(capsys, "heal", "intercept-resend", "") == []


def test_the_network_that_the_line_names_is_asked(capsys, state_home):
    folder = state_home.parent / "own"
    with scripted_network(state_paths("own", folder), NETWORK):
        assert completed(capsys, "inject", "loss", "") == []
        assert completed(capsys, "inject", "loss", "--state-dir", str(folder), "") == ["a-b"]


def test_network_files_folders_and_shipped_names_are_completed(capsys, tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "mine.txt").touch()
    (tmp_path / "maps").mkdir()
    monkeypatch.chdir(tmp_path)
    assert completed(capsys, "up", "m") == ["madrid", "mine.yaml", "maps/"]
    assert completed(capsys, "validate", f"{tmp_path}/mi") == [f"{tmp_path}/mine.yaml"]
    assert completed(capsys, "run", "madrid", "--events", "mine") == ["mine.yaml", "mine.txt"][::-1]
    assert completed(capsys, "up", "no/such/folder") == []


def test_routing_policies_are_completed(capsys):
    assert completed(capsys, "routes", "randstad", "--policy", "highest") == [
        "highest-rate",
        "highest-fidelity",
    ]


def test_a_line_that_makes_no_sense_completes_to_nothing(capsys):
    for words in (["nonsense", ""], ["up", "--nonsense=x"], ["up", "madrid", "more", ""], ["\udcff"]):
        assert completed(capsys, *words) == []


@pytest.fixture
def command(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `qstrata` is this package."""
    script = tmp_path / "bin" / "qstrata"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m qstrata.cli "$@"\n')
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}"}


def in_bash(environ: dict[str, str], line: str) -> list[str]:
    """Return what bash offers for a line that is being typed."""
    program = (
        'eval "$(qstrata completion bash)"; COMP_LINE=$1; COMP_POINT=${#1}; _qstrata qstrata; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    run = subprocess.run(
        ["bash", "-c", program, "bash", line], env=environ, capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    return run.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("qstrata insp", ["inspect"]),
        ("qstrata keys ", ["status", "get", "fetch"]),
        ("qstrata inspect ", ["lab"]),
        ("qstrata inject loss a", ["a-b"]),
        ("qstrata keys get --from urn:q", ["qkd:lab:a:sae"]),
        ("qstrata keys get --from=urn:qkd:lab:a", ["a:sae"]),
    ],
)
def test_bash_offers_what_may_come_next(up, command, line, offered):
    assert in_bash(command, line) == offered


def words_after(offered: Sequence[str]) -> set[str]:
    return {word for line in offered for word in line.split()}


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_offers_what_may_come_next(up, command):
    program = "qstrata completion fish | source; complete -C 'qstrata keys '"
    run = subprocess.run(["fish", "-c", program], env=command, capture_output=True, text=True, check=True)
    assert words_after(run.stdout.splitlines()) == {"status", "get", "fetch"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script_that_calls_the_hidden_command(capsys, shell):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_complete" in script
    if checker := shutil.which(shell):
        subprocess.run([checker, "-n"], input=script, text=True, check=True)

"""`doctor`: a table or JSON, and the exit code 3 once a check fails."""

import json
import re

import msgspec
import pytest

from qstrata.cli import main
from qstrata.network.doctor import Check
from qstrata.network.shipped import shipped_text
from qstrata.network.state import prepare, state_paths


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(re.sub(r"port: \d+", "port: 0", shipped_text("madrid")))
    return path


def test_a_machine_without_any_network_is_sound(capsys, file):
    assert main(["doctor", str(file), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    checks = msgspec.json.decode(said.out, type=tuple[Check, ...])
    assert {check.verdict for check in checks} <= {"ok", "warn", "skip"}
    assert [check.verdict for check in checks if check.name == "ports"] == ["ok"]


def test_a_check_that_fails_is_named_and_ends_with_3(capsys, file):
    paths = state_paths("madrid")
    prepare(paths)
    paths.root.chmod(0o777)
    assert main(["doctor", str(file)]) == 3
    said = capsys.readouterr()
    assert "chmod 700" in said.out
    assert said.err == "qstrata: error[QS-301]: 1 checks fail: folder\n"


def test_a_folder_of_its_own_is_looked_at(capsys, file, state_home):
    folder = state_home.parent / "own"
    prepare(state_paths("lab", folder))
    for words in ([str(file)], []):
        assert main(["doctor", *words, "--state-dir", str(folder), "--json"]) == 0
        checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
        assert checks["folder"]["finding"] == str(folder)


def test_a_file_that_is_wrong_is_told_so(capsys, tmp_path):
    assert main(["doctor", str(tmp_path / "gone.yaml")]) == 1
    assert "there is no file" in capsys.readouterr().err

"""The two lines to paste: they survive a shell, whatever the folder is called."""

import json
import os
import subprocess
from pathlib import Path

from qstrata.cli import demonstration, main
from qstrata.cli.endings import CheckFailedError
from qstrata.network.remote import SaeView

CURL = """#!/usr/bin/env python3
import json, sys
json.dump({"argv": sys.argv[1:], "keys": [{"key_ID": "id-1"}]}, sys.stdout)
"""


def sae(name: str, port: int, folder: Path) -> SaeView:
    stem = str(folder / name)
    return SaeView(
        name=f"urn:qkd:lab:{name}:sae",
        node=name,
        url=f"https://127.0.0.1:{port}",
        certificate=f"{stem}.pem",
        key=f"{stem}.key",
        ca=str(folder / "ca.pem"),
    )


def test_the_second_line_asks_for_the_key_that_the_first_was_given(tmp_path):
    folder = tmp_path / 'it\'s a $HOME "of" `keys` \\ & more'
    folder.mkdir()
    curl = tmp_path / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text(CURL)
    curl.chmod(0o755)
    environ = {**os.environ, "PATH": f"{curl.parent}:{os.environ['PATH']}"}
    a, b = sae("a", 1, folder), sae("b", 2, folder)
    lines = demonstration.lines(a, b, folder / "key.json")

    def paste(line: str) -> list[str]:
        run = subprocess.run(["bash", "-c", line], env=environ, capture_output=True, check=True)
        assert run.stderr == b""
        argv = json.loads(run.stdout)["argv"]
        assert isinstance(argv, list)
        return argv

    def files(end: SaeView) -> list[str]:
        return ["--cacert", end.ca, "--cert", end.certificate, "--key", end.key]

    asked = paste(lines.asking)
    assert asked[-7:-1] == files(a)
    assert asked[-1] == "https://127.0.0.1:1/api/v1/keys/urn%3Aqkd%3Alab%3Ab%3Asae/enc_keys"
    fetched = paste(lines.fetching)
    assert fetched[-7:-1] == files(b)
    assert fetched[-1] == "https://127.0.0.1:2/api/v1/keys/urn%3Aqkd%3Alab%3Aa%3Asae/dec_keys?key_ID=id-1"


def test_a_check_that_fails_ends_with_code_1(capsys, monkeypatch):
    def fail(*_: object) -> None:
        raise CheckFailedError("key 1 is not the same at a and b")

    monkeypatch.setattr(demonstration.bringing_up, "serve", fail)
    assert main(["demo", "--check"]) == 1
    said = capsys.readouterr()
    assert said.out == "FAIL\n"
    assert said.err.endswith("qstrata: error[QS-104]: key 1 is not the same at a and b\n")


def test_a_check_that_was_interrupted_has_not_succeeded(capsys, monkeypatch):
    monkeypatch.setattr(demonstration.bringing_up, "serve", lambda *_: None)
    assert main(["demo", "--check"]) == 1
    assert "OK" not in capsys.readouterr().out

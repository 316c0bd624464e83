"""How commands end: the exit code says whose fault it was, one line on stderr says what to do."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from qstrata.cli import app, endings, main
from qstrata.cli.bringing_up import Wanted
from qstrata.cli.version import VERSION
from qstrata.core.errors import (
    EnvironmentFaultError,
    InputError,
    InternalError,
    RefusedError,
    SealedError,
    StoreFaultError,
)
from qstrata.interfaces.etsi014.client import NoAnswerError
from qstrata.network.shipped import shipped_text


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert said.out == ""
    assert re.match(r"qstrata: error\[QS-[1-7]\d\d\]: ", said.err)
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["validate", "nosuch"], 1, "no shipped network is called `nosuch`"),
        (["up", "gone.yaml"], 1, "there is no file `gone.yaml`"),
        (["demo", "madird"], 1, "did you mean `madrid`"),
        (["inject", "loss", "a-b", "nan"], 1, "loss on a-b: nan is no amount"),
        (["run", "madrid", "--virtual", "--for", "1m", "--initial-key-bits=7"], 1, "multiple of 8"),
        (["inspect", "../x"], 1, "is not a network's name"),
        (["inspekt"], 2, 'Did you mean "inspect"?'),
        (["inspect", "--jsn"], 2, "Did you mean --json?"),
        (["inject", "cutt", "a-b"], 2, 'Did you mean "cut"?'),
        (["inject", "loss", "a-b"], 2, "requires an argument"),
        (["inject", "loss", "a-b", "much"], 2, "much"),
        (["heal", "flood", "a-b"], 2, "intercept-resend"),
        (["run", "madrid", "--virtual"], 2, "--for"),
        (["run", "madrid", "--virtual", "--for", "10x"], 2, "give 90s, 15m, 6h, 1d"),
        (["run", "madrid", "--for", "1m"], 2, "add --virtual"),
        (["inspect"], 3, "the network madrid is not up: bring it up with `qstrata up madrid`"),
        (["trace", "x", "ring"], 3, "the network ring is not up"),
        (["describe"], 3, "is not up"),
        (["inject", "list"], 3, "is not up"),
        (["down"], 3, "is not up"),
        (["down", "--state-dir", "/nowhere"], 3, "qstrata up FILE --state-dir /nowhere"),
    ],
)
def test_what_went_wrong_is_one_line_with_its_code(capsys, words, code, said):
    assert main(words) == code
    assert said in error_of(capsys)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x"), 1),
        (RefusedError("x"), 1),
        (endings.UsageError("x"), 2),
        (EnvironmentFaultError("x"), 3),
        (SealedError("x"), 3),
        (StoreFaultError("x"), 3),
        (NoAnswerError("x"), 4),
        (endings.CheckFailedError("x"), 1),
        (InternalError("x"), 70),
        (endings.AnsweredError("x", 3), 3),
    ],
)
def test_the_code_says_whose_fault_it_was(error, code):
    assert endings.exit_code(error) == code


def test_every_code_is_in_the_help(capsys):
    assert main(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert endings.CODES in shown
    for code in (0, 1, 2, 3, 4, 70, 130):
        assert re.search(rf"\b{code}\b", endings.CODES)


def test_an_unknown_fault_is_one_line_and_its_traceback_is_in_a_file(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr(app, "app", fail)
    assert main(["inspect"]) == 70
    said = error_of(capsys)
    (log,) = tmp_path.iterdir()
    assert str(log) in said
    assert "of the test" not in said
    assert "ZeroDivisionError: of the test" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_an_interrupt_is_no_fault(capsys, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "app", interrupt)
    assert main(["inspect"]) == 130
    assert capsys.readouterr() == ("", "")


def test_all_that_is_wrong_with_a_file_is_told_in_one_run(capsys, tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(shipped_text("madrid").replace("length-km: 24.2", "length-kn: -1").replace("6.0", "x"))
    assert main(["validate", str(path)]) == 1
    said = capsys.readouterr().err
    problems = re.findall(rf"^{re.escape(str(path))}:\d+:\d+: ", said, re.MULTILINE)
    assert said.startswith(f"qstrata: error[QS-102]: {len(problems)} problems in the file:\n")
    assert "did you mean `length-km`" in said


def test_a_good_file_is_called_good(capsys):
    assert main(["validate", "madrid"]) == 0
    assert "4 nodes, 3 links, 4 SAEs" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--version"], ["version"]])
def test_the_version_is_that_of_the_package(capsys, words):
    assert version("qstrata") == VERSION
    assert main(words) == 0
    assert capsys.readouterr().out == f"qstrata {VERSION}\n"


def test_output_that_nobody_reads_on_is_no_fault():
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "qstrata.cli", "validate", "madrid"], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(reading)
    os.close(writing)
    _, said = process.communicate()
    assert (process.returncode, said) == (0, b"")


LIGHT = """
import sys
from pathlib import Path
from qstrata.cli import main
main([{words}])
heavy = "aiohttp apsw asyncio cryptography numpy rich yaml qstrata.network.assembly"
print([name for name in heavy.split() if name in sys.modules])
"""


def test_a_network_in_a_folder_of_its_own_is_taken_down_by_that_folder():
    assert Wanted(source="a.yaml").ending("ring") == "qstrata down ring"
    elsewhere = Wanted(source="a.yaml", state_dir=Path("/var/my nets"))
    assert elsewhere.ending("ring") == "qstrata down --state-dir '/var/my nets'"


@pytest.mark.parametrize(
    "words",
    [
        "'inspect'",
        "'inspect', '--watch'",
        "'events'",
        "'trace', 'x'",
        "'describe'",
        "'down'",
        "'inject', 'list'",
        "'_complete', 'keys', 'get', '--from', ''",
        "'completion', 'bash'",
        "'--version'",
    ],
)
def test_light_commands_import_nothing_heavy(words, state_home: Path):
    asking = "from qstrata.network import asking" if "version" not in words else ""
    source = LIGHT.format(words=words) + asking
    source = source.replace("heavy =", f"{asking}\nheavy =", 1)
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"

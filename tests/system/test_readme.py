"""What the README shows works as it is printed."""

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_python_example_runs_as_it_is_printed() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "HopView" in done.stdout


def test_every_command_of_the_tour_exists() -> None:
    commands = set(re.findall(r"^\| `qstrata ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "up", "down", "inspect", "trace", "describe", "inject", "heal", "run"} <= commands
    for command in sorted(commands):
        done = subprocess.run([sys.executable, "-m", "qstrata.cli", command, "--help"], capture_output=True)
        assert done.returncode == 0, command

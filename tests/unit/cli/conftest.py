"""Every test of the command line has a state folder of its own, short enough for a socket."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def state_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="q-"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    yield home / "qstrata"
    shutil.rmtree(home)

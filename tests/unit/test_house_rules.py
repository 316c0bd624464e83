"""What a fresh machine depends on: locks that are whole and portable, commands that exist."""

import os
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(r"^([a-z0-9.-]+)==([^ ]+)( ; [^\\]+)? \\$")
LOCKS = ("runtime", "dev")


def lock_text(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")


def pins(name: str) -> dict[tuple[str, str], str]:
    """Return (project, version) -> marker of one lock file."""
    found = [
        PIN.match(line) for line in lock_text(name).splitlines() if "==" in line and not line.startswith(" ")
    ]
    assert all(found), "a pin does not end in a hash"
    return {(match[1], match[2]): match[3] or "" for match in found if match}


def canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[><=]", requirement)[0]).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_host(name: str):
    assert "://" not in lock_text(name)
    assert "--index" not in lock_text(name)


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_a_pin_or_a_hash(name: str):
    lines = lock_text(name).splitlines()
    assert all(PIN.match(line) or line.lstrip().startswith("--hash=sha256:") for line in lines)


def test_the_development_lock_contains_the_runtime_lock():
    dev = set(pins("dev"))
    assert set(pins("runtime")) <= dev


@pytest.mark.parametrize("name", LOCKS)
def test_every_declared_dependency_is_locked(name: str):
    declared = set(map(canonical, PROJECT["project"]["dependencies"]))
    if name == "dev":
        declared |= set(map(canonical, PROJECT["project"]["optional-dependencies"]["dev"]))
    assert declared <= {project for project, _ in pins(name)}


def test_every_target_of_the_makefile_explains_itself():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    explained = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
    assert explained == set(phony[1].split())


def test_continuous_integration_can_be_started():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)

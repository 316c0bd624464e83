"""Every error has a code, and every code a section in the manual."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import qstrata
from qstrata.cli import endings
from qstrata.core.errors import QstrataError
from qstrata.network.error_codes import CODES, CRASH, code_of

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"
ADAPTERS = {"plugin", "__main__"}
"""Modules that another program loads, or that run when loaded."""


def every_error(kind: type[QstrataError] = QstrataError) -> Iterator[type[QstrataError]]:
    for module in pkgutil.walk_packages(qstrata.__path__, "qstrata."):
        if module.name.rpartition(".")[2] not in ADAPTERS:
            importlib.import_module(module.name)
    found = [kind]
    while found:
        one = found.pop()
        found += one.__subclasses__()
        if one.__module__.startswith("qstrata.") and one not in (QstrataError, endings.AnsweredError):
            yield one


def resolved(type_name: str) -> type:
    module, _, name = type_name.rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    assert isinstance(kind, type)
    return kind


def test_every_error_of_the_package_has_a_code_of_its_own_or_of_what_it_derives_from():
    kinds = set(every_error())
    assert len(kinds) > 15
    assert [kind for kind in kinds if code_of(kind.__new__(kind)) == CRASH] == []


def test_every_code_stands_once_for_a_type_that_exists():
    assert len({row.code for row in CODES}) == len({row.type for row in CODES}) == len(CODES)
    for row in CODES:
        assert code_of(resolved(row.type).__new__(resolved(row.type))) == row.code


@pytest.mark.parametrize("row", CODES, ids=lambda row: row.code)
def test_the_first_digit_goes_with_the_exit_code(row):
    kind = resolved(row.type)
    code = endings.INTERNAL if row.code == CRASH else endings.exit_code(kind.__new__(kind))
    assert row.code.removeprefix("QS-")[0] == str(code)[0]


def test_an_unknown_fault_is_a_fault_of_ours():
    assert code_of(ZeroDivisionError()) == CRASH


def test_the_manual_has_a_section_for_every_code_with_cause_and_cure():
    text = PAGE.read_text(encoding="utf-8")
    for row in CODES:
        assert f"\n## {row.code}\n" in text
        assert row.cause in text
        assert row.cure in text

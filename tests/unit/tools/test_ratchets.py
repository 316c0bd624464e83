"""The ratchets catch each breach that they promise to catch, and nothing innocent."""

import pytest

from tools.ratchets import check_source, compare, count_ratchets

CLEAN = '''"""A module."""


def area(width: int) -> int:
    """Return the area."""
    return width * width
'''


def rules(source: str, where: str = "src/qstrata/core/x.py") -> list[str]:
    return [breach.rule for breach in check_source(source, where)]


def test_clean_source_has_no_breach():
    assert rules(CLEAN) == []


@pytest.mark.parametrize(
    ("rule", "addition"),
    [
        ("bare-except", "try:\n    area(1)\nexcept:\n    pass\n"),
        ("print", "print(area(1))\n"),
        ("banned-word", "# TODO: later\n"),
        ("banned-word", "_x = 1  # FIXME\n"),
        ("docstring", "def volume() -> None:\n    pass\n"),
        ("docstring", "class Box:\n    pass\n"),
        ("function-length", "def _long() -> None:\n" + "    area(1)\n" * 60),
        ("file-length", "_x = 1\n" * 400),
    ],
)
def test_each_breach_is_named(rule: str, addition: str):
    assert rules(CLEAN + addition) == [rule]


def test_limits_are_inclusive():
    assert rules(CLEAN + "def _long() -> None:\n" + "    area(1)\n" * 59) == []
    assert rules(CLEAN + "_x = 1\n" * 394) == []


def test_module_without_docstring_is_a_breach():
    assert rules("X = 1\n") == ["docstring"]


def test_private_names_need_no_docstring():
    assert rules(CLEAN + "def _volume() -> None:\n    pass\n") == []


def test_banned_word_inside_a_string_is_innocent():
    assert rules(CLEAN + '_x = "TODO"\n') == []


def test_command_line_may_print():
    assert rules(CLEAN + "print(area(1))\n", "src/qstrata/cli/show.py") == []


def test_tests_answer_for_length_and_words_alone():
    source = "def test_it():\n    print(1)\n"
    assert rules(source, "tests/unit/test_it.py") == []
    assert rules("x = 1\n" * 401, "tests/unit/test_it.py") == ["file-length"]


def test_silenced_type_checks_are_counted_in_src_alone():
    silenced = "x = 1  # type: ignore[assignment]\ny = '# type: ignore'\n"
    assert count_ratchets({"src/a.py": silenced, "tests/b.py": silenced}) == {"type-ignore": 1}


@pytest.mark.parametrize(("count", "complaints"), [(3, 1), (2, 0), (1, 1)])
def test_a_count_may_only_stay_or_fall_with_its_baseline(count: int, complaints: int):
    assert len(compare({"type-ignore": count}, {"type-ignore": 2})) == complaints

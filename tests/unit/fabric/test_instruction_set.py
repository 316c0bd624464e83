"""The instruction set as a whole: small, and every instruction says what it needs and what it does."""

import pytest

from qstrata.core.address import End
from qstrata.fabric.figure import MESSAGES

T6 = [kind for kind in MESSAGES if kind.arrow == "T6"]
INSTRUCTIONS = [kind for kind in T6 if End.WORLD in kind.sent_to]
RESULTS = [kind for kind in T6 if End.WORLD in kind.sent_by]


def test_there_are_at_most_twenty_instructions():
    assert len(INSTRUCTIONS) <= 20
    assert not set(INSTRUCTIONS) & set(RESULTS)


@pytest.mark.parametrize("kind", INSTRUCTIONS, ids=lambda kind: kind.__name__)
def test_every_instruction_has_an_id_and_says_what_must_hold_before_and_what_holds_after(kind):
    assert "instruction" in kind.__struct_fields__
    assert "Pre: " in kind.__doc__
    assert "Post: " in kind.__doc__
    assert all(end.plane == "res" for end in kind.sent_by)

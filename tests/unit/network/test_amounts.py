"""Amounts of faults are told with their units."""

import pytest

from qstrata.interfaces.etsi014.faults import KINDS as ANSWER_FAULTS
from qstrata.network.amounts import amount_in_words
from qstrata.twin.faults import KINDS


@pytest.mark.parametrize(
    ("kind", "amount", "words"),
    [
        ("loss", 5.0, "5 dB"),
        ("intercept-resend", 0.3, "30 % of the pulses"),
        ("raman", 2000.0, "2000 clicks/s"),
        ("kme-late", 2.5, "2.5 s"),
        ("cut", 1.0, ""),
        ("kme-exhausted", 1.0, ""),
    ],
)
def test_an_amount_has_its_unit(kind, amount, words):
    assert amount_in_words(kind, amount) == words


def test_only_what_has_no_amount_is_told_without_one():
    bare = {kind for kind in (*KINDS, *ANSWER_FAULTS) if not amount_in_words(kind, 0.5)}
    assert bare == {"cut", "rogue-controller", *ANSWER_FAULTS} - {"kme-late"}

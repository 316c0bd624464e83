"""What a rule is: a guarantee, and what judges the events that may break it."""

from collections.abc import Callable
from typing import Any

import msgspec

from qstrata.testing.verdict import Case

Judge = Callable[[Case, Any], None]


class Rule(msgspec.Struct, frozen=True):
    """One guarantee; each judge sees the events of one type, before the facts take them in.

    `finish` judges what only the end of the log can show.
    """

    id: str
    guarantee: str
    judges: tuple[tuple[type, Judge], ...] = ()
    finish: Callable[[Case], None] | None = None

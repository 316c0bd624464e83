"""Fixtures that pytest finds once qstrata is installed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from qstrata.network.face import Network


@pytest.fixture
def qstrata_network() -> "Iterator[Callable[..., Network]]":
    """Give a function that brings a network up for one test, with the arguments of `qstrata.network`."""
    with ExitStack() as stack:

        def bring_up(*arguments: Any, **figures: Any) -> "Network":
            # Imported here: an error in this file would break every test run of every project.
            from qstrata.network import face

            return stack.enter_context(face.network(*arguments, **figures))

        yield bring_up

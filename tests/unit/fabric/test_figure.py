"""The figure as data: every row has its source, every message its arrow."""

import importlib
import pkgutil

import pytest

from qstrata.core.address import End
from qstrata.fabric import messages
from qstrata.fabric.figure import ARROWS, MESSAGES, arrow_between, types_of
from qstrata.fabric.messages.base import Message
from qstrata.fabric.messages.delivery import EncKeys, KeysDelivered
from qstrata.fabric.secrecy import secret_fields


def every_message_type():
    for found in pkgutil.iter_modules(messages.__path__):
        module = importlib.import_module(f"{messages.__name__}.{found.name}")
        for name, kind in vars(module).items():
            is_own = (
                isinstance(kind, type) and kind.__module__ == module.__name__ and not name.startswith("_")
            )
            if is_own and issubclass(kind, Message) and kind is not Message:
                yield kind


def test_every_message_type_is_registered_once():
    assert sorted(kind.__name__ for kind in every_message_type()) == sorted(
        kind.__name__ for kind in MESSAGES
    )


@pytest.mark.parametrize("arrow", ARROWS, ids=lambda arrow: f"{arrow.id} {arrow.title}")
def test_every_row_names_its_ends_title_and_source(arrow):
    assert arrow.pairs
    assert arrow.title
    assert arrow.source


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_message_type_names_an_arrow_that_joins_its_ends(kind):
    joined = [arrow_between(a, b) for a in kind.sent_by for b in kind.sent_to]
    assert kind.arrow in {arrow.id for arrow in joined if arrow is not None}


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_key_material_is_in_secret_types_on_secret_arrows_only(kind):
    arrows = [arrow_between(a, b) for a in kind.sent_by for b in kind.sent_to]
    if secret_fields(kind):
        assert kind.secret
    if kind.secret:
        assert all(arrow is None or arrow.secret for arrow in arrows)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_log_fields_exist(kind):
    for name in kind.logged:
        assert name in kind.__struct_fields__ or isinstance(getattr(kind, name), property)


def test_types_have_a_direction():
    assert EncKeys in types_of("T1", End.APPLICATION, End.SERVICE_RES)
    assert EncKeys not in types_of("T1", End.SERVICE_RES, End.APPLICATION)
    assert KeysDelivered in types_of("T1", End.SERVICE_RES, End.APPLICATION)


def test_an_unknown_arrow_carries_nothing():
    assert types_of("F99", End.SERVICE_CTL, End.SERVICE_RES) == frozenset()

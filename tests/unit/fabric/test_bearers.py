"""The bearer table: up means granted and intact."""

import pytest

from qstrata.core.effects import SetBearer
from qstrata.core.errors import InputError, InternalError
from qstrata.fabric.bearers import BearerTable


@pytest.fixture
def table():
    table = BearerTable()
    table.declare("fibre/a-b", "fibre", 100)
    table.declare("management/a", "management", 5, granted=True)
    return table


def test_a_bearer_is_down_until_it_is_granted(table):
    assert not table.up("fibre/a-b")
    table.apply(SetBearer("fibre/a-b", granted=True))
    assert table.up("fibre/a-b")


def test_a_management_channel_is_declared_granted(table):
    assert table.up("management/a")


def test_a_cut_takes_a_granted_bearer_down_and_mending_brings_it_back(table):
    table.apply(SetBearer("management/a", intact=False))
    assert not table.up("management/a")
    table.apply(SetBearer("management/a", intact=True))
    assert table.up("management/a")


def test_each_side_changes_its_own_part_only(table):
    table.apply(SetBearer("fibre/a-b", intact=False))
    table.apply(SetBearer("fibre/a-b", granted=True))
    table.apply(SetBearer("fibre/a-b", delay_ps=70))
    (row, _) = table.rows()
    assert (row.granted, row.intact, row.up, row.delay_ps) == (True, False, False, 70)
    assert table.delay_ps("fibre/a-b") == 70


def test_a_change_that_changes_nothing_leaves_the_version(table):
    before = table.version
    table.apply(SetBearer("management/a", granted=True))
    assert table.version == before
    table.apply(SetBearer("management/a", granted=False))
    assert table.version == before + 1


def test_a_bearer_is_declared_once_with_a_delay_of_0_or_more(table):
    with pytest.raises(InputError, match="declared twice"):
        table.declare("management/a", "management", 5)
    with pytest.raises(InputError, match="0 or more"):
        table.declare("new", "relay", -1)


def test_an_undeclared_bearer_is_an_error_and_not_just_down(table):
    assert "none" not in table
    with pytest.raises(InternalError, match="never declared"):
        table.up("none")


def test_a_bearer_that_is_withdrawn_is_down_whatever_is_said_until_it_is_declared_again(table):
    table.withdraw("fibre/a-b")
    table.apply(SetBearer("fibre/a-b", granted=True, intact=True))
    assert not table.up("fibre/a-b")
    assert [row.bearer for row in table.rows()] == ["management/a"]
    table.declare("fibre/a-b", "fibre", 9, granted=True)
    assert table.up("fibre/a-b")
    assert table.delay_ps("fibre/a-b") == 9

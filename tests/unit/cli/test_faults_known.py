"""Every fault that can be injected can be healed, written into a scenario, and is explained."""

import inspect
from typing import get_args

import pytest

from qstrata.cli.app import heal
from qstrata.cli.app import inject as inject_commands
from qstrata.interfaces.etsi014.faults import KINDS as ANSWER_FAULTS
from qstrata.network.scenarios.script import Fault
from qstrata.twin.faults import KINDS

ALL = {*KINDS, *ANSWER_FAULTS}


def test_what_can_be_injected_can_be_healed():
    kinds = inspect.signature(heal).parameters["kind"].annotation
    assert set(get_args(kinds)) == ALL


def test_what_can_be_injected_can_stand_in_a_scenario():
    assert set(get_args(Fault)) == ALL


@pytest.mark.parametrize("kind", sorted(ALL))
def test_there_is_a_command_with_help_for_every_fault(kind):
    assert inject_commands[kind].help

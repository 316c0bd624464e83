"""Every fault that can be injected can be healed and written into a scenario, and is explained."""

from typing import get_args

import pytest

from qstrata.cli.app import inject as inject_commands
from qstrata.interfaces.etsi014.faults import KINDS as ANSWER_FAULTS
from qstrata.network.fault_kinds import FaultKind
from qstrata.twin.faults import KINDS

ALL = {*KINDS, *ANSWER_FAULTS}


def test_what_can_be_injected_can_be_healed_and_stand_in_a_scenario():
    assert set(get_args(FaultKind)) == ALL


@pytest.mark.parametrize("kind", sorted(ALL))
def test_there_is_a_command_with_help_for_every_fault(kind):
    assert inject_commands[kind].help

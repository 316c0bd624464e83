"""A KME with its SAEs registered, before and after its first refill."""

import pytest

from tests.unit.strata.service.kme_rig import Rig


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.configure()
    return rig


@pytest.fixture
def filled(rig: Rig) -> Rig:
    rig.grant()
    rig.settle()
    rig.settle()
    return rig

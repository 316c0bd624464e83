import pytest

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.twin.plan import check_plan
from tests.unit.twin.harness import link_plan, twin_plan


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (twin_plan(link_plan("a", "b", block_ps=PS_PER_S - 1)), "link a-b: a block of 999999999999 ps"),
        (twin_plan(link_plan("a", "b", first_block=0)), "link a-b: blocks count from 1"),
        (twin_plan(link_plan("a", "b", initial_key_bits=-1)), "provisioned bits from 0"),
        (twin_plan(link_plan("a", "b"), link_plan("a", "b")), "link a-b appears twice"),
        (twin_plan(link_plan("a", "b"), report_period_ps=0), "report period of 0 ps"),
    ],
)
def test_a_plan_that_cannot_run_is_refused_by_name(plan, told):
    with pytest.raises(InputError, match=told):
        check_plan(plan)


def test_a_plan_of_several_links_is_accepted():
    check_plan(twin_plan(link_plan("a", "b"), link_plan("b", "c")))

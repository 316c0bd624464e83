"""Whatever is done to a link and whenever: no pulse is lost or counted twice."""

from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.device import BlockClosed, CountsReport, Discard, Measure
from qstrata.fabric.messages.lab import Heal, Inject
from qstrata.physics.counts import add, zero
from tests.unit.twin.harness import BOB, OPERATOR, World, link_plan, switch_on, twin_plan

DEEDS = st.sampled_from(["cut", "heal", "loss", "intercept-resend", "stop", "start"])


def do(world, deed, step):
    match deed:
        case "stop":
            world.tell(BOB, Discard(f"stop {step}", -1))
        case "start":
            world.tell(BOB, Measure(f"start {step}"))
        case "heal":
            world.tell(OPERATOR, Heal(step, "cut", "a-b"))
        case _:
            world.tell(OPERATOR, Inject(step, deed, "a-b", 0.5))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6 * PS_PER_S), DEEDS), max_size=12),
    st.integers(PS_PER_S, 9 * PS_PER_S),
)
def test_reports_of_a_block_add_up_to_it_whatever_happens(deeds, block_ps):
    world = World(twin_plan(link_plan("a", "b", block_ps=block_ps)))
    switch_on(world)
    for step, (wait_ps, deed) in enumerate(deeds):
        world.run_until(world.now + wait_ps)
        do(world, deed, step)
    do(world, "start", len(deeds))
    world.run_until(world.now + 30 * PS_PER_S)
    closed = {block.block: block.counts for block in world.received(BOB, BlockClosed)}
    assert list(closed) == list(range(1, len(closed) + 1))
    reports = world.received(BOB, CountsReport)
    for number, counts in closed.items():
        assert reduce(add, [report.counts for report in reports if report.block == number], zero()) == counts
        assert counts.pulses == block_ps // 10_000

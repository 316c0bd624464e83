"""There and back: the plan back undoes the plan there, in words and on a network that runs."""

from hypothesis import given, settings
from hypothesis import strategies as st

from qstrata.network.description import Description
from qstrata.network.difference import difference
from qstrata.network.simulation import Simulation
from qstrata.network.steps import Change, Plan, Step
from tests.simulation.looking import run
from tests.simulation.random_edits import Editor, base, loaded
from tests.simulation.test_apply import elements, expected

BACK = {"add": "remove", "remove": "add", "change": "change"}


def after_edits(seed: int, edits: int) -> Description:
    """Return the base network after so many random edits."""
    editor, file = Editor(seed), base()
    done = 0
    while done < edits:
        edited = editor.draw(file, editor.choose(editor.kinds))
        if edited is not None:
            file, done = edited, done + 1
    return loaded(file)


def turned(step: Step) -> tuple[object, ...]:
    """Return what undoes a step, without its words of what it disturbs."""
    changes = tuple(Change(each.key, each.new, each.old) for each in step.changes)
    return (BACK[step.action], step.kind, step.object, changes)


def plain(step: Step) -> tuple[object, ...]:
    """Return a step without its words of what it disturbs."""
    return (step.action, step.kind, step.object, step.changes)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 20))
@settings(deadline=None)
def test_the_plan_back_is_the_plan_there_turned_round(one: int, other: int, edits: int) -> None:
    a, b = after_edits(one, edits), after_edits(other, 20 - edits)
    there, back = difference(a, b), difference(b, a)
    assert {plain(step) for step in back.steps} == {turned(step) for step in there.steps}
    assert difference(a, a) == difference(b, b) == Plan(())


@given(st.integers(0, 10_000), st.integers(1, 12))
@settings(max_examples=8, deadline=None)
def test_a_network_changed_there_and_back_stands_as_it_stood(seed: int, edits: int) -> None:
    a, b = loaded(base()), after_edits(seed, edits)
    sim = Simulation(a, seed=seed)
    run(sim, 3)
    stood = elements(sim).keys()
    assert sim.apply(b).missing == ()
    assert expected(sim) <= elements(sim).keys()
    assert sim.apply(a).missing == ()
    assert elements(sim).keys() == stood
    assert sim.apply(a).plan == Plan(())

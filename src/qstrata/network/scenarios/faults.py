"""The faults of a scenario, held against its network before it runs: each is tried on a book of its own."""

from collections.abc import Sequence

from qstrata.core.errors import InputError
from qstrata.interfaces.etsi014.faults import KINDS as ANSWER_FAULTS
from qstrata.interfaces.etsi014.faults import AnswerFaults
from qstrata.network.description import Description
from qstrata.network.document import Problem, View
from qstrata.network.intruders import world_plan
from qstrata.network.plan import make_plan
from qstrata.twin.engine import fault_book, hurt

WHOLE = 1.0
"""An amount that every kind of fault may have."""


class Trial:
    """Inject and heal as the scenario will; InputError for what it could not."""

    def __init__(self, description: Description) -> None:
        self._plan = world_plan(make_plan(description), None, {})
        self._world = fault_book(self._plan)
        self._answers = AnswerFaults([node.name for node in description.nodes])

    def inject(self, kind: str, target: str, amount: float) -> None:
        """Let a fault stand."""
        if kind in ANSWER_FAULTS:
            self._answers.inject(kind, target, amount, 0)
        else:
            hurt(self._plan, self._world, kind, target, amount, 0)

    def heal(self, kind: str, target: str) -> None:
        """End a fault."""
        if kind in ANSWER_FAULTS:
            self._answers.heal(kind, target)
        else:
            self._world.heal(kind, target)


def check_faults(steps: Sequence[View], description: Description) -> list[Problem]:
    """Return the faults that the network cannot have there, or so much, and those healed that do not stand.

    `steps` are in their order, each of the right type and shape.
    """
    trial = Trial(description)
    problems: list[Problem] = []
    for step in steps:
        on, amount = step.get("on"), step.get("amount")
        inject, heal = step.get("inject").text, step.get("heal").text
        at = on
        try:
            if inject:
                trial.inject(inject, on.text or "", WHOLE)
                at = amount
                trial.inject(inject, on.text or "", float(amount.text or WHOLE))
            elif heal:
                trial.heal(heal, on.text or "")
        except InputError as fault:
            problems.append(Problem(at.place, str(fault)))
    return problems

"""The steps of a plan: what is to be done to a network that runs. Light, for commands show them."""

from typing import Literal

import msgspec

Action = Literal["add", "remove", "change"]
Kind = Literal[
    "node",
    "link",
    "circuit",
    "sae",
    "session",
    "demand",
    "policy",
    "routes",
    "limits",
    "defaults",
    "management",
]


class Change(msgspec.Struct, frozen=True):
    """One key of a network file that changes; texts, empty where nothing is said."""

    key: str
    old: str
    new: str


class Step(msgspec.Struct, frozen=True):
    """One step of a plan: what is done to which object, which keys change, and what it disturbs."""

    action: Action
    kind: Kind
    object: str
    changes: tuple[Change, ...]
    disturbs: str


class Plan(msgspec.Struct, frozen=True):
    """The steps from one description to another, in the order of their tables; none if they are alike."""

    steps: tuple[Step, ...]

    def touches(self, kind: Kind) -> frozenset[str]:
        """Return the names of the objects of a kind that it touches."""
        return frozenset(step.object for step in self.steps if step.kind == kind)

"""What the lab did to an answer is excused, and nothing else."""

from collections.abc import Callable

import pytest

from qstrata.fabric.log import Injected
from qstrata.interfaces.etsi014.faults import EXPIRED, WRONG
from qstrata.testing.history import Outcome
from tests.unit.testing.story import Story


def altered(story: Story, verb: str, sae: str, fault: str, key_ids: str = "k1") -> None:
    story.note(Injected("south", sae, verb, fault, key_ids))


def other_bits(story: Story) -> None:
    story.pooled()
    story.enc()
    story.mark("south", "B", own=False)
    story.answer("south", "B", "dec")
    story.call("B", "A", "dec", Outcome.DELIVERED, digest="other")


def other_bits_that_the_lab_gave(story: Story) -> None:
    other_bits(story)
    altered(story, "dec", "B", WRONG)


def other_bits_beside_those_that_the_lab_gave(story: Story) -> None:
    other_bits(story)
    altered(story, "enc", "A", WRONG)


def other_bits_of_another_key_than_the_labs(story: Story) -> None:
    other_bits(story)
    altered(story, "dec", "B", WRONG, "k2")


def refused(story: Story) -> None:
    story.pooled()
    story.enc()
    story.call("B", "A", "dec", Outcome.REFUSED, at=200)


def refused_by_the_lab(story: Story) -> None:
    refused(story)
    altered(story, "dec", "B", EXPIRED)


def refused_by_the_lab_and_again_by_the_kme(story: Story) -> None:
    refused_by_the_lab(story)
    story.call("B", "A", "dec", Outcome.REFUSED, at=300)


def refused_to_one_and_the_lab_refused_another(story: Story) -> None:
    refused(story)
    altered(story, "dec", "C", EXPIRED)


@pytest.mark.parametrize(
    ("tell", "broken"),
    [
        (other_bits, {"equal-clients"}),
        (other_bits_that_the_lab_gave, set()),
        (other_bits_beside_those_that_the_lab_gave, {"equal-clients"}),
        (other_bits_of_another_key_than_the_labs, {"equal-clients"}),
        (refused, {"nothing-lost"}),
        (refused_by_the_lab, set()),
        (refused_by_the_lab_and_again_by_the_kme, {"nothing-lost"}),
        (refused_to_one_and_the_lab_refused_another, {"nothing-lost"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_answer_is_excused_only_where_the_log_says_that_the_lab_altered_it(
    tell: Callable[[Story], None], broken: set[str]
) -> None:
    story = Story()
    tell(story)
    verdict = story.verdict()
    assert {violation.rule for violation in verdict.violations} == broken, verdict.text()

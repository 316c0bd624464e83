"""The checker finds nothing in a good run, and names each guarantee that a bad run breaks."""

from collections.abc import Callable

import pytest

from qstrata.core.errors import InputError
from qstrata.interfaces.etsi014.virtual import ClientEntry
from qstrata.testing.checker import check
from qstrata.testing.history import ClientCall, Outcome, calls_of, outcome_of_status
from qstrata.testing.rules import RULES
from tests.unit.testing import bad_runs_of_bits, bad_runs_of_keys, runs_of_quarantine
from tests.unit.testing.good_runs import CLEAN
from tests.unit.testing.story import BLOCK, Story

BROKEN = [*bad_runs_of_bits.RUNS, *bad_runs_of_keys.RUNS, *runs_of_quarantine.RUNS]
ALSO = {"position_lost_by_a_crash": {"conservation"}}
"""Rules that the same run breaks besides the one it is told for."""


@pytest.mark.parametrize("tell", [*CLEAN, *runs_of_quarantine.CLEAN], ids=lambda tell: tell.__name__)
def test_a_good_run_breaks_no_rule(tell: Callable[[Story], None]):
    story = Story()
    tell(story)
    verdict = story.verdict()
    assert verdict.ok, verdict.text()


@pytest.mark.parametrize(("rule", "tell"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_bad_run_breaks_its_rule(rule: str, tell: Callable[[Story], None]):
    story = Story()
    tell(story)
    verdict = story.verdict()
    assert {v.rule for v in verdict.violations} == {rule} | ALSO.get(tell.__name__, set()), verdict.text()


def test_every_rule_has_a_run_that_breaks_it():
    assert {rule for rule, _ in BROKEN} == {rule.id for rule in RULES}


def test_a_rule_that_is_allowed_to_break_is_not_judged():
    story = Story()
    bad_runs_of_bits.refused_message(story)
    assert story.verdict(allow=("refusals",)).ok


def test_allowing_a_rule_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="pad-once"):
        check([], allow=("pads-once",))


def test_a_violation_names_the_entries_that_show_it():
    story = Story()
    story.blocks()
    story.put("north", BLOCK, position=512)
    story.mask()
    story.mask(of="t2")
    (violation,) = story.verdict().violations
    assert violation.sequences == (6, 7)


def test_the_text_of_a_verdict_says_how_much_was_judged_and_what_was_found():
    story = Story()
    story.whole()
    bad_runs_of_bits.refused_message(story)
    text = story.verdict().text()
    assert "1 masks, 1 unmasks, 256 bits masked, 2 keys held, 1 answers enc, 1 answers dec" in text
    assert "refusals: KmeHello from service.res/d/north/kme" in text


def test_the_log_is_read_from_a_file_as_from_memory(tmp_path):
    story = Story()
    bad_runs_of_keys.acknowledged_key_was_lost(story)
    story.recorder.flush()
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in story.lines))
    assert check(path, story.calls) == story.verdict()


def test_a_line_cut_off_by_the_death_of_the_writer_is_left_out(tmp_path):
    story = Story()
    story.whole()
    story.recorder.flush()
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in story.lines) + b'[100,99,"answer","nor')
    assert check(path, story.calls).ok


def test_a_line_cut_off_by_the_death_of_the_writer_may_be_followed_by_a_new_life():
    story = Story()
    story.blocks()
    story.recorder.flush()
    story.lines.append(b'[100,99,"answer","nor')
    story.restart_the_process()
    story.carry()
    assert story.verdict().counts.masks == 1


def test_a_line_that_is_no_entry_is_named():
    story = Story()
    story.blocks()
    story.recorder.flush()
    with pytest.raises(InputError, match="line 3 "):
        check([*story.lines[:2], b'[100,99,"answer",5]', *story.lines[2:]])


def test_a_delivery_without_a_digest_is_refused():
    call = ClientCall(
        started_ps=0,
        ended_ps=1,
        sae="A",
        peer="B",
        verb="enc",
        key_ids=("k1",),
        outcome=Outcome.DELIVERED,
    )
    with pytest.raises(InputError, match="digest"):
        check([], [call])


def test_the_history_of_a_virtual_sae_becomes_calls_for_keys():
    status = ClientEntry(time_ps=1, answered_ps=2, sae="A", peer="B", verb="status", outcome=200)
    lost = ClientEntry(time_ps=3, sae="B", peer="A", verb="dec", key_ids=("k1",))
    (call,) = calls_of([status, lost])
    assert (call.started_ps, call.ended_ps, call.verb, call.outcome) == (3, 3, "dec", Outcome.UNKNOWN)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (400, Outcome.REFUSED),
        (401, Outcome.REFUSED),
        (503, Outcome.UNAVAILABLE),
        (0, Outcome.UNKNOWN),
    ],
)
def test_a_status_of_the_standard_has_its_outcome(status: int, outcome: Outcome):
    assert outcome_of_status(status) is outcome

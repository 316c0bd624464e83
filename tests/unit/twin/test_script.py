"""The engine `script:PATH`: what it asks for, what it takes for a key, and what it calls nonsense."""

import json

import msgspec
import pytest
import yaml

from qstrata.core.effects import WorkDone
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.physics.profiles import profile
from qstrata.twin.blockwise import FindingError
from qstrata.twin.contract import LinkTask
from qstrata.twin.faults import FaultBook
from qstrata.twin.sampling import disturbed
from qstrata.twin.script import ScriptKey, engine, read_run

HEALTHY = profile().link_parameters(6.0)
BLOCK_PS = 10 * PS_PER_S


def under(**amounts):
    """Return the link under faults."""
    book = FaultBook({"a-b": "fibre/a-b"}, ())
    for kind, amount in amounts.items():
        book.inject(kind.replace("_", "-"), "a-b", amount, 0)
    return disturbed(HEALTHY, "fibre/a-b", book)


def made(**changes):
    given = {
        "link": "a-b",
        "parameters": HEALTHY,
        "length_km": 24.2,
        "block_ps": BLOCK_PS,
        "period_ps": PS_PER_S,
        "first_block": 1,
        "seed": 7,
        "key_bits": lambda block: stream(7, "bits", block),
        "block_key_bits": 64,
    }
    return engine("/lab/bb84.py")(LinkTask(**(given | changes)))


def gave(bits, time_s=1.0, **changes):
    return WorkDone(output=msgspec.json.encode(ScriptKey(bits, time_s)), **changes)


def printed(**answer):
    return json.dumps(answer).encode()


def test_a_block_is_one_piece_of_work_with_the_links_own_figures():
    run = made()
    run.begin(5)
    work = run.work()
    assert (work.script, work.key_bits, work.length_km) == ("/lab/bb84.py", 64, 24.2)
    told = yaml.safe_load(work.parameters)
    assert told["loss_db"] == 6.0
    assert told["eps_cor"] == HEALTHY.eps_cor
    assert told["pulse_rate_hz"] == HEALTHY.pulse_rate_hz
    assert isinstance(told["seed"], int)
    assert run.next_ps == 5 + BLOCK_PS


def test_a_key_closes_the_block_and_surplus_is_kept_for_the_next():
    run = made()
    run.begin(0)
    window = run.advance(BLOCK_PS, gave("01" * 40))
    assert (window.block, window.distilled_bits, window.finding) == (1, 64, "")
    assert window.total is not None
    assert run.bits(1).bytes(8) == b"\x55" * 8
    assert run.work().key_bits == 64 - 16
    run.advance(2 * BLOCK_PS, gave("1" * 48))
    assert run.bits(2).bytes(8) == b"\x55" * 2 + b"\xff" * 6


def test_a_key_that_takes_longer_than_the_block_comes_when_it_is_made():
    run = made()
    run.begin(0)
    early = run.advance(BLOCK_PS, gave("0" * 64, time_s=12.5))
    assert (early.total, early.finding) == (None, "")
    assert run.next_ps == 12.5 * PS_PER_S
    assert run.work() is None
    closed = run.advance(run.next_ps)
    assert (closed.block, closed.distilled_bits) == (1, 64)
    assert run.next_ps == 22.5 * PS_PER_S


def test_a_block_that_failed_is_lost_and_the_next_one_begins():
    run = made()
    run.begin(0)
    window = run.advance(BLOCK_PS, WorkDone(failure="it gave unequal keys"))
    assert window.total is None
    assert window.finding == "block 1 is lost: script /lab/bb84.py: it gave unequal keys"
    assert run.advance(2 * BLOCK_PS, gave("0" * 64)).block == 2


def test_a_changed_link_begins_its_block_anew_with_other_figures_and_another_seed():
    run = made()
    run.begin(0)
    before = yaml.safe_load(run.work().parameters)
    run.change(under(loss=3.0, intercept_resend=0.25), 4 * PS_PER_S)
    after = yaml.safe_load(run.work().parameters)
    assert (after["loss_db"], after["intercept_resend_share"]) == (9.0, 0.25)
    assert after["seed"] != before["seed"]
    assert run.next_ps == 4 * PS_PER_S + BLOCK_PS


def test_dark_fibre_runs_no_script_and_gives_no_block():
    run = made()
    run.begin(0)
    run.change(under(cut=1.0), 0)
    assert run.work() is None
    assert run.advance(BLOCK_PS).total is None


def test_late_work_moves_the_next_block_and_tells_the_speed():
    run = made()
    assert run.estimate() is None
    run.begin(0)
    run.advance(3 * BLOCK_PS, gave("0" * 64, took_s=30.0, late_ps=2 * BLOCK_PS))
    assert run.next_ps == 4 * BLOCK_PS
    assert run.estimate() == 3.0


@pytest.mark.parametrize("key", ["0110", "[0, 1, 1, 0]", [0, 1, 1, 0], ["0", "1", "1", "0"], "0 1\n1 0"])
def test_keys_are_read_as_protocol_scripts_write_them(key):
    assert read_run(printed(alice_key=key, bob_key=key, time=0.5)) == ScriptKey("0110", 0.5)


def test_the_object_may_come_after_other_output():
    output = b"loading...\n" + printed(alice_key="1", bob_key="1", time=0) + b"\n"
    assert read_run(output) == ScriptKey("1", 0.0)


@pytest.mark.parametrize(
    ("output", "finding"),
    [
        (b"", "printed nothing"),
        (b"Segmentation fault", "no JSON object"),
        (b"\xff\xfe", "no JSON object"),
        (printed(alice_key="1", time=1), "no bob_key"),
        (printed(alice_key="1", bob_key="1"), "no time"),
        (printed(alice_key="01", bob_key="11", time=1), "unequal keys"),
        (printed(alice_key="01", bob_key="010", time=1), "unequal keys"),
        (printed(alice_key="0x1f", bob_key="0x1f", time=1), "not strings or lists of 0 and 1"),
        (printed(alice_key=[0, 2], bob_key=[0, 2], time=1), "not strings or lists of 0 and 1"),
        (printed(alice_key=5, bob_key=5, time=1), "not strings or lists of 0 and 1"),
        (printed(alice_key="1", bob_key="1", time=-3), "time in the past: -3 s"),
        (printed(alice_key="1", bob_key="1", time="soon"), "time is no number"),
        (printed(alice_key="1", bob_key="1", time=None), "time is no number"),
        (printed(alice_key="1", bob_key="1", time=float("nan")), "no JSON object"),
        (printed(alice_key="1", bob_key="1", time=1e9), "longer than 1e"),
    ],
)
def test_nonsense_is_named_and_no_key_is_quoted(output, finding):
    with pytest.raises(FindingError, match=finding) as told:
        read_run(output)
    assert "01" not in str(told.value)


HUNG = WorkDone(failure="no answer after 5 s; it was ended", took_s=5.1)


def test_a_script_that_hangs_rests_longer_each_time_until_a_block_comes():
    run = made(limit_s=5.0)
    run.begin(0)
    ends, now = [], 0
    for rest in (40, 160, 640):
        now = run.next_ps
        window = run.advance(now, HUNG)
        assert window.finding.endswith(f"; tried again in {rest} s")
        assert (run.work(), run.next_ps) == (None, now + rest * PS_PER_S)
        resting = run.advance(run.next_ps)
        assert (resting.total, resting.finding) == (None, "")
        ends.append(window.block)
    assert ends == [1, 2, 3]
    assert run.advance(run.next_ps, gave("01" * 32)).total is not None
    assert "tried again in 40 s" in run.advance(run.next_ps, HUNG).finding


def test_a_script_that_fails_at_once_is_tried_for_every_block():
    run = made(limit_s=5.0)
    run.begin(0)
    window = run.advance(BLOCK_PS, WorkDone(failure="exit status 1", took_s=0.2))
    assert "tried again" not in window.finding
    assert run.work() is not None


def test_a_long_limit_is_rested_for_too():
    run = made(limit_s=300.0)
    run.begin(0)
    window = run.advance(BLOCK_PS, msgspec.structs.replace(HUNG, took_s=300.0))
    assert window.finding.endswith("tried again in 600 s")


def test_a_change_while_the_script_rests_does_not_wake_it():
    run = made(limit_s=5.0)
    run.begin(0)
    run.advance(BLOCK_PS, HUNG)
    run.change(under(loss=1.0), 2 * BLOCK_PS)
    assert (run.work(), run.next_ps) == (None, 5 * BLOCK_PS)


@pytest.mark.parametrize("how", ["change", "halt"])
def test_key_beyond_the_last_block_is_forgotten_with_the_link_that_made_it(how):
    run = made()
    run.begin(0)
    run.advance(BLOCK_PS, gave("01" * 40))
    assert run.work().key_bits == 64 - 16
    if how == "change":
        run.change(under(loss=1.0), BLOCK_PS)
    else:
        run.halt(BLOCK_PS)
        run.begin(BLOCK_PS)
    assert run.work().key_bits == 64

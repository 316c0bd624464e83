"""Every engine keeps the promises of the suite, and engines that break one are found out."""

import msgspec
import pytest

from qstrata.core.effects import WorkDone
from qstrata.network.engine_processes import EngineProcesses
from qstrata.network.engines import sequence_python
from qstrata.physics.click_records import RECEIVER_BIT, SENDER_X, Clicks, counts_of
from qstrata.physics.counts import add
from qstrata.testing import check_engine
from qstrata.testing.engine_suite import BLOCK_PS, suite_task
from qstrata.twin import script, sequence
from qstrata.twin.blockwise import FixedBits
from qstrata.twin.click_link import ClickEngine
from qstrata.twin.native import NativeEngine, native_engine
from qstrata.twin.script import ScriptKey
from qstrata.twin.trace import RecordedBlock, Trace, trace_engine
from tests.simulation.engine_networks import stub


@pytest.fixture
def processes():
    made = EngineProcesses(sequence_python())
    yield made
    made.close()


def test_the_native_engine_keeps_every_promise():
    check_engine(native_engine)


def test_a_script_keeps_every_promise(processes, tmp_path):
    path = stub(tmp_path)
    check_engine(script.engine(str(path)), lambda work: processes.begin(work).wait())


def test_a_trace_keeps_every_promise():
    engine = NativeEngine(suite_task(seed=5))
    engine.begin(0)
    blocks = []
    while len(blocks) < 5:
        if (window := engine.advance()).total is not None:
            blocks.append(RecordedBlock(duration_ps=BLOCK_PS, tally=window.total))
    recorded = Trace(
        name="t.jsonl", protocol="decoy-bb84", pulse_rate_hz=1e4, at_end="repeat", blocks=tuple(blocks)
    )
    check_engine(trace_engine(recorded))


@pytest.mark.slow
@pytest.mark.skipif(not sequence_python().exists(), reason="SeQUeNCe is not installed")
def test_sequence_keeps_every_promise(processes):
    check_engine(sequence.engine(""), lambda work: processes.begin(work).wait())


class OneKeyForAll(NativeEngine):
    def bits(self, block):
        return FixedBits(b"x" * 10_000)


class EarlyBlocks(NativeEngine):
    def advance(self, now=0, done=None):
        window = super().advance(now, done)
        return msgspec.structs.replace(window, total=window.total or window.counts)


class CountsTwice(NativeEngine):
    def advance(self, now=0, done=None):
        window = super().advance(now, done)
        return msgspec.structs.replace(window, total=window.total and add(window.total, window.total))


class AlwaysTheSame(NativeEngine):
    def __init__(self, task):
        super().__init__(msgspec.structs.replace(task, seed=1, key_bits=lambda block: FixedBits(b"y" * 9999)))


class CountsFromSeven(NativeEngine):
    def __init__(self, task):
        super().__init__(msgspec.structs.replace(task, first_block=7))


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (AlwaysTheSame, "another seed gives the same bits"),
        (OneKeyForAll, "another seed gives the same bits"),
        (EarlyBlocks, "the two ends|add up|numbered|before"),
        (CountsTwice, "do not add up"),
        (CountsFromSeven, "numbered"),
    ],
)
def test_an_engine_that_breaks_a_promise_is_found_out(broken, promise):
    with pytest.raises(AssertionError, match=promise):
        check_engine(broken)


def clicks_of(records):
    """Return a level `clicks` whose records are changed, of an engine that is sound at level `counts`."""

    class Changed(ClickEngine):
        def advance(self, now=0, done=None):
            window = super().advance(now, done)
            return window if window.total is None else records(window)

    return lambda task: Changed(task) if task.level == "clicks" else native_engine(task)


def with_records(window, change):
    clicks = msgspec.structs.replace(window.clicks, records=change(window.clicks.records))
    return msgspec.structs.replace(window, clicks=clicks)


def compared(window):
    counts = counts_of(window.clicks, window.total.sent)
    return msgspec.structs.replace(window, total=counts)


def half_told(window):
    clicks = Clicks(window.clicks.positions[::2], window.clicks.records[::2])
    return msgspec.structs.replace(window, clicks=clicks)


@pytest.mark.parametrize(
    ("records", "promise"),
    [
        (compared, "only a comparison of both can say"),
        (half_told, "not as many records as detections"),
        (lambda window: msgspec.structs.replace(window, clicks=None), "cannot be read"),
        (lambda window: with_records(window, lambda each: each ^ RECEIVER_BIT), "errors in Z"),
        (
            lambda window: with_records(window, lambda each: each & 255 - SENDER_X),
            "are expected",
        ),
        (lambda window: with_records(window, lambda each: each % 16), "clicks of intensity"),
    ],
    ids=["compares", "forgets clicks", "has no records", "errs", "knows one basis", "knows one intensity"],
)
def test_an_engine_whose_clicks_break_a_promise_is_found_out(records, promise):
    with pytest.raises(AssertionError, match=promise):
        check_engine(clicks_of(records))


def test_an_engine_that_hides_its_failures_is_found_out():
    def never_fails(work):
        return WorkDone(output=msgspec.json.encode(ScriptKey("01" * 128, 0.1)))

    def factory(task):
        made = script.engine("/stub.py")(task)
        take = made._take
        made._take = lambda done: take(never_fails(None) if done.failure else done)
        return made

    with pytest.raises(AssertionError, match=r"another seed|told as closed"):
        check_engine(factory, never_fails)


def test_an_engine_with_work_needs_somebody_who_does_it():
    with pytest.raises(AssertionError, match="give check_engine a `do`"):
        check_engine(script.engine("/stub.py"))

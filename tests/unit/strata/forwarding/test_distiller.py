"""The agent's part that distils raw blocks: what is heavy is a job, and nobody else touches its blocks."""

from heapq import heappop, heappush
from itertools import count

import msgspec
import pytest

from qstrata.core.effects import Computation, Job, Send, WorkDone
from qstrata.core.errors import InternalError
from qstrata.core.randomness import stream
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.messages.east_west import (
    Amplify,
    Authenticated,
    Corrected,
    Detected,
    GivenUp,
    ParitiesAsked,
    ParitiesTold,
    Sifting,
    TagKeyGiven,
    TagKeyWanted,
)
from qstrata.physics.click_records import counts_of
from qstrata.physics.clicks import ClickSampler
from qstrata.physics.postprocessing.authentication import KEY_BITS, Transcript
from qstrata.physics.postprocessing.cascade import ErrorFinder, ParityTeller
from qstrata.physics.profiles import profile
from qstrata.strata.forwarding.resource import (
    distillation,
    processing,
    receiver_block,
    transmitter_block,
)
from qstrata.strata.forwarding.resource.distiller import Distiller
from qstrata.twin.raw import receiver_records, transmitter_records

LINK = msgspec.structs.replace(
    profile().link_parameters(loss_db=4.0), eta_bob=0.2, e_d=0.01, weak_intensity=0.1
)
PULSES = 20_000_000
BLOCK = 7
TAG_KEY = bytes(range(KEY_BITS // 8))
DELAY_PS = PS_PER_MS
WORDS = (Detected, Sifting, ParitiesAsked, ParitiesTold, Corrected, Amplify, Authenticated)
SIDES = ("transmitter", "receiver")


@pytest.fixture(scope="module")
def drawn():
    generator, sampler = stream(1, "raw"), ClickSampler(LINK)
    clicks = sampler.sample(generator, PULSES)
    return clicks, sampler.sent(generator, clicks, PULSES)


class Line:
    """Both ends of a link, their devices and relays, in virtual time; jobs are done when they are due.

    `before(line, side, message, effects)` sees what an end asks for on each word of its peer.
    """

    def __init__(self, drawn, before=lambda *seen: None):
        self.clicks, self.sent = drawn
        self.before = before
        self.now = 0
        self.events, self.numbers = [], count()
        self.jobs = []
        self.finished = {side: [] for side in SIDES}
        self.in_a_job = False
        self.ends = {side: self.end(side) for side in SIDES}
        counts = counts_of(self.clicks, self.sent)
        for side, end in self.ends.items():
            self.perform(side, end.begin(BLOCK, side == "transmitter", LINK, counts, 0))

    def end(self, side):
        def finished(outcome, now):
            self.finished[side].append(outcome)
            return []

        return Distiller("a-b", side, ("device", "peer", "relay"), stream(2, side), finished)

    def perform(self, side, effects):
        for effect in effects:
            if isinstance(effect, Job):
                self.jobs.append(effect)
                self.later(effect.due_ps, self.join, side, effect)
            else:
                assert isinstance(effect, Send)
                getattr(self, effect.to)(side, effect.message)

    def later(self, due_ps, act, *arguments):
        heappush(self.events, (due_ps, next(self.numbers), act, arguments))

    def run(self, until=lambda: False):
        while self.events and not until():
            self.now, _, act, arguments = heappop(self.events)
            act(*arguments)
        return self

    def join(self, side, job):
        self.in_a_job = True
        made = job.work.turn()
        self.in_a_job = False
        self.perform(side, job.then(WorkDone(made=made), self.now))

    def peer(self, side, message):
        other = SIDES[side == "transmitter"]
        self.later(self.now + DELAY_PS, self.hear, other, message)

    def hear(self, side, message):
        effects = self.ends[side].heard(message, "peer", self.now)
        self.before(self, side, message, effects)
        self.perform(side, effects)

    def device(self, side, message):
        read = transmitter_records if side == "transmitter" else receiver_records
        records = read(message, self.clicks, self.sent)
        self.later(self.now, lambda: self.perform(side, self.ends[side].recorded(records, "", self.now)))

    def relay(self, side, message):
        assert isinstance(message, TagKeyWanted)
        given = TagKeyGiven("a-b", BLOCK, message.key or "a-b/0/0", KeyMaterial(TAG_KEY), 3)
        self.later(self.now, lambda: self.perform(side, self.ends[side].given(given, "", self.now)))


def test_both_ends_make_equal_key_by_jobs_alone(drawn):
    line = Line(drawn).run()
    (ours,), (theirs,) = line.finished.values()
    assert ours.bits == theirs.bits
    assert ours.stages == theirs.stages
    assert ours.stages.secret_bits == ours.bits.size_bits
    assert len(line.jobs) > 2 * 100


def test_nothing_heavy_is_done_before_a_job_is_joined(drawn, monkeypatch):
    begun, done = set(), set()

    def guarded(name, act):
        def run(*arguments):
            (done if line.in_a_job else begun).add(name)
            return act(*arguments)

        return run

    line = Line(drawn)
    for module in (distillation, transmitter_block, receiver_block):
        for name, act in vars(module).copy().items():
            source = getattr(act, "__module__", None) or ""
            if source.startswith("qstrata.physics.postprocessing") and not isinstance(act, type):
                monkeypatch.setattr(module, name, guarded(name, act))
    for kind, name in (
        (ParityTeller, "__init__"),
        (ParityTeller, "answer"),
        (ErrorFinder, "__init__"),
        (ErrorFinder, "ask"),
        (ErrorFinder, "take"),
        (Transcript, "enter"),
        (Transcript, "encoded"),
    ):
        monkeypatch.setattr(kind, name, guarded(f"{kind.__name__}.{name}", getattr(kind, name)))
    line.run()
    assert all(line.finished.values())
    assert begun == set()
    assert done >= {
        "sift",
        "unpack_bits",
        "ParityTeller.answer",
        "ErrorFinder.take",
        "polynomial_hash",
        "tag",
    }
    assert done >= {"amplify", "pack_bits", "block_counts", "ErrorFinder.ask", "Transcript.enter"}


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.__name__)
def test_a_word_of_the_peer_is_followed_by_one_job_and_its_repetition_meanwhile_by_nothing(drawn, word):
    seen = []

    def before(line, side, message, effects):
        if isinstance(message, word):
            (job,) = effects
            assert isinstance(job.work, Computation)
            assert job.due_ps >= line.now + processing.STEP_PS
            assert line.ends[side].heard(message, "peer", line.now) == []
            assert line.ends[side].retry(line.now, 0) == []
            seen.append(side)

    line = Line(drawn, before).run()
    assert seen
    (ours,), (theirs,) = line.finished.values()
    assert ours.bits == theirs.bits


def test_the_larger_a_block_the_longer_its_steps_take():
    for took_ps in (processing.sifting_ps, processing.comparing_ps):
        assert took_ps(2_000_000) - processing.STEP_PS == 2 * (took_ps(1_000_000) - processing.STEP_PS) > 0
    assert processing.round_ps(10**6, 10**4) == processing.round_ps(10**6, 0) + 10**4 * processing.QUESTION_PS
    # The table of the manual: 60 ns a bit, twice that for a key of 2^23 bits.
    assert processing.amplifying_ps(0, 1 << 23) - processing.STEP_PS == 2 * 60_000 * (1 << 23)


def under_way(line, side):
    """Return the job that an end waits for, with the end that works in it."""
    block = line.ends[side]._open[BLOCK]
    assert block.end is None
    return line.jobs[-1], block.turn._end


def stopped(drawn, enough):
    """Return a line stopped after a word of the peer, whose word it was for, the job, and the block's end."""
    heard = []
    line = Line(drawn, lambda line, side, message, effects: heard.append((side, message)))
    line.run(until=lambda: heard and enough(heard))
    side = heard[-1][0]
    block = line.ends[side]._open[BLOCK]
    assert block.end is None
    return line, side, line.jobs[-1], block.turn._end


@pytest.mark.parametrize("taken", [True, False], ids=["is taken", "has not begun"])
def test_a_block_given_up_while_its_job_runs_leaves_no_key_behind(drawn, taken):
    line, side, job, end = stopped(drawn, lambda heard: isinstance(heard[-1][1], Authenticated))
    key, tag_key = end._key, end._tag_key
    assert key.any()
    made = job.work.turn() if taken else None
    assert line.ends[side].heard(GivenUp("a-b", BLOCK, "x"), "peer", line.now) == []
    (outcome,) = line.finished[side]
    assert outcome.bits is None
    assert outcome.finding == "the peer gave it up: x"
    assert outcome.stages.parity_bits > 0
    made = made or job.work.turn()
    distilled = made.step.distilled
    assert (distilled is not None) is taken
    assert job.then(WorkDone(made=made), line.now) == []
    assert not key.any()
    for secret in (tag_key, distilled.bits) if taken else (tag_key,):
        with pytest.raises(InternalError, match="wiped"):
            secret.reveal()
    assert line.finished[side] == [outcome]


def test_a_link_that_is_taken_away_leaves_no_key_to_its_job(drawn):
    line, side, job, end = stopped(drawn, lambda heard: len(heard) > 20)
    key = end._key
    assert key.any()
    line.ends[side].end()
    made = job.work.turn()
    assert made.step == distillation.NOTHING
    made.wipe()
    assert not key.any()
    assert line.finished[side] == []


def test_a_block_whose_job_cannot_be_done_is_given_up_with_the_reason(drawn):
    line, side, job, end = stopped(drawn, lambda heard: len(heard) > 20)
    (told,) = job.then(WorkDone(failure="too much work waits"), line.now)
    assert told.message == GivenUp("a-b", BLOCK, "its work was not done: too much work waits")
    (outcome,) = line.finished[side]
    assert outcome.finding == told.message.reason
    assert not end._key.any()


def test_a_job_that_fails_by_a_fault_of_ours_leaves_no_key_whether_anybody_waits_for_it_or_not(drawn):
    *_, end = stopped(drawn, lambda heard: len(heard) > 20)
    key = end._key
    assert key.any()

    def broken():
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        processing.Turn(end, broken)()
    assert not key.any()


def test_work_on_key_shows_nothing_of_it(drawn):
    _, _, job, _ = stopped(drawn, lambda heard: isinstance(heard[-1][1], Authenticated))
    assert repr(job.work) == "Computation('distillation a-b')"
    shown = repr(WorkDone(made=job.work.turn())) + repr(job)
    assert "array" not in shown
    assert "KeyMaterial" not in shown
    with pytest.raises(TypeError):
        msgspec.json.encode(job.work)


def test_a_peer_is_waited_for_as_long_as_it_may_work(drawn):
    line = Line(drawn)
    end, clicks = line.ends["transmitter"], len(drawn[0].records)
    patience_ps = PS_PER_S
    longest_ps = patience_ps + processing.sifting_ps(clicks)
    assert end.unanswered(longest_ps - 1, patience_ps) is None
    assert end.unanswered(longest_ps, patience_ps) == BLOCK


def test_too_many_blocks_under_way_cost_the_oldest_though_a_job_is_at_it(drawn):
    line, side, job, end = stopped(drawn, lambda heard: len(heard) > 20)
    counts = counts_of(*drawn)
    for number in range(BLOCK + 1, BLOCK + 9):
        line.ends[side].begin(number, side == "transmitter", LINK, counts, line.now)
    (outcome,) = line.finished[side]
    assert (outcome.block, outcome.finding) == (BLOCK, "too many blocks wait to be distilled")
    assert job.then(WorkDone(made=job.work.turn()), line.now) == []
    assert not end._key.any()


def test_a_word_that_comes_before_the_own_records_does_not_stop_their_reading(drawn):
    heard = []
    line = Line(drawn, lambda line, side, message, effects: heard.append(message))
    line.run(until=lambda: bool(heard) and isinstance(heard[-1], Sifting))
    # It comes to life again, and the transmitter, which waits, says again what it said.
    receiver = line.end("receiver")
    (first,) = receiver.begin(BLOCK, False, LINK, counts_of(*drawn), line.now)
    (job,) = receiver.heard(heard[-1], "peer", line.now)
    assert not receiver.recorded(receiver_records(first.message, *drawn), "device", line.now)
    assert not job.then(WorkDone(made=job.work.turn()), job.due_ps)
    (again,) = receiver.retry(job.due_ps, PS_PER_S)
    assert again == first
    (reading,) = receiver.recorded(receiver_records(again.message, *drawn), "device", job.due_ps)
    (told,) = reading.then(WorkDone(made=reading.work.turn()), reading.due_ps)
    assert isinstance(told.message, Detected)

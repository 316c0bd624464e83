"""Devices of raw blocks: what they recorded is read off the loop, and what nobody takes is wiped."""

import heapq

import pytest

from qstrata.core.effects import Computation, Job, WorkDone
from qstrata.core.errors import InternalError
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.device import BlockClosed, NothingToRead, Read, Records
from qstrata.physics.postprocessing.sifting import pack_positions, unpack_positions
from qstrata.physics.profiles import profile
from tests.unit.twin.harness import ALICE, BOB, World, link_plan, switch_on, twin_plan


class RawWorld(World):
    """A link click by click, one block of which is closed; jobs are begun by the test."""

    def __init__(self):
        self.jobs = []
        parameters = profile().link_parameters(6.0, pulse_rate_hz=1e6)
        self.plan = twin_plan(link_plan("a", "b", level="clicks", parameters=parameters))
        super().__init__(self.plan)
        switch_on(self)
        self.run_until(11 * PS_PER_S)
        (self.closed,) = self.received(BOB, BlockClosed)

    def _perform(self, effects):
        for effect in effects:
            if isinstance(effect, Job):
                self.jobs.append(effect)
            else:
                super()._perform([effect])

    def read(self, owner, positions=b""):
        """Ask a device for its records; return the job that reads them."""
        assert self.tell(owner, Read("r", self.closed.block, 0, positions)) == []
        return self.jobs[-1]

    def join(self, job, done):
        heapq.heappush(self._queue, (job.due_ps, next(self._order), lambda now: job.then(done, now)))
        self.run_until(job.due_ps)

    def records(self, owner, positions=b""):
        job = self.read(owner, positions)
        self.join(job, WorkDone(made=job.work.turn()))
        return self.sent[-1][3]


@pytest.fixture
def world():
    return RawWorld()


def test_records_are_read_by_a_job_that_takes_the_longer_the_more_clicks_there_are(world):
    job = world.read(BOB)
    assert isinstance(job.work, Computation)
    assert repr(job.work) == "Computation('records a-b')"
    made = job.work.turn()
    assert made.answer.clicks == world.closed.counts.detections > 1000
    assert "0x" in repr(made)
    # The table of the manual: half a millisecond, and 120 ns for each click.
    assert job.due_ps - world.now == 500_000_000 + 120_000 * made.answer.clicks
    assert not world.received(BOB, Records)


def test_the_transmitter_gives_what_it_sent_in_the_pulses_that_clicked_and_in_no_others(world):
    detected = world.records(BOB)
    sent = world.records(ALICE, detected.positions)
    assert sent.clicks == detected.clicks
    positions = unpack_positions(detected.positions)
    other = next(number for number in range(len(positions) + 1) if number not in positions)
    answer = world.records(ALICE, pack_positions(positions[:0]) + (other + 1).to_bytes(5, "little"))
    assert answer == NothingToRead("r", world.closed.block)


def test_records_of_a_link_that_is_taken_away_meanwhile_are_wiped(world):
    job = world.read(BOB)
    made = job.work.turn()
    world.adopt(twin_plan())
    world.join(job, WorkDone(made=made))
    assert not world.received(BOB, Records)
    with pytest.raises(InternalError, match="wiped"):
        made.answer.bits.reveal()


def test_a_device_whose_records_cannot_be_read_says_that_there_is_nothing(world):
    world.join(world.read(BOB), WorkDone(failure="too much work waits"))
    assert world.received(BOB, NothingToRead) == [NothingToRead("r", world.closed.block)]

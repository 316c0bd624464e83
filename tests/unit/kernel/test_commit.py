"""Modelled commits: durable one latency later, in order, and lost with the node that had not synced them."""

import pytest

from qstrata.core.effects import Drop
from qstrata.core.errors import InternalError
from qstrata.core.time import PS_PER_US
from qstrata.kernel.commit import ModelledCommit
from qstrata.kernel.queue import EventQueue

LATENCY_PS = 300 * PS_PER_US


class Disk:
    """A store that is durable at once, and a log of what was told to whom."""

    def __init__(self):
        self.queue = EventQueue()
        self.kept = []
        self.told = []
        self.commits = ModelledCommit(self.queue, self._keep)

    def _keep(self, node, changes, done):
        self.kept.append((node, changes[0].key, self.queue.now))
        done()

    def ask(self, node, key):
        self.commits.commit(node, (Drop("k", key),), lambda: self.told.append(key), self.queue.now)


@pytest.fixture
def disk():
    return Disk()


def test_changes_are_durable_after_the_modelled_latency_of_300_us(disk):
    disk.ask("a", "1")
    disk.queue.run_until(LATENCY_PS - 1)
    assert disk.kept == []
    disk.queue.run_until(LATENCY_PS)
    assert (disk.kept, disk.told) == ([("a", "1", LATENCY_PS)], ["1"])


def test_the_commits_of_a_node_keep_their_order(disk):
    for key in "123":
        disk.ask("a", key)
    disk.queue.run_until(LATENCY_PS)
    assert disk.told == ["1", "2", "3"]


def test_a_crash_drops_the_unsynced_batch_of_that_node_alone(disk):
    disk.ask("a", "lost")
    disk.ask("b", "kept")
    disk.commits.forget("a")
    disk.ask("a", "of the next incarnation")
    disk.queue.run_until(LATENCY_PS)
    assert disk.told == ["kept", "of the next incarnation"]


@pytest.mark.parametrize(("verdict", "kept"), [("keep", "12"), ("lose", ""), ("keep-then-crash", "1")])
def test_a_campaign_crashes_a_node_right_before_or_right_after_its_sync(disk, verdict, kept):
    crashed = []
    disk.commits.crash = crashed.append
    disk.commits.on_commit = lambda node, changes: verdict
    disk.ask("a", "1")
    disk.ask("a", "2")
    disk.queue.run_until(LATENCY_PS)
    assert "".join(key for _, key, _ in disk.kept) == kept
    assert crashed == ([] if verdict == "keep" else ["a"])


def test_a_verdict_to_crash_needs_to_be_told_how(disk):
    disk.commits.on_commit = lambda node, changes: "lose"
    disk.ask("a", "1")
    with pytest.raises(InternalError, match="set ModelledCommit"):
        disk.queue.run_until(LATENCY_PS)

"""The watch over a link: attacks are told with their blocks and their evidence, lost light is not one."""

import msgspec
import pytest

from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import Counts, zero
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.profiles import profile
from qstrata.strata.forwarding.telemetry.verdicts import attack_in_words
from qstrata.strata.forwarding.telemetry.watch import LinkWatch, in_words, light_in_words
from qstrata.twin.sampling import draw_counts, odds

LINK = profile().link_parameters(6.0)
SECOND = 100_000_000
BLOCK_S = 20


def attacked(**shares: float) -> LinkParameters:
    return msgspec.structs.replace(LINK, **shares)


class Line:
    """A link whose seconds are counted one by one."""

    def __init__(self, seed: int = 1) -> None:
        self.watch = LinkWatch("a-b", LINK)
        self.generator = stream(seed, "line")
        self.second = 0

    def run(self, seconds: int, link: LinkParameters = LINK) -> list[bool]:
        changes = []
        for counts in draw_counts(self.generator, odds(link), (SECOND,) * seconds):
            block = 1 + self.second // BLOCK_S
            self.second += 1
            changes.append(self.watch.count(block, counts, self.second * PS_PER_S))
        return changes


def test_an_honest_link_is_never_suspected():
    line = Line()
    assert not any(line.run(600))
    assert line.watch.suspicion is None
    assert line.watch.light is None


def test_a_strong_attack_is_told_within_seconds_and_names_its_blocks_and_evidence():
    line = Line()
    line.run(50)
    line.run(5, attacked(intercept_resend_share=0.4))
    suspicion = line.watch.suspicion
    assert suspicion is not None
    assert (suspicion.first_block, suspicion.last_block) == (3, 3)
    assert suspicion.raised_ps <= 55 * PS_PER_S
    assert suspicion.evidence[0].instrument == "error rate in Z"
    assert "possible attack in block 3: error rate in Z" in in_words(suspicion)


def test_the_window_grows_while_the_attack_stands_and_ends_with_a_block_that_passes():
    line = Line()
    line.run(50)
    line.run(40, attacked(blinding_share=0.5))
    suspicion = line.watch.suspicion
    assert (suspicion.first_block, suspicion.last_block) == (3, 5)
    line.run(29)
    assert line.watch.suspicion is not None
    line.run(2)
    assert line.watch.suspicion is None


@pytest.mark.parametrize(("extra_db", "words"), [(3.0, "light is lost"), (200.0, "light is lost")])
def test_lost_light_is_told_as_such_and_is_no_attack(extra_db, words):
    line = Line()
    line.run(33)
    line.run(50, attacked(loss_db=6.0 + extra_db))
    assert line.watch.suspicion is None
    assert words in light_in_words(line.watch.light)
    line.run(40)
    assert line.watch.light is None
    assert line.watch.suspicion is None


def test_an_attack_that_comes_with_lost_light_is_told_too():
    line = Line()
    line.run(30)
    line.run(30, attacked(loss_db=8.0, intercept_resend_share=0.4))
    assert line.watch.suspicion is not None


def test_a_block_that_could_not_be_judged_has_not_passed():
    line = Line()
    line.run(20)
    for _ in range(10):
        line.run(1, attacked(loss_db=5.0))
        line.run(1, attacked(loss_db=7.0))
    line.run(15, attacked(intercept_resend_share=0.5))
    assert line.watch.suspicion.first_block == 2


def test_samples_without_pulses_say_nothing():
    line = Line()
    assert not line.watch.count(1, zero(), 0)
    assert not line.watch.count(2, Counts((0, 0, 0), ((0,) * 3,) * 2, ((0,) * 3,) * 2, 0), 1)


def test_a_block_of_which_samples_were_lost_has_not_passed():
    line = Line()
    line.run(20)
    line.second += 12
    line.run(8)
    line.run(15, attacked(intercept_resend_share=0.5))
    assert line.watch.suspicion.first_block == 2


def test_a_watch_that_begins_amid_a_block_knows_of_none_that_passed():
    line = Line()
    line.second = 67
    line.run(13)
    line.run(10, attacked(intercept_resend_share=0.5))
    assert (line.watch.suspicion.first_block, line.watch.suspicion.last_block) == (1, 5)


def test_a_link_commissioned_anew_keeps_its_suspicion_and_the_blocks_that_passed():
    line = Line()
    line.run(40)
    line.run(20, attacked(intercept_resend_share=0.4))
    line.watch = LinkWatch("a-b", attacked(loss_db=6.5), line.watch)
    assert line.watch.suspicion.first_block == 3
    line.run(41, attacked(loss_db=6.5))
    assert line.watch.suspicion is None
    line.watch.settle(3)
    line.run(20, attacked(loss_db=6.5, intercept_resend_share=0.4))
    assert line.watch.suspicion.first_block == 6


def test_what_is_not_settled_yet_is_told_and_a_new_suspicion_takes_it_in():
    line = Line()
    line.run(40)
    line.run(20, attacked(intercept_resend_share=0.4))
    line.run(41)
    past = line.watch.told
    assert (past.first_block, past.last_block, past.stands) == (3, 3, False)
    line.watch.settle(2)
    line.run(5, attacked(intercept_resend_share=0.4))
    told = line.watch.told
    assert (told.first_block, told.last_block, told.stands) == (3, 6, True)
    assert told.raised_ps > 101 * PS_PER_S
    line.watch.settle(6)
    assert line.watch.told == told


def anew(line: Line) -> Line:
    """Return the line with a watch that knows what the one before would have kept."""
    after = Line(2)
    after.second = line.second
    after.watch.recall(line.watch.verdicts(line.second * PS_PER_S))
    return after


def test_a_watch_that_starts_anew_suspects_no_block_that_had_passed():
    line = Line()
    line.run(67)
    after = anew(line)
    after.run(30)
    after.run(5, attacked(intercept_resend_share=0.5))
    assert (after.watch.suspicion.first_block, after.watch.suspicion.last_block) == (4, 6)


def test_a_suspicion_stands_again_in_a_watch_that_starts_anew_until_a_whole_block_passes():
    line = Line()
    line.run(47)
    line.run(6, attacked(intercept_resend_share=0.4))
    before = line.watch.suspicion
    after = anew(line)
    recalled = after.watch.suspicion
    assert (recalled.first_block, recalled.last_block, recalled.raised_ps) == (3, 3, before.raised_ps)
    assert attack_in_words(recalled).startswith("possible attack in blocks 3 to 3: found before")
    after.run(20, attacked(intercept_resend_share=0.4))
    assert "error rate in Z" in attack_in_words(after.watch.suspicion)
    after.run(28)
    assert after.watch.suspicion is None
    assert (after.watch.told.first_block, after.watch.told.last_block) == (3, 4)


def test_what_was_not_settled_is_told_again_by_a_watch_that_starts_anew():
    line = Line()
    line.run(40)
    line.run(20, attacked(intercept_resend_share=0.4))
    line.run(41)
    told = anew(line).watch.told
    assert (told.first_block, told.last_block, told.stands) == (3, 3, False)


def test_a_suspicion_recalled_late_stands_no_more_where_a_later_block_has_passed():
    line = Line()
    line.run(40)
    line.run(15, attacked(intercept_resend_share=0.4))
    after = Line(2)
    after.second = line.second
    after.run(50)
    after.watch.recall(line.watch.verdicts(line.second * PS_PER_S))
    assert after.watch.suspicion is None
    assert after.watch.told.last_block == 3


class RawLine(Line):
    """A link of raw blocks: clicks are counted by the second, and compared when a block is distilled."""

    def run(self, seconds: int, link: LinkParameters = LINK) -> list[bool]:
        for counts in draw_counts(self.generator, odds(link), (SECOND,) * seconds):
            block = 1 + self.second // BLOCK_S
            self.second += 1
            clicks = msgspec.structs.replace(counts, n=zero().n, m=zero().m)
            self.watch.count(block, clicks, self.second * PS_PER_S)
        return []

    def distil(self, block: int, link: LinkParameters = LINK) -> bool:
        (counts,) = draw_counts(self.generator, odds(link), (SECOND * BLOCK_S,))
        return self.watch.compare(block, counts, sum(counts.m[0]), self.second * PS_PER_S)


def test_a_raw_block_passes_when_its_clicks_and_what_was_compared_are_sound():
    line = RawLine()
    line.run(41)
    assert not line.distil(1)
    line.run(20)
    attack = attacked(intercept_resend_share=0.1)
    assert line.distil(3, attack)
    assert not line.distil(3, attack)
    assert (line.watch.suspicion.first_block, line.watch.suspicion.last_block) == (2, 3)
    line.run(20)
    assert line.distil(4)
    assert line.watch.suspicion is None


def test_no_probability_of_chance_is_told_as_nothing():
    line = Line()
    line.run(15, attacked(intercept_resend_share=0.9))
    assert min(each.false_alarm for each in line.watch.suspicion.evidence) == 0.0
    assert in_words(line.watch.suspicion).endswith("(by chance with probability 1e-300 at most)")


def test_errors_of_a_key_that_was_not_corrected_are_not_judged():
    line = RawLine()
    line.run(21)
    (counts,) = draw_counts(line.generator, odds(LINK), (SECOND * BLOCK_S,))
    assert not line.watch.compare(1, counts, None, line.second * PS_PER_S)
    assert line.watch.compare(2, counts, 0, line.second * PS_PER_S)
    assert [each.instrument for each in line.watch.suspicion.evidence] == ["error rate in Z"]

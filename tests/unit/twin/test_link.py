from functools import reduce

import pytest

from qstrata.core.errors import InternalError
from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import add, zero
from qstrata.physics.profiles import profile
from qstrata.planes.beats import phase_ps
from qstrata.twin.link import WINDOWS_AHEAD, LinkRun

HEALTHY = profile().link_parameters(6.0)
LOSSY = profile().link_parameters(26.0)
PULSES_PER_S = 100_000_000


def make(name="a-b", seed=1, block_s=10, **changes):
    return LinkRun(name, HEALTHY, seed=seed, block_ps=block_s * PS_PER_S, period_ps=PS_PER_S, **changes)


def begun(**changes):
    run = make(**changes)
    run.begin(0)
    return run


def take(run, windows):
    return [run.advance() for _ in range(windows)]


def total(windows):
    return reduce(add, [window.counts for window in windows], zero())


def test_reports_add_up_to_the_block_they_belong_to():
    windows = take(begun(), 20)
    assert [window.block for window in windows] == [1] * 10 + [2] * 10
    assert [window.total is not None for window in windows] == ([False] * 9 + [True]) * 2
    assert windows[9].total == total(windows[:10])
    assert windows[19].total == total(windows[10:])
    assert windows[9].total.pulses == 10 * PULSES_PER_S


def test_a_block_longer_than_one_draw_adds_up_too():
    seconds = 2 * WINDOWS_AHEAD + 5
    windows = take(begun(block_s=seconds), seconds)
    assert windows[-1].total == total(windows)
    assert windows[-1].total.pulses == seconds * PULSES_PER_S


def test_reports_end_on_the_phase_of_the_link():
    run = begun()
    first = run.next_ps
    assert first % PS_PER_S == phase_ps("a-b", PS_PER_S)
    assert 0 < first - PS_PER_S < PS_PER_S
    take(run, 3)
    assert run.next_ps == first + 3 * PS_PER_S


def test_a_change_acts_from_its_instant_on_and_reports_still_add_up():
    run = begun()
    windows = take(run, 3)
    run.change(LOSSY, run.next_ps - PS_PER_S * 3 // 4)
    windows += take(run, 7)
    assert windows[-1].total == total(windows)
    assert {window.counts.pulses for window in windows} == {PULSES_PER_S}
    before, split, after = (window.counts.detections for window in windows[2:5])
    dark = PULSES_PER_S * HEALTHY.y0
    bright = before - dark
    # 20 dB less light leaves a hundredth of the detections; a quarter of the second was bright.
    assert after - dark == pytest.approx(bright / 100, rel=0.05)
    assert split - dark == pytest.approx(bright * (1 / 4 + 3 / 400), rel=0.02)


def test_a_change_leaves_what_was_already_reported_and_earlier_blocks_alone():
    plain, changed = begun(), begun()
    assert take(plain, 13) == take(changed, 13)
    changed.change(HEALTHY, changed.next_ps - PS_PER_S // 2)
    assert take(plain, 2) != take(changed, 2)
    take(plain, 5), take(changed, 5)
    assert take(plain, 10) == take(changed, 10)


@pytest.mark.parametrize("when", ["at a report", "at the end of a block", "twice in a second"])
def test_changes_at_awkward_instants_lose_no_pulse(when):
    run = begun()
    windows = take(run, 9 if when == "at the end of a block" else 4)
    if when == "twice in a second":
        run.change(LOSSY, run.next_ps - 600_000_000_000)
        run.change(HEALTHY, run.next_ps - 200_000_000_000)
    else:
        run.change(LOSSY, run.next_ps)
    windows += take(run, 10 - len(windows))
    assert [window.counts.pulses for window in windows] == [PULSES_PER_S] * 10
    assert windows[-1].total == total(windows)


def test_a_pause_stretches_a_block_and_loses_nothing():
    run = begun()
    windows = take(run, 2)
    paused_at = run.next_ps - PS_PER_S // 4
    run.halt(paused_at)
    assert not run.running
    run.begin(paused_at + 100 * PS_PER_S)
    while windows[-1].total is None:
        windows.append(run.advance())
    assert windows[-1].total == total(windows)
    assert windows[-1].total.pulses == 10 * PULSES_PER_S
    assert windows[2].counts.pulses == PULSES_PER_S * 7 // 4
    assert windows[-1].counts.pulses == PULSES_PER_S // 4


def test_a_change_before_the_first_pulse_holds_from_the_first_pulse():
    run = begun()
    run.change(LOSSY, 0)
    assert run.advance().counts.detections < PULSES_PER_S * HEALTHY.eta / 10


def test_a_late_change_is_refused():
    run = begun()
    with pytest.raises(InternalError, match="a-b"):
        run.change(LOSSY, run.next_ps + 1)


def test_the_same_seed_draws_the_same_and_another_does_not():
    first = take(begun(seed=1), 25)
    assert first == take(begun(seed=1), 25)
    others = take(begun(seed=2), 25)
    assert all(a.counts != b.counts for a, b in zip(first, others, strict=True))


def test_two_links_of_one_seed_draw_apart():
    pairs = zip(take(begun(name="a-b"), 10), take(begun(name="a-c"), 10), strict=True)
    assert all(a.counts != b.counts for a, b in pairs)


def test_blocks_go_on_from_the_number_that_is_given():
    assert begun(first_block=41).advance().block == 41

"""Beats lie at places of their own in the period, one in each."""

from qstrata.core.time import PS_PER_S
from qstrata.planes.beats import next_beat_ps, phase_ps


def test_names_have_places_of_their_own_in_the_period() -> None:
    phases = {phase_ps(f"link{number}", PS_PER_S) for number in range(100)}
    assert len(phases) == 100
    quarters = [sum(4 * phase // PS_PER_S == quarter for phase in phases) for quarter in range(4)]
    assert min(quarters) > 10
    assert phase_ps("a-b", PS_PER_S) == phase_ps("a-b", PS_PER_S)


def test_beats_follow_each_other_by_a_period_and_the_first_is_no_later() -> None:
    for now in (0, 1, PS_PER_S - 1, 7 * PS_PER_S + 3):
        first = next_beat_ps("a-b", PS_PER_S, now)
        assert now < first <= now + PS_PER_S
        assert first % PS_PER_S == phase_ps("a-b", PS_PER_S)
        assert next_beat_ps("a-b", PS_PER_S, first) == first + PS_PER_S

import msgspec
import numpy as np
import pytest

from qstrata.core.randomness import stream
from qstrata.physics import decoy_bb84 as bb84
from qstrata.physics.counts import (
    Counts,
    add,
    counts_from_outcomes,
    expected_counts,
    outcome_probabilities,
    zero,
)
from qstrata.physics.profiles import profile

LINK = profile().link_parameters(loss_db=11.9)
SOME = Counts(
    sent=(10, 20, 30),
    n=((1, 2, 3), (4, 5, 6)),
    m=((0, 1, 2), (3, 4, 5)),
    detections=40,
    clicks_z=25,
    double_clicks=2,
    clicks_one=19,
    clicks_outer=1,
    watch_clicks=5,
)


def test_outcomes_of_a_pulse_are_all_there_is():
    table = outcome_probabilities(LINK)
    assert table.shape == (3, 7)
    assert (table >= 0.0).all()
    assert table.sum() == pytest.approx(1.0, abs=1e-12)
    assert table.sum(axis=1) == pytest.approx(LINK.intensity_probabilities)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_gain_and_error_rate_of_infinitely_many_draws_are_the_closed_forms(share):
    link = msgspec.structs.replace(LINK, intercept_resend_share=share)
    e_d = bb84.intercepted_error(link.e_d, share)
    for row, intensity, probability in zip(
        outcome_probabilities(link), link.intensities, link.intensity_probabilities, strict=True
    ):
        clicks = bb84.gain(link.eta, intensity, link.y0)
        error_rate = bb84.qber(link.eta, intensity, link.y0, e_d)
        assert row[:6].sum() / probability == pytest.approx(clicks, rel=1e-12)
        assert row[1] / row[:2].sum() == pytest.approx(error_rate, rel=1e-12)
        assert row[3] / row[2:4].sum() == pytest.approx(error_rate, rel=1e-12)
        assert row[:2].sum() / row[:6].sum() == pytest.approx(0.7 * 0.7)
        assert row[2:4].sum() / row[:6].sum() == pytest.approx(0.3 * 0.3)


def test_sampled_counts_stay_within_five_standard_errors_of_the_formulas():
    pulses = 10**10
    table = outcome_probabilities(LINK)
    drawn = stream(7, "counts").multinomial(pulses, table.ravel()).reshape(table.shape)
    assert (np.abs(drawn - pulses * table) <= 5.0 * np.sqrt(pulses * table * (1.0 - table))).all()
    counts = counts_from_outcomes(drawn)
    assert counts.pulses == pulses
    mean = expected_counts(LINK, pulses)
    assert counts.detections == pytest.approx(mean.detections, abs=5.0 * mean.detections**0.5)


def test_outcomes_are_summed_into_their_places():
    outcomes = np.array([[5, 1, 4, 2, 3, 4, 100], [50, 10, 40, 20, 30, 40, 1000], [0, 0, 0, 1, 0, 0, 9]])
    assert counts_from_outcomes(outcomes, double_clicks=3) == Counts(
        sent=(119, 1190, 10),
        n=((6, 60, 0), (6, 60, 1)),
        m=((1, 10, 0), (2, 20, 1)),
        detections=19 + 190 + 1,
        clicks_z=6 + 3 + 60 + 30,
        double_clicks=3,
    )


def test_partial_sums_add_up_to_the_block():
    assert add(SOME, zero()) == SOME
    assert add(SOME, SOME) == Counts(
        sent=(20, 40, 60),
        n=((2, 4, 6), (8, 10, 12)),
        m=((0, 2, 4), (6, 8, 10)),
        detections=80,
        clicks_z=50,
        double_clicks=4,
        clicks_one=38,
        clicks_outer=2,
        watch_clicks=10,
    )


def test_counts_travel_as_integers():
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(SOME), type=Counts) == SOME
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(SOME).replace(b"40", b"40.5"), type=Counts)

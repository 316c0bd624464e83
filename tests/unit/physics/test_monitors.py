import math

import msgspec
import pytest
from scipy import stats

from qstrata.core.randomness import stream
from qstrata.physics.counts import Counts, counts_from_outcomes, expected_counts, outcome_probabilities
from qstrata.physics.monitors import FALSE_ALARM, INSTRUMENTS, findings, power, readings
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.profiles import profile

LINK = profile().link_parameters(loss_db=6.0)
PULSES = 6 * 10**9


def block(link: LinkParameters, seed: int, pulses: int = PULSES) -> Counts:
    generator = stream(seed, "monitors")
    table = outcome_probabilities(link)
    cells = generator.multinomial(pulses, table.ravel()).reshape(table.shape)
    mean = expected_counts(link, float(pulses))
    counts = counts_from_outcomes(cells, int(generator.poisson(mean.double_clicks)))
    one, outer = (mean.clicks_one / mean.detections, mean.clicks_outer / mean.detections)
    return msgspec.structs.replace(
        counts,
        clicks_one=int(generator.binomial(counts.detections, one)),
        clicks_outer=int(generator.binomial(counts.detections, outer)),
        watch_clicks=int(generator.poisson(mean.watch_clicks)),
    )


def attacked(**shares: float) -> LinkParameters:
    return msgspec.structs.replace(LINK, **shares)


def test_a_reading_bounds_the_exact_probability_of_what_was_seen():
    counts = Counts(
        sent=(10**6, 10**6, 10**6), n=((6000, 700, 5), (900, 90, 2)), m=((250, 30, 3), (40, 4, 1)),
        detections=14_000, clicks_z=9_900, double_clicks=4,
        clicks_one=7_100, clicks_outer=40, watch_clicks=33,
    )  # fmt: skip
    for reading in readings(counts, LINK):
        hits = round(reading.observed * reading.trials)
        exact = stats.binom(round(reading.trials), reading.expected)
        tail = min(exact.cdf(hits), exact.sf(hits - 1))
        assert tail <= reading.false_alarm
    assert [reading.instrument for reading in readings(counts, LINK)] == list(INSTRUMENTS)


def test_a_link_without_attacks_raises_nothing():
    # 2,000 blocks of ten instruments at 1e-9 each: one alarm in 50,000 such tests.
    assert not any(findings(block(LINK, seed), LINK) for seed in range(2000))


@pytest.mark.parametrize("false_alarm", [0.02, 0.1])
def test_false_alarms_are_never_more_frequent_than_wanted(false_alarm: float):
    blocks = 2000
    raised = dict.fromkeys(INSTRUMENTS, 0)
    for seed in range(blocks):
        for reading in findings(block(LINK, seed, 10**8), LINK, false_alarm):
            raised[reading.instrument] += 1
    allowed = blocks * false_alarm + 5 * math.sqrt(blocks * false_alarm)
    assert all(count <= allowed for count in raised.values())


@pytest.mark.parametrize(
    ("shares", "instrument"),
    [
        ({"intercept_resend_share": 0.05}, "error rate in Z"),
        ({"splitting_share": 0.1}, "share of weak decoys"),
        ({"blinding_share": 0.3}, "vacuum yield"),
        ({"blinding_share": 0.1}, "clicks in Z"),
        ({"tap_share": 0.05}, "click rate"),
        ({"raman_rate_hz": 500.0}, "vacuum yield"),
        ({"mismatch_share": 0.05}, "clicks of bit 1"),
        ({"time_shift_share": 0.01}, "clicks off centre"),
        ({"trojan_photons": 0.01}, "light into the transmitter"),
    ],
)
def test_each_attack_is_seen_by_the_instrument_that_it_disturbs(shares, instrument):
    found = findings(block(attacked(**shares), seed=1), LINK)
    assert instrument in [reading.instrument for reading in found]
    assert all(reading.false_alarm <= FALSE_ALARM for reading in found)


def strength_of(attack: str, instrument: str, wanted: float, most: float) -> float:
    """Return how strong an attack must be for this power, by halving."""
    low, high = 0.0, most
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (
            (low, middle)
            if power(LINK, attacked(**{attack: middle}), PULSES)[instrument] > wanted
            else (middle, high)
        )
    return high


@pytest.mark.parametrize("wanted", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(
    ("attack", "instrument", "most"),
    [
        ("intercept_resend_share", "error rate in Z", 1.0),
        ("splitting_share", "share of weak decoys", 1.0),
        ("blinding_share", "vacuum yield", 1.0),
        ("raman_rate_hz", "vacuum yield", 1000.0),
        ("tap_share", "click rate", 1.0),
        ("mismatch_share", "clicks of bit 1", 1.0),
        ("time_shift_share", "clicks off centre", 1.0),
        ("trojan_photons", "light into the transmitter", 1.0),
    ],
)
def test_detection_is_as_frequent_as_predicted(attack, instrument, most, wanted):
    link, blocks = attacked(**{attack: strength_of(attack, instrument, wanted, most)}), 400
    predicted = power(LINK, link, PULSES)[instrument]
    assert predicted == pytest.approx(wanted, abs=0.05)
    seen = sum(
        instrument in [reading.instrument for reading in findings(block(link, seed), LINK)]
        for seed in range(blocks)
    )
    assert seen / blocks == pytest.approx(predicted, abs=5 * math.sqrt(predicted * (1 - predicted) / blocks))


def test_instruments_that_saw_nothing_say_nothing():
    nothing = Counts(sent=(0, 0, 0), n=((0, 0, 0), (0, 0, 0)), m=((0, 0, 0), (0, 0, 0)), detections=0)
    assert readings(nothing, LINK) == ()


def test_what_the_commissioned_link_cannot_do_is_seen_at_once():
    silent = msgspec.structs.replace(LINK, y0=0.0, vacuum_intensity=0.0)
    counts = block(LINK, seed=3)
    assert findings(counts, silent)[0].deviance == math.inf


@pytest.mark.parametrize("extra_db", [0.5, 3.0, 10.0, math.inf])
def test_light_that_is_lost_is_told_by_the_click_rate_alone(extra_db: float):
    dimmer = msgspec.structs.replace(LINK, loss_db=LINK.loss_db + extra_db)
    for seed in range(20):
        found = findings(block(dimmer, seed), LINK)
        assert [reading.instrument for reading in found] == ["click rate"]
        assert found[0].observed < found[0].expected


def test_an_attack_shows_under_a_loss_that_is_new_too():
    link = msgspec.structs.replace(LINK, loss_db=LINK.loss_db + 3.0, intercept_resend_share=0.1)
    assert "error rate in Z" in [reading.instrument for reading in findings(block(link, 1), LINK)]


def test_devices_that_have_not_compared_bases_are_judged_by_what_they_count():
    counts = msgspec.structs.replace(block(LINK, 1), n=((0, 0, 0), (0, 0, 0)), m=((0, 0, 0), (0, 0, 0)))
    names = [reading.instrument for reading in readings(counts, LINK)]
    told = ["clicks of bit 1", "clicks off centre", "light into the transmitter"]
    assert names == ["click rate", "clicks in Z", "double clicks", *told]
    assert findings(counts, LINK) == ()

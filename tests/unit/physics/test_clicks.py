"""Every count below has a mean large enough that a deviation of 1 % lies beyond 5 standard errors."""

import math
import os
import subprocess
import sys
from hashlib import blake2b

import msgspec
import numpy as np
import pytest

from qstrata.core.randomness import stream
from qstrata.physics import decoy_bb84 as bb84
from qstrata.physics.click_records import Clicks, counts_of
from qstrata.physics.clicks import ClickSampler
from qstrata.physics.counts import add, expected_counts, zero
from qstrata.physics.profiles import profile

LINK = msgspec.structs.replace(profile().link_parameters(loss_db=10.5), pulse_rate_hz=1e9)
PULSES = 12 * 10**9


def drawn(parameters, pulses, stretches=3):
    generator, sampler = stream(1, "clicks"), ClickSampler(parameters)
    total = zero()
    for _ in range(stretches):
        clicks = sampler.sample(generator, pulses // stretches)
        total = add(total, counts_of(clicks, sampler.sent(generator, clicks, pulses // stretches)))
    return total


def assert_within_five_standard_errors(counted, trials, probability):
    deviation = math.sqrt(trials * probability * (1.0 - probability))
    assert abs(counted - trials * probability) <= 5.0 * deviation, (counted, trials * probability)


def test_gains_and_error_rates_are_those_of_the_closed_forms():
    counts = drawn(LINK, PULSES)
    both_z = LINK.sender_z_probability * LINK.receiver_z_probability
    for k, intensity in enumerate(LINK.intensities):
        gain = bb84.gain(LINK.eta, intensity, LINK.y0)
        assert_within_five_standard_errors(counts.n[0][k], counts.sent[k], both_z * gain)
        error = bb84.qber(LINK.eta, intensity, LINK.y0, LINK.e_d)
        assert_within_five_standard_errors(counts.m[0][k], counts.n[0][k], error)
        assert_within_five_standard_errors(counts.m[1][k], counts.n[1][k], error)
    assert sum(counts.m[0]) > 130_000


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dead_time_ns": 200.0},
        {"afterpulse_probability": 0.08},
        {"dead_time_ns": 200.0, "afterpulse_probability": 0.08, "eta_bob": 0.5, "loss_db": 8.0},
        {"intercept_resend_share": 0.3, "blinding_share": 0.2},
        {"mismatch_share": 0.5, "time_shift_share": 0.3},
        {"mismatch_share": 1.0, "dead_time_ns": 200.0, "afterpulse_probability": 0.08, "eta_bob": 0.5},
        {"signal_probability": 0.2, "weak_probability": 0.8, "vacuum_probability": 0.0},
    ],
    ids=str,
)
def test_levels_counts_and_clicks_agree(changes):
    link = msgspec.structs.replace(LINK, **changes)
    pulses = 3 * 10**9
    counts, expected = drawn(link, pulses), expected_counts(link, pulses)
    for one, other in (
        (counts.sent, expected.sent),
        *zip(counts.n, expected.n, strict=True),
        *zip(counts.m, expected.m, strict=True),
        (
            (counts.detections, counts.clicks_z, counts.clicks_one),
            (expected.detections, expected.clicks_z, expected.clicks_one),
        ),
    ):
        for counted, mean in zip(one, other, strict=True):
            assert abs(counted - mean) <= 5.0 * math.sqrt(mean) + 1e-9, (counted, mean)


def test_dead_time_follows_the_formula_of_a_non_paralysable_detector():
    link = msgspec.structs.replace(LINK, eta_bob=0.9, loss_db=3.0, dead_time_ns=50.0)
    pulses = 20_000_000
    ideal = expected_counts(msgspec.structs.replace(link, dead_time_ns=0.0), pulses).detections / pulses
    each = ideal / 2.0
    # Clicks in discrete pulses are waited for 1/n pulses on average, the dead ones come on top.
    recorded = 2.0 * each / (1.0 + each * 50)
    counts = drawn(link, pulses)
    assert recorded < 0.5 * ideal
    assert counts.detections == pytest.approx(recorded * pulses, rel=5.0 / math.sqrt(recorded * pulses))


def test_a_detector_never_clicks_within_its_dead_time_nor_twice_in_a_pulse():
    link = msgspec.structs.replace(
        LINK, eta_bob=0.9, loss_db=3.0, dead_time_ns=20.0, afterpulse_probability=0.2
    )
    generator, sampler = stream(1, "dead"), ClickSampler(link)
    first, second = sampler.sample(generator, 100_000), sampler.sample(generator, 100_000)
    positions = np.concatenate([first.positions, second.positions + 100_000])
    detectors = np.concatenate([first.receiver_bits, second.receiver_bits])
    assert np.diff(positions).min() >= 1
    for detector in (0, 1):
        assert np.diff(positions[detectors == detector]).min() == 21


def test_after_pulses_err_half_the_time_and_come_right_after_the_dead_time():
    link = msgspec.structs.replace(LINK, y0=0.0, e_d=0.0, dead_time_ns=30.0, afterpulse_probability=0.1)
    counts = drawn(link, 5 * 10**9)
    # One click in ten is an after-pulse, and half of these are wrong.
    assert_within_five_standard_errors(sum(counts.m[0]), sum(counts.n[0]), 0.05)


def test_a_dark_link_without_background_never_clicks():
    link = msgspec.structs.replace(LINK, y0=0.0, loss_db=math.inf)
    assert len(ClickSampler(link).sample(stream(1, "dark"), 10**12).records) == 0


def test_bits_of_the_sender_are_even_and_those_in_unequal_bases_independent():
    clicks = ClickSampler(LINK).sample(stream(1, "even"), 2 * 10**9)
    differ = clicks.sender_bases != clicks.receiver_bases
    for ones, trials in (
        (clicks.sender_bits.sum(), len(differ)),
        (clicks.receiver_bits.sum(), len(differ)),
        ((clicks.sender_bits ^ clicks.receiver_bits)[differ].sum(), differ.sum()),
    ):
        assert_within_five_standard_errors(int(ones), int(trials), 0.5)


def test_counts_of_clicks_are_those_of_the_records_one_by_one():
    clicks = Clicks(np.arange(4), np.array([0b000011, 0b011101, 0b100001, 0b001000], dtype=np.uint8))
    counts = counts_of(clicks, (5, 5, 5))
    # Z equal bits signal; X unequal bits weak; Z unequal bits vacuum; bases differ, receiver in X.
    assert counts.n == ((1, 0, 1), (0, 1, 0))
    assert counts.m == ((0, 0, 1), (0, 1, 0))
    assert (counts.detections, counts.clicks_z) == (4, 2)


def digest_of_a_run():
    link = msgspec.structs.replace(LINK, dead_time_ns=40.0, afterpulse_probability=0.1, eta_bob=0.5)
    clicks = ClickSampler(link).sample(stream(7, "digest"), 300_000)
    return blake2b(clicks.positions.tobytes() + clicks.records.tobytes()).hexdigest()


def test_python_itself_and_compiled_kernels_draw_the_same_clicks():
    code = "from tests.unit.physics.test_clicks import digest_of_a_run as d; print(d())"
    plain = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.strip() == digest_of_a_run()

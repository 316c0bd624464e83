import math

import msgspec
import pytest

from qstrata.physics import decoy_bb84 as bb84
from qstrata.physics.attacks import double_click_probability, split_gains, unattacked
from qstrata.physics.counts import expected_counts, outcome_probabilities
from qstrata.physics.finite_key import key_length_bits
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.profiles import profile

LINK = profile().link_parameters(loss_db=6.0)
PULSES = 6e9


def attacked(**shares: float) -> LinkParameters:
    return msgspec.structs.replace(LINK, **shares)


def poisson(n: int, mean: float) -> float:
    return math.exp(-mean) * mean**n / math.factorial(n)


@pytest.mark.parametrize("attack", ["splitting_share", "blinding_share"])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_signal_pulses_click_as_often_as_before_so_that_their_rate_betrays_nothing(attack, share):
    before, now = (outcome_probabilities(link) for link in (LINK, attacked(**{attack: share})))
    assert now[0, :6].sum() == pytest.approx(before[0, :6].sum(), rel=1e-9)
    assert now.sum() == pytest.approx(1.0)


def test_splitting_is_the_sum_over_photon_numbers_of_what_eve_passes_on():
    link = attacked(splitting_share=1.0)
    eta, bob = link.eta, link.eta_bob

    def multi(mean: float) -> float:
        return sum(poisson(n, mean) * (1 - (1 - bob) ** (n - 1)) for n in range(2, 40))

    wanted = 1 - math.exp(-eta * link.signal_intensity)
    throttle = min(1.0, wanted / multi(link.signal_intensity))
    singles = max(0.0, wanted - multi(link.signal_intensity)) / (eta * poisson(1, link.signal_intensity))
    for intensity in link.intensities:
        clicks, errors = split_gains(link, intensity)
        photons = throttle * multi(intensity) + singles * eta * poisson(1, intensity)
        assert clicks == pytest.approx(link.y0 + photons, rel=1e-9)
        assert errors == pytest.approx(link.y0 / 2 + link.e_d * photons, rel=1e-9)


def test_splitting_leaves_the_error_rate_and_betrays_itself_in_the_decoys():
    before, now = expected_counts(LINK, PULSES), expected_counts(attacked(splitting_share=1.0), PULSES)
    qber = [counts.m[0][0] / counts.n[0][0] for counts in (before, now)]
    weak = [counts.n[0][1] / counts.n[0][0] for counts in (before, now)]
    assert qber[1] == pytest.approx(qber[0], rel=0.02)
    assert weak[1] < 0.5 * weak[0]
    key = [key_length_bits(counts, LINK) for counts in (before, now)]
    assert key[1].s_z1_lower < 0.3 * key[0].s_z1_lower
    assert key[0].length_bits > 0
    assert key[1].length_bits == 0


def test_blinding_silences_vacuum_and_double_clicks_and_shifts_the_bases():
    before, now = expected_counts(LINK, PULSES), expected_counts(attacked(blinding_share=1.0), PULSES)
    assert now.n[0][2] == now.n[1][2] == 0.0
    assert now.double_clicks == 0.0
    assert before.double_clicks > 0.0
    # Eve's basis is Z as often as the receiver's, and he clicks only in hers: 0.7^2 to 0.3^2.
    assert now.clicks_z / now.detections == pytest.approx(0.49 / 0.58)
    assert before.clicks_z / before.detections == pytest.approx(0.7)


def test_half_of_a_blinding_is_half_of_each_of_its_traces():
    none, half, whole = (expected_counts(attacked(blinding_share=s), PULSES) for s in (0.0, 0.5, 1.0))
    assert half.n[0][2] == pytest.approx(none.n[0][2] / 2)
    assert half.clicks_z == pytest.approx((none.clicks_z + whole.clicks_z) / 2)
    assert half.double_clicks == pytest.approx(none.double_clicks / 2)


def test_a_tap_takes_its_share_of_the_light():
    tapped = attacked(tap_share=0.25)
    assert tapped.eta == pytest.approx(0.75 * LINK.eta)
    same = msgspec.structs.replace(LINK, loss_db=LINK.loss_db - 10 * math.log10(0.75))
    assert expected_counts(tapped, PULSES).detections == pytest.approx(
        expected_counts(same, PULSES).detections
    )


def test_raman_photons_are_background_of_which_half_is_wrong():
    noisy = attacked(raman_rate_hz=1000.0)
    assert noisy.background == pytest.approx(LINK.y0 + 1e-5)
    counts = expected_counts(noisy, PULSES)
    assert counts.n[0][2] / counts.sent[2] == pytest.approx(0.49 * noisy.background)
    expected = bb84.qber(LINK.eta, LINK.signal_intensity, noisy.background, LINK.e_d)
    assert counts.m[0][0] / counts.n[0][0] == pytest.approx(expected)


def test_double_clicks_are_those_of_two_independent_detectors():
    link = attacked(eta_bob=1.0, e_d=0.1, y0=0.0)
    doubles = 0.0
    for probability, intensity in zip(link.intensity_probabilities, link.intensities, strict=True):
        for n in range(1, 40):
            for wrong_odds, share in ((0.1, 0.49 + 0.09), (0.5, 0.42)):
                # n photons arrive, each at the wrong detector with these odds: both click unless all agree.
                both = 1 - wrong_odds**n - (1 - wrong_odds) ** n
                doubles += probability * share * poisson(n, link.eta * intensity) * both
    assert double_click_probability(link) == pytest.approx(doubles, rel=1e-9)


def test_a_link_without_attacks_keeps_its_devices_and_its_noise():
    link = attacked(splitting_share=0.5, tap_share=0.1, raman_rate_hz=10.0)
    assert unattacked(link) == attacked(raman_rate_hz=10.0)

"""Laws of decoy-state BB84 that hold for every link, not for the worked examples alone."""

import math

import msgspec
from hypothesis import assume, example, given
from hypothesis import strategies as st

from qstrata.physics import decoy_bb84 as bb84
from qstrata.physics.counts import Counts, expected_counts
from qstrata.physics.finite_key import asymptotic_length_rate, key_length_bits
from qstrata.physics.parameters import LinkParameters, check_parameters
from qstrata.physics.profiles import profile

ROUNDING = 1.0 + 1e-9


@st.composite
def link_parameters(draw: st.DrawFn) -> LinkParameters:
    signal = draw(st.floats(0.1, 1.0))
    weak = signal * draw(st.floats(0.05, 0.5))
    vacuum = weak * draw(st.sampled_from([0.0, 0.01, 0.2]))
    weights = [draw(st.floats(0.1, 1.0)) for _ in range(3)]
    link = LinkParameters(
        pulse_rate_hz=1e8,
        signal_intensity=signal,
        weak_intensity=weak,
        vacuum_intensity=vacuum,
        signal_probability=weights[0] / sum(weights),
        weak_probability=weights[1] / sum(weights),
        vacuum_probability=weights[2] / sum(weights),
        sender_z_probability=draw(st.floats(0.05, 0.95)),
        receiver_z_probability=draw(st.floats(0.05, 0.95)),
        eta_bob=draw(st.floats(0.01, 1.0)),
        y0=draw(st.floats(0.0, 1e-3)),
        e_d=draw(st.floats(0.0, 0.12)),
        error_correction_efficiency=draw(st.floats(1.0, 1.5)),
        eps_sec=1e-10,
        eps_cor=1e-15,
        loss_db=draw(st.floats(0.0, 60.0)),
        intercept_resend_share=draw(st.sampled_from([0.0, 0.1, 0.5])),
    )
    check_parameters(link)
    return link


def block_pulses() -> st.SearchStrategy[float]:
    return st.sampled_from([1e3, 1e6, 1e9, 1e10, 1e12, 1e14])


def single_photon_error(link: LinkParameters) -> float:
    return bb84.single_photon_error(
        link.eta, link.y0, bb84.intercepted_error(link.e_d, link.intercept_resend_share)
    )


@given(link_parameters(), block_pulses())
def test_finite_length_is_never_above_the_asymptote(link, pulses):
    length = key_length_bits(expected_counts(link, pulses), link).length_bits
    assert length <= pulses * asymptotic_length_rate(link) * ROUNDING


@given(link_parameters(), block_pulses())
def test_estimates_of_photon_numbers_and_phase_error_stand_on_the_safe_side(link, pulses):
    estimate = key_length_bits(expected_counts(link, pulses), link)
    in_key_basis = pulses * link.sender_z_probability * link.receiver_z_probability
    photons = list(zip(link.intensities, link.intensity_probabilities, strict=True))
    empty = in_key_basis * sum(p * math.exp(-k) for k, p in photons) * link.y0
    single = in_key_basis * sum(p * k * math.exp(-k) for k, p in photons) * (link.y0 + link.eta)
    tolerance = 1e-9 * (empty + single)
    assert estimate.s_z0_lower <= empty + tolerance
    assert estimate.s_z1_lower <= single + tolerance
    assert estimate.phase_error_upper * ROUNDING >= min(0.5, single_photon_error(link))


@given(link_parameters(), st.floats(0.1, 20.0))
def test_more_loss_never_gives_more_key(link, more_db):
    lossier = msgspec.structs.replace(link, loss_db=link.loss_db + more_db)
    assert asymptotic_length_rate(lossier) <= asymptotic_length_rate(link) * ROUNDING


@given(st.floats(0.0, 40.0), st.floats(0.1, 20.0), block_pulses())
def test_more_loss_never_gives_a_longer_block_with_the_default_devices(loss_db, more_db, pulses):
    near, far = (profile().link_parameters(db) for db in (loss_db, loss_db + more_db))
    length = key_length_bits(expected_counts(near, pulses), near).length_bits
    assert key_length_bits(expected_counts(far, pulses), far).length_bits <= length


@given(link_parameters())
def test_no_link_beats_the_bound_of_repeaterless_channels(link):
    bound = bb84.plob_bound(link.eta)
    assert asymptotic_length_rate(link) <= bound * ROUNDING
    for mu in (0.1, 0.48, 1.0):
        assert bb84.asymptotic_rate(link.eta, mu, link.y0, link.e_d, q=1.0, f=1.0) <= bound * ROUNDING


@given(link_parameters(), st.floats(0.0, 1.0))
def test_a_weak_decoy_never_proves_more_than_infinitely_many_decoys(link, q):
    eta, mu, nu = link.eta, link.signal_intensity, link.weak_intensity
    proved = bb84.vacuum_weak_rate(eta, mu, nu, link.y0, link.e_d, q)
    assert proved <= bb84.asymptotic_rate(eta, mu, link.y0, link.e_d, q) * ROUNDING


@given(link_parameters(), block_pulses())
def test_full_interception_leaves_no_key(link, pulses):
    link = msgspec.structs.replace(link, intercept_resend_share=1.0)
    assert asymptotic_length_rate(link) == 0.0
    estimate = key_length_bits(expected_counts(link, pulses), link)
    assert estimate.length_bits == 0
    assert estimate.qber is None or estimate.qber >= 0.25 / ROUNDING


@given(link_parameters(), st.floats(0.0, 1.0))
def test_interception_adds_an_independent_flip_of_a_quarter_of_its_share(link, share):
    def flips(intercepted: float) -> float:
        counts = expected_counts(
            msgspec.structs.replace(link, intercept_resend_share=intercepted, y0=0.0), 1e12
        )
        return 1.0 - 2.0 * sum(counts.m[0]) / sum(counts.n[0])

    assert math.isclose(flips(share), flips(0.0) * (1.0 - share / 2.0), rel_tol=1e-9)


triples = st.tuples(*[st.integers(0, 10**9)] * 3)
shares = st.tuples(*[st.floats(0.0, 1.0)] * 3)


@given(link_parameters(), triples, triples, shares, shares)
@example(profile().link_parameters(0.0), (10**9, 10**9, 0), (10**9, 10**9, 0), (0.0,) * 3, (0.0,) * 3)
def test_whatever_was_counted_the_length_is_between_nothing_and_the_raw_key(link, n_z, n_x, wrong_z, wrong_x):
    def errors(clicks: tuple[int, int, int], wrong: tuple[float, float, float]) -> tuple[int, int, int]:
        signal, weak, vacuum = (int(n * share) for n, share in zip(clicks, wrong, strict=True))
        return signal, weak, vacuum

    counts = Counts(
        sent=(10**12,) * 3,
        n=(n_z, n_x),
        m=(errors(n_z, wrong_z), errors(n_x, wrong_x)),
        detections=sum(n_z) + sum(n_x),
    )
    estimate = key_length_bits(counts, link)
    assert 0 <= estimate.length_bits <= sum(n_z)
    assert 0.0 <= estimate.phase_error_upper <= 0.5
    assert estimate.s_z0_lower + estimate.s_z1_lower <= sum(n_z) * ROUNDING


@given(link_parameters())
def test_no_detections_give_no_key(link):
    none = Counts(sent=(10**9,) * 3, n=((0,) * 3,) * 2, m=((0,) * 3,) * 2, detections=0)
    assert key_length_bits(none, link).length_bits == 0


@given(link_parameters(), st.integers(1, 6))
def test_a_longer_block_never_gives_less_key_per_pulse(link, decades):
    assume(asymptotic_length_rate(link) > 0.0)
    short = key_length_bits(expected_counts(link, 1e9), link).length_bits
    long = key_length_bits(expected_counts(link, 1e9 * 10**decades), link).length_bits
    assert long + 1 >= short * 10**decades

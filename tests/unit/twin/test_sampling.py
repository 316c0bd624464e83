from itertools import pairwise

import msgspec
import pytest

from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_S
from qstrata.physics.counts import counts_from_outcomes, expected_counts, outcome_probabilities, zero
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.profiles import profile
from qstrata.twin.faults import FaultBook
from qstrata.twin.sampling import disturbed, draw_counts, odds, pulses_before

LINK = profile().link_parameters(6.0)
FIBRE = "fibre/a-b"


def under(link: LinkParameters, **amounts: float) -> LinkParameters:
    book = FaultBook({"a-b": FIBRE}, ())
    for kind, amount in amounts.items():
        book.inject(kind.replace("_", "-"), "a-b", amount, 0)
    return disturbed(link, FIBRE, book)


def test_pulses_of_adjacent_stretches_add_up_to_those_of_the_whole():
    cuts = [0, 1, 9_999, 10_000, 123_456_789, PS_PER_S, 3 * PS_PER_S + 7]
    parts = [pulses_before(100e6, end) - pulses_before(100e6, start) for start, end in pairwise(cuts)]
    assert sum(parts) == pulses_before(100e6, cuts[-1]) == 300_000_000
    assert pulses_before(0.5, 4 * PS_PER_S) == 2


def test_behind_a_cut_fibre_only_background_clicks_and_half_of_it_is_wrong():
    cells = outcome_probabilities(under(LINK, cut=1.0, loss=3.0, intercept_resend=0.5))
    assert cells[:, :6].sum() == pytest.approx(LINK.y0)
    assert cells[:, 1].sum() / cells[:, :2].sum() == pytest.approx(0.5)


def test_extra_loss_adds_to_that_of_the_fibre():
    assert under(LINK, loss=3.5) == profile().link_parameters(9.5)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_intercepting_a_share_adds_a_quarter_of_it_to_the_error_rate_of_a_clean_link(share):
    clean = msgspec.structs.replace(LINK, e_d=0.0, y0=0.0)
    mean = expected_counts(under(clean, intercept_resend=share), 1e9)
    assert mean.m[0][0] / mean.n[0][0] == pytest.approx(share / 4)


def test_drawn_stretches_are_summed_up_as_the_formula_module_sums_outcomes():
    drawn_from = odds(LINK)
    outcomes = stream(3, "draw").multinomial([10**8, 0, 10**6], drawn_from.cells).reshape(-1, 3, 7)
    drawn = draw_counts(stream(3, "draw"), drawn_from, (10**8, 0, 10**6))
    besides = "double_clicks", "clicks_one", "clicks_outer", "watch_clicks"
    assert drawn == [
        msgspec.structs.replace(
            counts_from_outcomes(each), **{name: getattr(counts, name) for name in besides}
        )
        for each, counts in zip(outcomes, drawn, strict=True)
    ]
    assert drawn[1] == zero()


def test_clicks_by_basis_and_double_clicks_are_drawn_as_often_as_the_formulas_say():
    link = msgspec.structs.replace(LINK, eta_bob=0.5, loss_db=0.0)
    pulses = 10**9
    mean = expected_counts(link, pulses)
    (counts,) = draw_counts(stream(11, "doubles"), odds(link), (pulses,))
    assert counts.clicks_z == pytest.approx(mean.clicks_z, abs=5 * mean.clicks_z**0.5)
    assert counts.double_clicks == pytest.approx(mean.double_clicks, abs=5 * mean.double_clicks**0.5)
    assert mean.clicks_z == pytest.approx(mean.detections * link.receiver_z_probability)


def test_every_attack_of_the_lab_reaches_the_link_that_it_is_on():
    attacked = under(
        LINK,
        intercept_resend=0.1,
        photon_number_splitting=0.2,
        blinding=0.3,
        tap=0.4,
        raman=50.0,
        efficiency_mismatch=0.5,
        time_shift=0.6,
        trojan_horse=7.0,
    )
    assert attacked == msgspec.structs.replace(
        LINK,
        intercept_resend_share=0.1,
        splitting_share=0.2,
        blinding_share=0.3,
        tap_share=0.4,
        raman_rate_hz=50.0,
        mismatch_share=0.5,
        time_shift_share=0.6,
        trojan_photons=7.0,
    )
    assert disturbed(LINK, "fibre/b-c", FaultBook({"a-b": FIBRE}, ())) == LINK

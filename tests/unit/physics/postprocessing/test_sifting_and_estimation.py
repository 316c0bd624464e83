import msgspec
import numpy as np
import pytest

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream
from qstrata.physics.counts import Counts
from qstrata.physics.finite_key import key_length_bits, secret_length_bits
from qstrata.physics.postprocessing.estimation import block_counts, expected_qber
from qstrata.physics.postprocessing.sifting import (
    pack_bits,
    pack_intensities,
    pack_positions,
    sift,
    unpack_bits,
    unpack_intensities,
    unpack_positions,
)
from qstrata.physics.profiles import profile

LINK = profile().link_parameters(loss_db=11.9)
COUNTS = Counts(
    sent=(3 * 10**10, 5 * 10**10, 2 * 10**10),
    n=((30_000_000, 10_000_000, 500), (5_000_000, 1_700_000, 160)),
    m=((900_000, 310_000, 250), (150_000, 52_000, 80)),
    detections=10**8,
)


def bits(*values):
    return np.array(values, dtype=np.uint8)


def test_equal_bases_are_sifted_into_key_and_test():
    sifted = sift(bits(0, 0, 1, 1, 0), bits(0, 1, 0, 1, 0))
    assert sifted.key.tolist() == [0, 4]
    assert sifted.test.tolist() == [3]


def test_ends_that_tell_of_different_numbers_of_clicks_are_refused():
    with pytest.raises(InputError, match="give up the block"):
        sift(bits(0, 1), bits(0))


def test_counts_of_a_block_are_counted_per_basis_and_intensity():
    sifted = sift(bits(0, 0, 1, 1, 0), bits(0, 1, 1, 1, 0))
    counts = block_counts((9, 8, 7), bits(0, 1, 2, 1, 0), sifted, bits(1, 0), (1, 0, 0))
    assert counts == Counts(sent=(9, 8, 7), n=((2, 0, 0), (0, 1, 1)), m=((1, 0, 0), (0, 0, 1)), detections=5)


def test_what_is_told_survives_packing():
    draws = stream(1, "packing")
    positions = np.cumsum(draws.integers(1, 2**39, 1001))
    assert unpack_positions(pack_positions(positions)).tolist() == positions.tolist()
    some = draws.integers(0, 2, 1001, dtype=np.uint8)
    assert unpack_bits(pack_bits(some), 1001).tolist() == some.tolist()
    intensities = draws.integers(0, 3, 1001, dtype=np.uint8)
    assert unpack_intensities(pack_intensities(intensities), 1001).tolist() == intensities.tolist()
    assert unpack_positions(b"").tolist() == []


@pytest.mark.parametrize(
    "unpack",
    [
        lambda: unpack_positions(b"1234"),
        lambda: unpack_positions(bytes(5)),
        lambda: unpack_bits(b"12", 17),
        lambda: unpack_intensities(b"1", 5),
        lambda: unpack_intensities(b"\x03", 1),
    ],
)
def test_what_is_no_packing_is_refused(unpack):
    with pytest.raises(InputError):
        unpack()


def test_expected_error_rate_comes_from_the_test_basis_alone():
    assert expected_qber(COUNTS) == pytest.approx(202_080 / 6_700_160, rel=1e-5)
    assert 0.0 < expected_qber(msgspec.structs.replace(COUNTS, n=(COUNTS.n[0], (0, 0, 0)))) <= 0.5


def test_secret_length_counts_what_was_really_told():
    told = key_length_bits(COUNTS, LINK)
    # The same leakage and a hash of log2(2/eps_cor) = 50.83 bits: the formula of the paper.
    assert secret_length_bits(COUNTS, LINK, told.leakage_bits + 51) == pytest.approx(told.length_bits, abs=1)
    assert secret_length_bits(COUNTS, LINK, 1000) - secret_length_bits(COUNTS, LINK, 3000) == 2000
    assert secret_length_bits(COUNTS, LINK, 10**9) == 0


def test_errors_that_the_key_cannot_have_are_refused():
    sifted = sift(bits(0, 0, 1), bits(0, 0, 1))
    for errors in ((3, 0, 0), (0, 1, 0), (-1, 0, 0)):
        with pytest.raises(InputError, match="give up the block"):
            block_counts((9, 8, 7), bits(0, 0, 1), sifted, bits(0), errors)


def test_secret_length_with_two_decoys_does_not_read_the_errors_of_the_key():
    unknown = msgspec.structs.replace(COUNTS, m=((0, 0, 0), COUNTS.m[1]))
    assert secret_length_bits(unknown, LINK, 10**6) == secret_length_bits(COUNTS, LINK, 10**6)

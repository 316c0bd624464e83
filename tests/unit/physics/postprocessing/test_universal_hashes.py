import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import toeplitz

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream
from qstrata.core.secrets import KeyMaterial
from qstrata.physics.postprocessing import amplification
from qstrata.physics.postprocessing.amplification import amplify, seed_bits
from qstrata.physics.postprocessing.authentication import KEY_BITS, Transcript, is_authentic, tag
from qstrata.physics.postprocessing.hash_kernels import times
from qstrata.physics.postprocessing.verification import (
    PRIME,
    as_residues,
    collision_bound,
    polynomial_hash,
)

DRAWS = stream(1, "test of hashes")


def random_bits(count):
    return DRAWS.integers(0, 2, count, dtype=np.uint8)


def matrix_of(seed, rows, bits):
    """The unit matrix, and beside it the Toeplitz matrix whose first column and row the seed holds."""
    if bits == rows:
        return np.eye(rows, dtype=np.int64)
    columns = bits - rows
    return np.hstack((np.eye(rows, dtype=np.int64), toeplitz(seed[columns - 1 :], seed[columns - 1 :: -1])))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 1), (64, 64), (64, 63), (97, 3), (999, 400), (1000, 401)])
def test_amplification_is_the_product_with_the_toeplitz_matrix_of_the_seed(n, m):
    key, seed = random_bits(n), random_bits(seed_bits(n, m))
    assert amplify(key, seed, m).tolist() == (matrix_of(seed, m, n) @ key % 2).tolist()


@pytest.mark.parametrize(("n", "m"), [(1000, 401), (999, 400), (700, 13), (517, 500)])
def test_a_key_longer_than_one_convolution_gives_the_same_product(monkeypatch, n, m):
    monkeypatch.setattr(amplification, "GROUP_BITS", 320)
    monkeypatch.setattr(amplification, "WHOLE_BITS", 50)
    monkeypatch.setattr(amplification, "HALF_BITS", 20)
    key, seed = random_bits(n), random_bits(seed_bits(n, m))
    assert amplify(key, seed, m).tolist() == (matrix_of(seed, m, n) @ key % 2).tolist()


@pytest.mark.parametrize(("n", "m"), [(260_000, 130_000), (1_500_000, 300_000)])
def test_the_fft_rounds_no_sum_of_the_longest_products_wrongly(n, m):
    key, seed = np.ones(n, dtype=np.uint8), np.ones(seed_bits(n, m), dtype=np.uint8)
    seed[::3] = 0
    # All ones in the key: row i is 1 and the sum of n - m seed bits in a row, known from prefix sums.
    prefix = np.concatenate(([0], np.cumsum(seed, dtype=np.int64)))
    assert np.array_equal(amplify(key, seed, m), (1 + prefix[n - m : n] - prefix[:m]) % 2)


@pytest.mark.parametrize(("n", "m", "seed"), [(10, 0, 9), (10, 11, 20), (10, 5, 13)])
def test_amplification_that_makes_no_sense_is_refused(n, m, seed):
    with pytest.raises(InputError, match="cannot be hashed"):
        amplify(random_bits(n), random_bits(seed), m)


def test_hash_is_the_polynomial_of_the_words_and_the_length():
    points = 12345, PRIME - 6789
    first, second = (7 << 48) + 3, 9
    message = first.to_bytes(7, "little") + second.to_bytes(1, "little")
    expected = tuple((first * r**3 + second * r**2 + 8 * r) % PRIME for r in points)
    assert polynomial_hash(message, b"".join(r.to_bytes(8, "big") for r in points)) == expected


@given(st.integers(0, PRIME), st.integers(0, PRIME))
def test_products_modulo_the_prime_fit_into_64_bits(a, b):
    assert times(a, b) == a * b % PRIME


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(min_size=16, max_size=16))
def test_different_messages_hash_differently(one, other, point):
    if one != other and 0 not in as_residues(point):
        assert polynomial_hash(one, point) != polynomial_hash(other, point)


def test_collision_bound_of_a_block_is_far_below_its_correctness_level():
    # 1786 words of 7 bytes, their length, and the residue 0.
    assert collision_bound(12_500) == pytest.approx((1788 / (2**61 - 1)) ** 2)
    assert math.log2(collision_bound(2**24 // 8)) < -80


def a_transcript(*parts):
    transcript = Transcript()
    for name, *fields in parts:
        transcript.enter(name, *fields)
    return transcript


def test_tags_are_checked_per_direction_and_transcript():
    key = KeyMaterial(DRAWS.bytes(KEY_BITS // 8))
    told = a_transcript(("parities 1", b"\x01", b"\x02"), ("sifting", b"abc"))
    same = a_transcript(("sifting", b"abc"), ("parities 1", b"\x01", b"\x02"))
    from_transmitter = tag(told, key, 0)
    assert is_authentic(same, key, 0, from_transmitter)
    assert not is_authentic(same, key, 1, from_transmitter)
    for other in (
        a_transcript(("sifting", b"abd"), ("parities 1", b"\x01", b"\x02")),
        a_transcript(("sifting", b"abc"), ("parities 1", b"\x01\x02", b"")),
        a_transcript(("sifting", b"abc")),
        a_transcript(("sifting", b"abc"), ("parities 2", b"\x01", b"\x02")),
    ):
        assert not is_authentic(other, key, 0, from_transmitter)


def test_a_tag_is_the_masked_hash():
    key = KeyMaterial(bytes(range(48)))
    told = a_transcript(("a", b"b"))
    masks = as_residues(bytes(range(32, 48)))
    values = polynomial_hash(told.encoded(), bytes(range(16)))
    expected = [(value + mask) % PRIME for value, mask in zip(values, masks, strict=True)]
    made = tag(told, key, 1)
    assert [int.from_bytes(made[:8], "big"), int.from_bytes(made[8:], "big")] == expected


def test_a_short_authentication_key_is_refused():
    with pytest.raises(InputError, match="384 bits"):
        tag(Transcript(), KeyMaterial(bytes(16)), 0)

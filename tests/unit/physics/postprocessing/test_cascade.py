import os
import subprocess
import sys
from hashlib import blake2b

import numpy as np
import pytest

from qstrata.core.errors import InputError
from qstrata.core.randomness import stream
from qstrata.physics.decoy_bb84 import binary_entropy
from qstrata.physics.postprocessing.cascade import (
    FRAME_BITS_MAX,
    ErrorFinder,
    ParityTeller,
    block_sizes,
    frame_lengths,
)


def a_pair(bits, errors, seed=1):
    draws = stream(seed, "test of cascade")
    sent = draws.integers(0, 2, bits, dtype=np.uint8)
    wrong = np.zeros(bits, dtype=np.uint8)
    wrong[draws.permutation(bits)[:errors]] = 1
    return sent, sent ^ wrong


def reconcile(sent, received, qber, seed=1):
    teller, finder = ParityTeller(sent, seed), ErrorFinder(received, seed, qber)
    while len(questions := finder.ask()):
        finder.take(teller.answer(questions))
    return teller, finder


@pytest.mark.parametrize(("qber", "bound"), [(0.005, 1.15), (0.01, 1.1), (0.03, 1.08), (0.08, 1.12)])
def test_a_frame_is_corrected_near_the_shannon_limit_and_never_below_it(qber, bound):
    bits = 100_000
    errors = round(qber * bits)
    sent, received = a_pair(bits, errors)
    teller, finder = reconcile(sent, received, qber)
    assert finder.done
    assert np.array_equal(finder.bits, sent)
    assert finder.corrected_bits == errors
    assert teller.told_bits == finder.asked_bits
    limit = bits * binary_entropy(errors / bits)
    assert limit <= teller.told_bits <= bound * limit


def test_forty_frames_of_a_hundred_thousand_bits_are_all_corrected_at_three_per_cent():
    told = []
    for seed in range(40):
        sent, received = a_pair(100_000, 3_000, seed)
        teller, finder = reconcile(sent, received, 0.03, seed)
        assert np.array_equal(finder.bits, sent), seed
        told.append(teller.told_bits)
    assert max(told) <= 1.15 * 100_000 * binary_entropy(0.03)


@pytest.mark.parametrize("bits", [64, 65, 999, 10_007])
def test_frames_of_any_length_are_corrected(bits):
    for seed in range(10):
        sent, received = a_pair(bits, bits // 30, seed)
        teller, finder = reconcile(sent, received, 0.03, seed)
        assert finder.done
        assert np.array_equal(finder.bits, sent), seed
        assert teller.told_bits == finder.asked_bits


def test_a_wrong_guess_of_the_error_rate_costs_parities_but_not_the_key():
    sent, received = a_pair(50_000, 1_500)
    for guess in (0.003, 0.2):
        assert np.array_equal(reconcile(sent, received, guess)[1].bits, sent)


def test_equal_strings_tell_a_parity_per_block_and_stay_as_they_are():
    sent, received = a_pair(10_000, 0)
    teller, finder = reconcile(sent, received, 0.03)
    assert np.array_equal(finder.bits, sent)
    blocks = [-(-10_000 // size) for size in block_sizes(10_000, 0.03)]
    # The last block of every pass but the first follows from the parity of the whole string.
    assert teller.told_bits == blocks[0] + sum(count - 1 for count in blocks[1:])


def test_strings_that_have_nothing_in_common_are_given_up_before_all_is_told():
    draws = stream(3, "strangers")
    sent, received = (draws.integers(0, 2, 20_000, dtype=np.uint8) for _ in range(2))
    teller, finder = reconcile(sent, received, 0.5)
    assert finder.hopeless
    assert not finder.done
    assert teller.told_bits < 20_000


def test_every_question_is_new_so_that_what_is_counted_is_what_was_told():
    sent, received = a_pair(20_000, 600)
    teller, finder = ParityTeller(sent, 1), ErrorFinder(received, 1, 0.03)
    asked = []
    while len(questions := finder.ask()):
        asked += questions.tolist()
        finder.take(teller.answer(questions))
    assert len(asked) == len(set(asked)) == teller.told_bits


def test_answers_are_the_parities_of_the_first_bits_of_the_string_itself_in_the_first_pass():
    sent, _ = a_pair(1_000, 0)
    questions = np.array([0, 1, 7, 500, 1_000])
    expected = [int(sent[:cut].sum()) % 2 for cut in questions]
    assert ParityTeller(sent, 1).answer(questions).tolist() == expected


@pytest.mark.parametrize("bits", [64, 65, 1_000, 4_097])
def test_every_pass_tells_parities_of_an_order_of_all_bits(bits):
    each = np.eye(bits, dtype=np.uint8)
    width = bits + 1
    for number in (1, 2, 3, 4, 13):
        questions = np.arange(number * width, (number + 1) * width)
        places = []
        for single in each[:: bits // 32]:
            # The parities of a string with a single one are 0 up to its place, and 1 from there on.
            parities = ParityTeller(single, 7).answer(questions).tolist()
            places.append(parities.index(1) - 1)
            assert parities == [0] * (places[-1] + 1) + [1] * (bits - places[-1])
        assert len(set(places)) == len(places)


@pytest.mark.parametrize("bits", [64, 65, 1_000, 1_001])
def test_the_parity_of_a_half_is_that_of_its_bits_however_it_is_asked_for(bits):
    sent, _ = a_pair(bits, 0, seed=bits)
    width, half = bits + 1, -(-bits // 2)
    for number in range(4, 14):
        alone = ParityTeller(sent, 5).answer(np.array([number * width + half]))
        among = ParityTeller(sent, 5).answer(np.arange(number * width, (number + 1) * width))
        assert alone[0] == among[half]


def test_two_errors_that_stay_together_are_parted_by_half_of_the_splits():
    pairs, parted = 200, 0
    for seed in range(pairs):
        both = np.zeros(1_000, dtype=np.uint8)
        both[stream(seed, "pair").permutation(1_000)[:2]] = 1
        halves = ParityTeller(both, seed).answer(np.arange(4, 14) * 1_001 + 500)
        parted += int(halves.sum())
    # 2000 splits, each parting with probability 500/999: five standard errors are 112.
    assert abs(parted - 1_000) < 112


@pytest.mark.parametrize("questions", [[-1], [14 * 1_001]])
def test_a_question_about_nothing_is_refused(questions):
    sent, _ = a_pair(1_000, 0)
    with pytest.raises(InputError, match="no pass or no cut"):
        ParityTeller(sent, 1).answer(np.array(questions))


def test_answers_that_are_too_few_are_refused():
    _, received = a_pair(1_000, 0)
    finder = ErrorFinder(received, 1, 0.03)
    finder.ask()
    with pytest.raises(InputError, match="parities came for"):
        finder.take(np.zeros(1, dtype=np.uint8))


@pytest.mark.parametrize("bits", [63, FRAME_BITS_MAX + 1])
def test_frames_out_of_bounds_are_refused(bits):
    with pytest.raises(InputError, match="frame"):
        ParityTeller(np.zeros(bits, dtype=np.uint8), 1)


def test_long_keys_are_cut_into_frames_that_make_up_the_whole():
    assert frame_lengths(10) == ()
    assert frame_lengths(100_000) == (100_000,)
    frames = frame_lengths(1_000_003)
    assert sum(frames) == 1_000_003
    assert max(frames) <= FRAME_BITS_MAX
    assert max(frames) - min(frames) <= 1


def digest_of_a_run():
    sent, received = a_pair(4_000, 120)
    teller, finder = ParityTeller(sent, 1), ErrorFinder(received, 1, 0.03)
    said = blake2b()
    while len(questions := finder.ask()):
        answers = teller.answer(questions)
        said.update(questions.tobytes() + answers.tobytes())
        finder.take(answers)
    return said.update(finder.bits.tobytes()) or said.hexdigest()


def test_python_itself_and_compiled_kernels_ask_the_same_questions():
    code = "from tests.unit.physics.postprocessing.test_cascade import digest_of_a_run as d; print(d())"
    plain = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.strip() == digest_of_a_run()


@pytest.mark.parametrize("lies", [1, 100, 3_000])
def test_parities_that_contradict_each_other_end_it_all_the_same(lies):
    sent, received = a_pair(60_000, 1_800)
    teller, finder = ParityTeller(sent, 1), ErrorFinder(received, 1, 0.03)
    rounds = 0
    while len(questions := finder.ask()):
        answers = teller.answer(questions)
        answers[:lies] ^= rounds == 3
        finder.take(answers)
        rounds += 1
    assert finder.hopeless or not np.array_equal(finder.bits, sent)
    assert teller.told_bits < 60_000

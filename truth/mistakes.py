"""Mistakes known of simulators of quantum networks, and the tests that show that they are not made here."""

import msgspec


class Mistake(msgspec.Struct, frozen=True):
    """Say what goes wrong elsewhere, which study watches for it here, and which tests."""

    where: str
    what: str
    study: str
    tests: tuple[str, ...]


_PHYSICS = "tests/unit/physics"
MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "SeQUeNCe 0.8.5, 1.3.1",
        "figures of detectors that are set have no effect: as many clicks at an efficiency of 0.8 as at 1.0",
        "detectors.figures_take_effect",
        (f"{_PHYSICS}/test_clicks.py::test_levels_counts_and_clicks_agree",),
    ),
    Mistake(
        "SeQUeNCe 0.8.5, ket states",
        "the fidelity of a swapped pair is a product with a factor of 0.95, not that of its state: nine "
        "nodes of links of 0.98 have 0.594 in place of 0.854163",
        "exact.swaps",
        (f"{_PHYSICS}/test_bell.py::test_a_chain_of_werner_links_has_the_closed_forms_fidelity",),
    ),
    Mistake(
        "SeQUeNCe, Cascade",
        "counts corrected bits as disclosed, not parities: 555 where at least 4,257 bits leak",
        "distilling.cascade",
        (
            f"{_PHYSICS}/postprocessing/test_cascade.py::test_every_question_is_new_so_that_what_is_counted_is_what_was_told",
            f"{_PHYSICS}/postprocessing/test_cascade.py::test_a_frame_is_corrected_near_the_shannon_limit_and_never_below_it",
        ),
    ),
    Mistake(
        "SeQUeNCe, BB84",
        "no privacy amplification and no loss by estimation; both ends read the other's bases and key in "
        "memory",
        "distilling.hashing",
        (
            "tests/simulation/test_raw_links.py::test_both_ends_of_three_links_distil_equal_key_within_all_bounds",
            f"{_PHYSICS}/postprocessing/test_universal_hashes.py::"
            "test_amplification_is_the_product_with_the_toeplitz_matrix_of_the_seed",
        ),
    ),
    Mistake(
        "SimQN, BB84",
        "noise is a fixed turn of all qubits with a length of 50 km built in",
        "key_links.error_rate_of_any_length",
        (f"{_PHYSICS}/test_clicks.py::test_gains_and_error_rates_are_those_of_the_closed_forms",),
    ),
    Mistake(
        "Quditto, eavesdropper",
        "re-sends a random bit in a random basis in place of her result: 50 % of errors, not 25 %",
        "attacks.intercept_resend",
        (f"{_PHYSICS}/test_decoy_bb84.py::test_intercept_resend_adds_a_quarter_of_its_share",),
    ),
    Mistake(
        "TNO, Cascade",
        "tells 1.39 to 1.99 times the Shannon limit",
        "distilling.cascade",
        (
            f"{_PHYSICS}/postprocessing/test_cascade.py::"
            "test_forty_frames_of_a_hundred_thousand_bits_are_all_corrected_at_three_per_cent",
        ),
    ),
    Mistake(
        "qlink-interface 1.0 and netqasm",
        "number the four Bell states in different orders",
        "exact.order_of_bell_states",
        (
            f"{_PHYSICS}/test_bell.py::test_bell_states_have_the_one_order_and_their_correlators",
            f"{_PHYSICS}/test_density.py::test_bell_pairs_are_those_of_the_one_order",
        ),
    ),
)

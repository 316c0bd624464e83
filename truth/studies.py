"""Every study of the report, by topic; a study runs a share of its full sample and returns its rows."""

from collections.abc import Callable

from truth import (
    attacks,
    chains,
    circuits,
    coherent_states,
    detectors,
    distilling,
    exact,
    key_links,
    pair_sources,
    pairs,
    side_channels,
    uses,
)
from truth.row import Row

Study = Callable[[float], list[Row]]

TOPICS: dict[str, tuple[Study, ...]] = {
    "Decoy BB84": (
        key_links.at_counts,
        key_links.at_clicks,
        key_links.one_decoy,
        key_links.error_rate_of_any_length,
        key_links.limit_of_long_blocks,
    ),
    "BBM92 by a source of pairs": (pair_sources.coincidences,),
    "Coherent states": (coherent_states.channels, coherent_states.secret_fraction),
    "Bounds and thresholds": (distilling.thresholds, detectors.key_never_beats_the_channel),
    "Detectors": (
        detectors.figures_take_effect,
        detectors.dead_time,
        detectors.after_pulses,
        detectors.jitter,
    ),
    "Attacks": (
        attacks.intercept_resend,
        attacks.splitting,
        attacks.blinding,
        attacks.tap,
        attacks.raman,
        side_channels.efficiency_mismatch,
        side_channels.time_shift,
        side_channels.trojan_horse,
        distilling.lost_key,
    ),
    "Attacks on pairs": (exact.attacked, circuits.attacks_on_pairs),
    "Detection of attacks": (attacks.detection,),
    "Post-processing": (
        distilling.cascade,
        distilling.hashing,
        distilling.amplified_bits_are_even,
    ),
    "Heralding and waiting": (pairs.heralding, pairs.waiting),
    "Memories": (pairs.memories, exact.waits),
    "Swapping and chains": (exact.swaps, pairs.swapped_after_waiting, chains.chains),
    "Distillation": (
        pairs.distillation,
        pairs.turned_at_random,
        exact.distillations,
        circuits.pumping,
    ),
    "Gates and states": (exact.gates, exact.order_of_bell_states),
    "Uses of pairs": (uses.bbm92, uses.chsh, uses.teleportation, uses.through_stations),
}


def name_of(study: Study) -> str:
    """Return the name of a study: module and function."""
    return f"{study.__module__.rpartition('.')[2]}.{study.__name__}"


STUDIES: dict[str, Study] = {name_of(study): study for studies in TOPICS.values() for study in studies}


def run(name: str, share: float) -> list[Row]:
    """Run a study by its name."""
    return STUDIES[name](share)

"""Which level of detail and which engine a link may have."""

from typing import NamedTuple

from qstrata.core.errors import InputError
from qstrata.network.description import DECOY_BB84, NATIVE, Link

CLICKS = "clicks"
FIRST_KEY_BITS = 8192
"""A link at level `clicks` is given so much key at least: half of it authenticates its first blocks."""
CLICKS_MAX = 1 << 24
"""A block at level `clicks` has so many clicks at most: its ends hold about 20 bytes for each of them."""


class LongBlock(NamedTuple):
    """Say that the key of a block never fits into the pool of its link; one of `block_s` would, if not 0."""

    text: str
    block_s: int


def long_block(link: Link) -> LongBlock | None:
    """Say what is wrong with a link whose blocks never fit into its pool; None if they do."""
    if link.engine != NATIVE:
        return None
    from qstrata.strata.forwarding.resource.pool import POOL_BITS_MAX

    parameters = link.link_parameters
    protocol = parameters.protocol
    expected = protocol.expected_counts(parameters, parameters.pulse_rate_hz * link.block_s)
    length = protocol.key_length(expected, parameters).length_bits
    if length <= POOL_BITS_MAX:
        return None
    # A tenth is left for chance.
    block_s = int(link.block_s * POOL_BITS_MAX * 0.9 / length)
    cure = f"block-s {block_s} or less" if block_s else "a lower pulse-rate-hz"
    text = f"link {link.name}: a block of {link.block_s} s makes {length:.3g} bits of key, "
    return LongBlock(f"{text}and the pool of a link takes {POOL_BITS_MAX}: give {cure}", block_s)


def check_level(link: Link) -> None:
    """Refuse a level of detail or an engine that a link cannot have; InputError says what to change."""
    if link.level != CLICKS:
        return
    if link.protocol != DECOY_BB84:
        raise InputError(f"level `clicks` is for {DECOY_BB84}, {link.protocol} has none: give level `counts`")
    if link.engine != NATIVE:
        raise InputError(f"level `clicks` is for engine `native`, not {link.engine!r}: change either")
    if link.initial_key_bits < FIRST_KEY_BITS:
        raise InputError(
            f"level `clicks` needs initial-key-bits from {FIRST_KEY_BITS}, not {link.initial_key_bits}: "
            "they authenticate the first blocks"
        )
    # Numbers are for links at this level alone: commands that read no such file must not wait for numpy.
    from qstrata.physics.parameters import decoy
    from qstrata.physics.postprocessing.verification import collision_bound

    parameters = decoy(link.link_parameters)
    least = collision_bound(CLICKS_MAX // 8)
    if parameters.eps_cor < least:
        raise InputError(
            f"eps-cor {parameters.eps_cor:g} is more than the hashes of level `clicks` can tell: "
            f"give {least:.1g} or more"
        )
    pulses = parameters.pulse_rate_hz * link.block_s
    clicks = parameters.protocol.expected_counts(parameters, pulses).detections
    if clicks > CLICKS_MAX:
        raise InputError(
            f"a block of {link.block_s} s has {clicks:.3g} clicks, level `clicks` takes {CLICKS_MAX}: "
            "give a shorter block-s, or level `counts`"
        )

"""What the tally of a block proves: how much secret key, and what that rests on."""

import msgspec


class KeyEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a block proves of whichever protocol.

    `leakage_bits` told in error correction, `length_bits` of secret key, `qber` of the raw key: None where it
    is empty, or where its bits are not compared.
    """

    leakage_bits: int
    length_bits: int
    qber: float | None


class PhotonEstimate(KeyEstimate, frozen=True, kw_only=True):
    """Hold what a block of counted clicks proves.

    `s_z0_lower`, `s_z1_lower`: at least so many bits of the raw key came from pulses without and with
    one photon; `phase_error_upper`: at most this phase error rate of the latter (0 to 1/2).
    """

    s_z0_lower: float
    s_z1_lower: float
    phase_error_upper: float


class GaussianEstimate(KeyEstimate, frozen=True, kw_only=True):
    """Hold what a block of measured quadratures proves.

    The channel has at least `transmittance_lower`, and at most `excess_noise_upper` in units of shot noise.
    """

    transmittance_lower: float
    excess_noise_upper: float

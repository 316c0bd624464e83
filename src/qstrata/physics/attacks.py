"""What attacks on a decoy-state BB84 link change in the clicks of its receiver.

The link without attacks is that of `decoy_bb84`. Attacks are shares of the pulses (0 to 1) in
`LinkParameters`; each leaves the rate of signal clicks as it was where it can, so that only finer instruments
betray it:

- intercept-resend: Eve measures in a basis of her own and re-sends her result in that basis.
- photon-number splitting: Eve counts photons without disturbing them, keeps one of several and brings the
  others to the receiver without loss, and blocks single photons as long as signal pulses click as often as
  before. Brassard et al., Phys. Rev. Lett. 85, 1330 (2000); Lo, Ma, Chen, Phys. Rev. Lett. 94, 230504 (2005).
- blinding: bright light makes the detectors click when Eve wants, and only in her basis, which she draws as
  the receiver does; dark counts and double clicks are gone. Lydersen et al., Nature Photonics 4, 686 (2010).
- a tap takes a share of the light, Raman photons are background: `LinkParameters.eta`, `.background`.

Attacks on the devices themselves are in `side_channels`.
"""

import math
from typing import TypeVar

import msgspec

from qstrata.physics.decoy_bb84 import BACKGROUND_ERROR, error_gain, gain, intercepted_error
from qstrata.physics.parameters import KeyLinkParameters, LinkParameters

P = TypeVar("P", bound=KeyLinkParameters)

ATTACK_SHARES = (
    "intercept_resend_share",
    "splitting_share",
    "blinding_share",
    "tap_share",
    "mismatch_share",
    "time_shift_share",
    "trojan_photons",
)
"""The parameters in which attacks are given; a protocol has those that it can be under."""

Cells = tuple[float, float, float, float, float, float]
"""Probabilities of Z correct, Z error, X correct, X error, bases differ with receiver in Z, in X."""


def click_cells(parameters: LinkParameters, intensity: float) -> Cells:
    """Return how probable each kind of click is for a pulse of that mean photon number."""
    z, x = parameters.sender_z_probability, 1.0 - parameters.sender_z_probability
    z_bob, x_bob = parameters.receiver_z_probability, 1.0 - parameters.receiver_z_probability
    clicks, errors = split_gains(parameters, intensity)
    honest = _cells(clicks, errors, z * z_bob, x * x_bob, x * z_bob, z * x_bob)
    share = parameters.blinding_share
    if not share:
        return honest
    forced = _blinded_gain(parameters, intensity)
    wrong = parameters.e_d * forced
    blinded = _cells(forced, wrong, z * z_bob**2, x * x_bob**2, x * z_bob**2, z * x_bob**2)
    kept = (share * theirs + (1.0 - share) * ours for ours, theirs in zip(honest, blinded, strict=True))
    z_ok, z_bad, x_ok, x_bad, differ_z, differ_x = kept
    return z_ok, z_bad, x_ok, x_bad, differ_z, differ_x


def split_gains(parameters: LinkParameters, intensity: float) -> tuple[float, float]:
    """Return the clicks and the errors per pulse, equal bases assumed, under all attacks but blinding."""
    eta, background = parameters.eta, parameters.background
    e_d = intercepted_error(parameters.e_d, parameters.intercept_resend_share)
    clicks = gain(eta, intensity, background)
    errors = error_gain(eta, intensity, background, e_d)
    share = parameters.splitting_share
    if not share:
        return clicks, errors
    signal = -math.expm1(-eta * parameters.signal_intensity)
    multi = _multi_photon_gain(parameters, parameters.signal_intensity)
    passed = _single_photon_gain(parameters, parameters.signal_intensity)
    throttle = min(1.0, signal / multi) if multi > 0.0 else 0.0
    singles = min(1.0, max(0.0, signal - multi) / passed) if passed > 0.0 else 0.0
    photons = throttle * _multi_photon_gain(parameters, intensity)
    photons += singles * _single_photon_gain(parameters, intensity)
    split_clicks = background + photons
    split_errors = BACKGROUND_ERROR * background + e_d * photons
    return share * split_clicks + (1.0 - share) * clicks, share * split_errors + (1.0 - share) * errors


def double_click_probability(parameters: LinkParameters) -> float:
    """Return how often both detectors of the receiver click, per pulse of any intensity and basis.

    Photons of a coherent pulse reach the two detectors independently, each of which has half the background;
    in unequal bases half the photons go to either. Blinded detectors never do. Splitting is taken to leave
    the doubles of the light as they were.
    """
    z, z_bob = parameters.sender_z_probability, parameters.receiver_z_probability
    equal = z * z_bob + (1.0 - z) * (1.0 - z_bob)
    e_d = intercepted_error(parameters.e_d, parameters.intercept_resend_share)
    half = parameters.background / 2.0
    doubles = 0.0
    for intensity, probability in zip(
        parameters.intensities, parameters.intensity_probabilities, strict=True
    ):
        mean = parameters.eta * intensity
        right, wrong = _click(mean * (1.0 - e_d), half), _click(mean * e_d, half)
        doubles += probability * (equal * right * wrong + (1.0 - equal) * _click(mean / 2.0, half) ** 2)
    return (1.0 - parameters.blinding_share) * doubles


def unattacked(parameters: P) -> P:
    """Return the link as it was commissioned, without attacks."""
    under = [share for share in ATTACK_SHARES if share in parameters.__struct_fields__]
    return msgspec.structs.replace(parameters, **dict.fromkeys(under, 0.0))


def _cells(
    clicks: float, errors: float, both_z: float, both_x: float, differ_z: float, differ_x: float
) -> Cells:
    right = clicks - errors
    return (
        both_z * right,
        both_z * errors,
        both_x * right,
        both_x * errors,
        differ_z * clicks,
        differ_x * clicks,
    )


def _click(mean_photons: float, background: float) -> float:
    return 1.0 - math.exp(-mean_photons) * (1.0 - background)


def _blinded_gain(parameters: LinkParameters, intensity: float) -> float:
    """Return the clicks that Eve forces when her basis is the receiver's.

    She measures every pulse that has a photon, and passes on so many that signal clicks keep their rate.
    """
    z_bob = parameters.receiver_z_probability
    her_basis = z_bob**2 + (1.0 - z_bob) ** 2
    seen = -math.expm1(-parameters.signal_intensity)
    wanted = gain(parameters.eta, parameters.signal_intensity, parameters.background)
    return min(1.0, wanted / (her_basis * seen)) * -math.expm1(-intensity)


def _single_photon_gain(parameters: LinkParameters, intensity: float) -> float:
    return parameters.eta * intensity * math.exp(-intensity)


def _multi_photon_gain(parameters: LinkParameters, intensity: float) -> float:
    """Return the clicks of pulses of n >= 2 photons of which n - 1 reach the receiver without loss.

    The sum over n of P(n) (1 - (1 - eta_Bob)^(n - 1)), in closed form.
    """
    miss = 1.0 - parameters.eta_bob
    none_or_one = math.exp(-intensity) * (1.0 + intensity)
    if miss <= 0.0:
        return 1.0 - none_or_one
    missed = (math.exp(-intensity * parameters.eta_bob) - math.exp(-intensity)) / miss
    return 1.0 - none_or_one - (missed - intensity * math.exp(-intensity))

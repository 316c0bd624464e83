"""Decoy-state BB84 in the limit of infinitely many pulses.

Source of all formulas: X. Ma, B. Qi, Y. Zhao, H.-K. Lo, "Practical decoy state for quantum key
distribution", Phys. Rev. A 72, 012326 (2005), with its model Y_n = Y_0 + 1 - (1 - eta)^n.

Symbols: `eta` is the transmittance from the sender's output to a click (0 to 1), `y0` the background
yield per pulse, `e_d` the probability that a detected photon hits the wrong detector, `mu` and `nu`
mean photon numbers per pulse of signal and weak decoy, `f` the error-correction efficiency (>= 1),
`q` the share of detections that is sifted into key. Rates are bits per emitted pulse.
"""

import math

BACKGROUND_ERROR = 0.5
"""Error rate of a background click, e_0: it falls on either detector alike."""


def binary_entropy(probability: float) -> float:
    """Return h(p) = -p log2 p - (1 - p) log2 (1 - p) in bits, for p in [0, 1]."""
    if probability <= 0.0 or probability >= 1.0:
        return 0.0
    return -probability * math.log2(probability) - (1.0 - probability) * math.log2(1.0 - probability)


def gain(eta: float, intensity: float, y0: float) -> float:
    """Return Q, the probability that a pulse of mean photon number `intensity` gives a click."""
    return y0 - math.expm1(-eta * intensity)


def error_gain(eta: float, intensity: float, y0: float, e_d: float) -> float:
    """Return E Q, the probability that a pulse gives a click with the wrong bit, equal bases assumed."""
    return BACKGROUND_ERROR * y0 - e_d * math.expm1(-eta * intensity)


def qber(eta: float, intensity: float, y0: float, e_d: float) -> float:
    """Return E, the error rate of the sifted clicks of one intensity; e_0 where nothing clicks."""
    clicks = gain(eta, intensity, y0)
    return error_gain(eta, intensity, y0, e_d) / clicks if clicks > 0.0 else BACKGROUND_ERROR


def single_photon_yield(eta: float, y0: float) -> float:
    """Return Y_1, the probability that a pulse of exactly one photon gives a click."""
    return y0 + eta


def single_photon_error(eta: float, y0: float, e_d: float) -> float:
    """Return e_1, the error rate of the clicks of single-photon pulses."""
    return (BACKGROUND_ERROR * y0 + e_d * eta) / single_photon_yield(eta, y0)


def gllp_rate(
    mu: float, q_mu: float, e_mu: float, y1: float, e1: float, q: float = 0.5, f: float = 1.22
) -> float:
    """Return the key rate R = q {-Q_mu f h(E_mu) + Y_1 mu e^-mu [1 - h(e_1)]}, 0 where negative."""
    single_photons = y1 * mu * math.exp(-mu)
    return max(0.0, q * (single_photons * (1.0 - binary_entropy(e1)) - q_mu * f * binary_entropy(e_mu)))


def asymptotic_rate(eta: float, mu: float, y0: float, e_d: float, q: float = 0.5, f: float = 1.22) -> float:
    """Return the key rate with infinitely many decoy intensities, where Y_1 and e_1 are known exactly."""
    return gllp_rate(
        mu,
        gain(eta, mu, y0),
        qber(eta, mu, y0, e_d),
        single_photon_yield(eta, y0),
        single_photon_error(eta, y0, e_d),
        q,
        f,
    )


def single_photon_yield_lower(mu: float, nu: float, q_mu: float, q_nu: float, y0: float) -> float:
    """Bound Y_1 from below by a vacuum and a weak decoy, 0 < nu < mu; 0 where the bound is negative."""
    multi_photon = q_mu * math.exp(mu) * (nu / mu) ** 2
    vacuum = y0 * (mu**2 - nu**2) / mu**2
    return max(0.0, mu / (mu * nu - nu**2) * (q_nu * math.exp(nu) - multi_photon - vacuum))


def single_photon_error_upper(nu: float, q_nu: float, e_nu: float, y0: float, y1_lower: float) -> float:
    """Bound e_1 from above by a vacuum and a weak decoy; at most 1/2, which stands for no knowledge."""
    if y1_lower <= 0.0:
        return 0.5
    return min(0.5, (e_nu * q_nu * math.exp(nu) - BACKGROUND_ERROR * y0) / (y1_lower * nu))


def vacuum_weak_rate(
    eta: float, mu: float, nu: float, y0: float, e_d: float, q: float = 0.5, f: float = 1.22
) -> float:
    """Return the key rate that a vacuum and a weak decoy of intensity `nu` < `mu` can prove."""
    q_mu, q_nu = gain(eta, mu, y0), gain(eta, nu, y0)
    y1_lower = single_photon_yield_lower(mu, nu, q_mu, q_nu, y0)
    e1_upper = single_photon_error_upper(nu, q_nu, qber(eta, nu, y0, e_d), y0, y1_lower)
    return gllp_rate(mu, q_mu, qber(eta, mu, y0, e_d), y1_lower, e1_upper, q, f)


def intercepted_error(e_d: float, share: float) -> float:
    """Return the error rate of detected photons when Eve intercepts and re-sends a `share` of the pulses.

    She measures each in a basis of her own, drawn evenly, and re-sends her result in that basis with
    the photon number she found, so that gains stay as they were. Half her bases are wrong and half the
    bits of those flip: an independent flip of probability share/4 on top of the misalignment `e_d`.
    A perfectly aligned link thus shows a QBER of exactly share/4.
    """
    flip = share / 4.0
    return e_d * (1.0 - flip) + (1.0 - e_d) * flip


def plob_bound(eta: float) -> float:
    """Return -log2(1 - eta), the most secret bits per mode that a lossy channel can carry.

    Source: Pirandola, Laurenza, Ottaviani, Banchi, Nature Communications 8, 15043 (2017). Infinite at eta 1.
    """
    return math.inf if eta >= 1.0 else -math.log1p(-eta) / math.log(2)

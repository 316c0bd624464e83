"""Key from Gaussian-modulated coherent states with reverse reconciliation (continuous-variable QKD).

Sources: S. Fossier, E. Diamanti, T. Debuisschert, R. Tualle-Brouri, P. Grangier, J. Phys. B 42, 114014 (2009)
(mutual information and Holevo bound with a receiver that is trusted, homodyne and heterodyne); A. Leverrier,
F. Grosshans, P. Grangier, Phys. Rev. A 81, 062343 (2010) (finite size); J. Lodewyck et al., Phys. Rev. Lett.
98, 030503 (2007) (intercept-resend).

All variances are in units of shot noise. `variance` is that of the modulation of each quadrature, T the
transmittance of the channel, `excess_noise` refers to its input. A receiver of efficiency `eta` and
electronic noise `v_el` measures one quadrature (homodyne) or, behind a balanced beam splitter, both
(heterodyne).
"""

import math
from typing import NamedTuple

INTERCEPT_RESEND_NOISE = 2.0
"""Excess noise where Eve measures both quadratures of every symbol and sends what she measured."""

DARK = 1e-100
"""What passes no more of the light is taken as dark: figures of such a channel cannot be computed."""


class Receiver(NamedTuple):
    """A coherent receiver: 1 (homodyne) or 2 (heterodyne) `quadratures`; what is `trusted` is not Eve's."""

    quadratures: int
    eta: float
    v_el: float
    trusted: bool

    def gain(self, transmittance: float) -> float:
        """Return what a quadrature is multiplied by from modulator to result (>= 0)."""
        return math.sqrt(self.eta * transmittance / self.quadratures)

    def noise(self, transmittance: float, excess_noise: float) -> float:
        """Return the variance of a result about the quadrature that was sent (>= 1)."""
        return 1.0 + self.v_el + self.eta * transmittance * excess_noise / self.quadratures

    def channel(self, gain: float, noise: float) -> tuple[float, float]:
        """Return transmittance and excess noise that give this gain > 0 and noise, each in its range."""
        transmittance = min(1.0, self.quadratures * gain**2 / self.eta)
        excess = self.quadratures * (noise - 1.0 - self.v_el) / (self.eta * transmittance)
        return transmittance, max(0.0, excess)


def mutual_information(variance: float, transmittance: float, excess_noise: float, by: Receiver) -> float:
    """Return the bits that both ends have in common for each symbol."""
    signal = by.gain(transmittance) ** 2 * variance
    return by.quadratures / 2.0 * math.log2(1.0 + signal / by.noise(transmittance, excess_noise))


def holevo_bound(variance: float, transmittance: float, excess_noise: float, by: Receiver) -> float:
    """Return the bits for each symbol that Eve knows of the receiver's result at most (>= 0).

    Collective attacks; 0 for a dark channel. What is not trusted of the receiver counts as part of it.
    """
    if transmittance <= DARK:
        return 0.0
    if not by.trusted:
        lost = by.quadratures * by.v_el / (transmittance * by.eta)
        ideal = Receiver(by.quadratures, 1.0, 0.0, trusted=True)
        return holevo_bound(variance, transmittance * by.eta, excess_noise + lost, ideal)
    v, t = variance + 1.0, transmittance
    line = 1.0 / t - 1.0 + excess_noise
    a = v**2 * (1.0 - 2.0 * t) + 2.0 * t + (t * (v + line)) ** 2
    root_b = t * (v * line + 1.0)
    if by.quadratures == 1:
        own = (1.0 - by.eta + by.v_el) / by.eta
        all_noise = t * (v + line) + own
        c = (a * own + v * root_b + t * (v + line)) / all_noise
        d = root_b * (v + root_b * own) / all_noise
    else:
        own = (2.0 - by.eta + 2.0 * by.v_el) / by.eta
        all_noise = t * (v + line) + own
        c = a * own**2 + root_b**2 + 1.0 + 2.0 * own * (v * root_b + t * (v + line)) + 2.0 * t * (v**2 - 1.0)
        c /= all_noise**2
        d = ((v + root_b * own) / all_noise) ** 2
    known = _entropy(a, root_b**2) - _entropy(c, d)
    return max(0.0, known)


def reconciled(common: float, by: Receiver, beta: float) -> float:
    """Return the bits of a symbol that reconciliation gives: a quadrature is read as its sign, one bit."""
    return min(beta * common, float(by.quadratures))


def devetak_winter(
    variance: float, transmittance: float, excess_noise: float, by: Receiver, beta: float
) -> float:
    """Return what is reconciled of beta I, less chi: the key of a symbol of a block without end.

    Negative where there is none.
    """
    if transmittance <= DARK:
        return 0.0
    common = mutual_information(variance, transmittance, excess_noise, by)
    return reconciled(common, by, beta) - holevo_bound(variance, transmittance, excess_noise, by)


def smoothing_loss(quadratures: int, symbols: float, eps: float) -> float:
    """Return the part of Delta(n) that smoothing takes of each symbol, in bits (Leverrier et al. 2010).

    (2 dim H + 3) sqrt(log2(2/eps)/n): a quadrature is read as its sign, a symbol of two has dimension 4.
    """
    return (2.0 * 2.0**quadratures + 3.0) * math.sqrt(math.log2(2.0 / eps) / symbols)


def _entropy(total: float, product: float) -> float:
    """Return the entropy in bits of two modes: sum and product of the squared symplectic eigenvalues."""
    root = math.sqrt(max(0.0, total**2 - 4.0 * product))
    larger = (total + root) / 2.0
    # Their product is known: the difference would cancel.
    return _of_mode(larger) + _of_mode(product / larger)


def _of_mode(square: float) -> float:
    x = (math.sqrt(max(1.0, square)) - 1.0) / 2.0
    return (x + 1.0) * math.log2(x + 1.0) - x * math.log2(x) if x > 0.0 else 0.0

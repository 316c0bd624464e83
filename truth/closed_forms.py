"""Closed forms, written out from the papers with nothing of ours: what the runs are held against."""

import math

import numpy as np
from scipy import integrate

MA = "Ma et al. 2005"


def h(p: float) -> float:
    """Return the binary entropy in bits."""
    return 0.0 if p in (0.0, 1.0) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def gain(eta: float, mu: float, y0: float) -> float:
    """Return Q = Y0 + 1 - e^(-eta mu)."""
    return y0 + 1 - math.exp(-eta * mu)


def qber(eta: float, mu: float, y0: float, e_d: float) -> float:
    """Return E = (Y0/2 + e_d (1 - e^(-eta mu)))/Q."""
    return (y0 / 2 + e_d * (1 - math.exp(-eta * mu))) / gain(eta, mu, y0)


def poisson(n: int, mean: float) -> float:
    """Return the probability of n photons."""
    return math.exp(-mean) * mean**n / math.factorial(n)


def weak_decoy(
    gains: tuple[float, float], qber_weak: float, y0: float, mu: float, nu: float
) -> tuple[float, float]:
    """Return the bounds of Y1 and e1 by a vacuum and a weak decoy (Ma et al. 2005, equations 34 and 37)."""
    q_mu, q_nu = gains
    y1 = q_nu * math.exp(nu) - q_mu * math.exp(mu) * nu**2 / mu**2 - (mu**2 - nu**2) / mu**2 * y0
    y1 *= mu / (mu * nu - nu**2)
    return y1, (qber_weak * q_nu * math.exp(nu) - y0 / 2) / (y1 * nu)


def split_gain(eta: float, eta_bob: float, signal: float, mean: float) -> float:
    """Return the clicks by light of pulses that Eve splits, summed over photon numbers.

    She keeps one of n >= 2 photons and brings the others without loss to the receiver; single photons pass as
    before, or are blocked as long as signal pulses then click as often as without her.
    """

    def multi(mu: float) -> float:
        return sum(poisson(n, mu) * (1 - (1 - eta_bob) ** (n - 1)) for n in range(2, 60))

    wanted = 1 - math.exp(-eta * signal)
    throttle = min(1.0, wanted / multi(signal))
    singles = max(0.0, wanted - multi(signal)) / (eta * poisson(1, signal))
    return throttle * multi(mean) + min(1.0, singles) * eta * poisson(1, mean)


def double_clicks(eta: float, mean: float, e_d: float, equal_bases: float) -> float:
    """Return how often both detectors click, summed over photon numbers, without background."""
    doubles = 0.0
    for n in range(1, 40):
        for wrong, share in ((e_d, equal_bases), (0.5, 1 - equal_bases)):
            doubles += share * poisson(n, eta * mean) * (1 - wrong**n - (1 - wrong) ** n)
    return doubles


def raman_power_w(launch_w: float, length_km: float, per_km: float, cross: float, *, co: bool) -> float:
    """Return the scattered power at the receiver: the integral along the fibre, by quadrature."""

    def at(z: float) -> float:
        """Return what is scattered at z km from the channel's entry and reaches the receiver."""
        rest = length_km - z if co else z
        return math.exp(-per_km * z) * cross * math.exp(-per_km * rest)

    return launch_w * float(integrate.quad(at, 0.0, length_km, epsabs=0.0, epsrel=1e-10)[0])


def werner(fidelity: float) -> float:
    """Return w = (4F - 1)/3."""
    return (4 * fidelity - 1) / 3


def chain(fidelity: float, links: int) -> float:
    """Return (1 + 3 w^n)/4."""
    return (1 + 3 * werner(fidelity) ** links) / 4


def bbpssw(f: float) -> tuple[float, float]:
    """Return fidelity and probability of BBPSSW on two Werner pairs (Bennett et al. 1996)."""
    rest = (1 - f) / 3
    p = f**2 + 2 * f * rest + 5 * rest**2
    return (f**2 + rest**2) / p, p


def attempts_of_all(links: int, p: float) -> float:
    """Return E[max] = sum (-1)^(k+1) C(n,k)/(1 - (1-p)^k)."""
    return sum((-1) ** (k + 1) * math.comb(links, k) / (1 - (1 - p) ** k) for k in range(1, links + 1))


def attempts_with_cutoff(p: float, m: int) -> float:
    """Return the mean attempts of two links, where one waits for m attempts at most."""
    r, s = 1 - (1 - p) ** 2, 1 - (1 - p) ** m
    alone = s * 2 * p * (1 - p) / r
    return (1 / r + alone / p) / (p**2 / r + alone)


def mean_decay_of_waiting(p: float, factor: float) -> float:
    """Return E[factor^|N1 - N2|] of two geometric variables."""
    q = 1 - p
    return p / (2 - p) * (1 + q * factor) / (1 - q * factor)


def damped(f0: float, wait: float, t1: float, t2: float, sign: int) -> float:
    """Return the fidelity after both qubits of a pair waited with T1 and T2; `sign` 1 for Phi, -1 for Psi."""
    w, g = werner(f0), 1 - math.exp(-wait / t1)
    return (1 + w * (1 - g) ** 2 + sign * g * g) / 4 + w / 2 * math.exp(-2 * wait / t2)


def dead_time(clicks: float, dead: int) -> float:
    """Return m = n/(1 + n tau) of each of two detectors, in clicks per pulse of both."""
    each = clicks / 2
    return 2 * each / (1 + each * dead)


def normal_share(window: float, fwhm: float, seed: int, draws: int) -> tuple[float, float]:
    """Return how many of normal instants fall into a window, by drawing them, and its standard error."""
    generator = np.random.Generator(np.random.PCG64(seed))
    instants = generator.normal(0.0, fwhm / 2.3548200450309493, draws)
    share = float(np.mean(np.abs(instants) <= window / 2))
    return share, math.sqrt(share * (1 - share) / draws)


def pumped(fidelity: float, rounds: int, *, deutsch: bool) -> tuple[float, float]:
    """Return the fidelity of a Werner pair after rounds on fresh ones, and how many pairs that takes.

    Coefficients are those of Phi+, Psi-, Psi+, Phi- (Deutsch et al. 1996, equation 7, of unequal pairs);
    without `deutsch`, pairs are made Werner states before each round (Bennett et al. 1996).
    """
    fresh = (fidelity, *[(1 - fidelity) / 3] * 3)
    kept, cost = fresh, 1.0
    for _ in range(rounds):
        (a, b, c, d), (e, f, g, k) = kept, fresh
        if deutsch:
            weights = (a * e + b * f, c * k + d * g, c * g + d * k, a * f + b * e)
            p = sum(weights)
            kept = (weights[0] / p, weights[1] / p, weights[2] / p, weights[3] / p)
        else:
            one, other = (1 - a) / 3, (1 - e) / 3
            p = a * e + a * other + one * e + 5 * one * other
            better = (a * e + one * other) / p
            kept = (better, *[(1 - better) / 3] * 3)
        cost = (cost + 1) / p
    return kept[0], cost

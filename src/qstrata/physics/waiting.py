"""How long heralding takes, in attempts: the best links in closed form, for planners and tests."""

import math

from qstrata.core.errors import InputError

LINKS_MAX = 20
"""Beyond so many links the alternating sum loses its digits; sample `qstrata.physics.chain` instead."""


def mean_attempts_of_all(links: int, probability: float) -> float:
    """Return the mean number of attempts until all of n parallel links have a pair, each kept for ever.

    E[max] = sum over k of (-1)^(k+1) C(n, k)/(1 - (1 - p)^k), n from 1 to 20, p in (0, 1]; InputError
    outside. Source: Collins, Jenkins, Kuzmich, Kennedy, Phys. Rev. Lett. 98, 060502 (2007); Bernardes,
    Praxmeyer, van Loock, Phys. Rev. A 83, 012323 (2011).
    """
    _check(probability)
    if not 1 <= links <= LINKS_MAX:
        raise InputError(f"{links} links: the closed form covers 1 to {LINKS_MAX}")
    terms = (
        (-1) ** (k + 1) * math.comb(links, k) / _at_least_one(k, probability) for k in range(1, links + 1)
    )
    return math.fsum(terms)


def mean_attempts_with_cutoff(probability: float, cutoff_attempts: int) -> float:
    """Return the mean number of attempts until two links have a pair, where one waits m attempts at most.

    With r = 1 - (1-p)^2 and s = 1 - (1-p)^m: E = [1/r + s (2p(1-p)/r)/p] / [p^2/r + s 2p(1-p)/r]; m >= 1.
    Source: renewal of rounds, as in Collins et al., Phys. Rev. Lett. 98, 060502 (2007).
    """
    _check(probability)
    if cutoff_attempts < 1:
        raise InputError(f"cut-off of {cutoff_attempts} attempts: give at least 1")
    either = _at_least_one(2, probability)
    other = _at_least_one(cutoff_attempts, probability)
    one_alone = 2.0 * probability * (1.0 - probability) / either
    round_attempts = 1.0 / either + other * one_alone / probability
    return round_attempts / (probability**2 / either + other * one_alone)


def _at_least_one(trials: int, probability: float) -> float:
    return 1.0 if probability == 1.0 else -math.expm1(trials * math.log1p(-probability))


def _check(probability: float) -> None:
    if not 0.0 < probability <= 1.0:
        raise InputError(f"success probability {probability!r}: give a number above 0, at most 1")

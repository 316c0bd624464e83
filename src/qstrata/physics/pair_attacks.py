"""Entanglement substitution on a pair link, and what its test measurements say of it.

For a share s of the pairs Eve sends separable ones of her own: product states in Z and in X, half and half,
so that both bases err alike. Their correlators are (1/2, 0, 1/2), their fidelity is 1/2. The CHSH value of
the settings Z and X and the two between them is sqrt2 (xx + zz): of Werner pairs it falls to
(1 - s) 2 sqrt2 w + s sqrt2, and the error rates of BBM92 rise to (1 - s)(1 - w)/2 + s/4.
"""

import math

import msgspec

from qstrata.physics.bell import BellDiagonal, BellState, qber
from qstrata.physics.monitors import FALSE_ALARM, Reading, divergence, power_of

CHSH_GAME, PAIR_QBER_Z, PAIR_QBER_X = "CHSH game", "pair error rate in Z", "pair error rate in X"


class PairCounts(msgspec.Struct, frozen=True):
    """What both ends of a circuit compared: (trials, hits) of each test.

    `chsh` counts the pairs measured in settings of the test, and those whose product has the sign that the
    setting wants; `z` and `x` those measured in one basis at both ends, and those that differ.
    """

    chsh: tuple[float, float]
    z: tuple[float, float] = (0.0, 0.0)
    x: tuple[float, float] = (0.0, 0.0)


def substitute(frame: BellState = BellState.PHI_PLUS) -> BellDiagonal:
    """Return the separable state that Eve gives in place of a pair of that frame."""
    return BellDiagonal(0.5, 0.0, 0.5, frame)


def substituted(state: BellDiagonal, share: float) -> BellDiagonal:
    """Return the mean state of pairs of which a share (0 to 1) was substituted."""
    eve, kept = substitute(), 1.0 - share
    return BellDiagonal(
        kept * state.xx + share * eve.xx,
        kept * state.yy + share * eve.yy,
        kept * state.zz + share * eve.zz,
        state.frame,
    )


def chsh_of_settings(state: BellDiagonal) -> float:
    """Return the CHSH value of the settings Z and X at one end, the two between them at the other."""
    return math.sqrt(2.0) * (state.xx + state.zz)


def pair_readings(counts: PairCounts, expected: BellDiagonal) -> tuple[Reading, ...]:
    """Return what every test says of pairs that should be `expected`; one without a trial says nothing.

    Of a test in uniformly drawn settings a share of 1/2 + S/8 has the sign that the setting wants (Clauser,
    Horne, Shimony, Holt, Phys. Rev. Lett. 23, 880 (1969), as a game).
    """
    found = []
    for (name, share), (trials, hits) in zip(
        _shares(expected), (counts.chsh, counts.z, counts.x), strict=True
    ):
        if trials:
            seen = hits / trials
            found.append(Reading(name, trials, seen, share, trials * divergence(seen, share)))
    return tuple(found)


def pair_findings(
    counts: PairCounts, expected: BellDiagonal, false_alarm: float = FALSE_ALARM
) -> tuple[Reading, ...]:
    """Return the readings that honest pairs give no more often than `false_alarm`, worst first."""
    limit = math.log(2.0 / false_alarm)
    found = [reading for reading in pair_readings(counts, expected) if reading.deviance >= limit]
    return tuple(sorted(found, key=lambda reading: -reading.deviance))


def pair_power(
    expected: BellDiagonal, share: float, counts: PairCounts, false_alarm: float = FALSE_ALARM
) -> dict[str, float]:
    """Return how probable it is that each test raises an alarm if that share of the pairs is substituted.

    Of `counts` the trials alone are used.
    """
    trials = (counts.chsh[0], counts.z[0], counts.x[0])
    shares = zip(_shares(expected), _shares(substituted(expected, share)), trials, strict=True)
    return {
        name: power_of(tried, honest, attacked, false_alarm)
        for (name, honest), (_, attacked), tried in shares
        if tried
    }


def _shares(state: BellDiagonal) -> tuple[tuple[str, float], ...]:
    z, x = qber(state)
    return (CHSH_GAME, 0.5 + chsh_of_settings(state) / 8.0), (PAIR_QBER_Z, z), (PAIR_QBER_X, x)

"""Attacks on entangled pairs, and what test measurements say of them.

For a share s of the pairs Eve sends separable ones of her own: product states in Z and in X, half and half,
so that both bases err alike. Their correlators are (1/2, 0, 1/2), their fidelity is 1/2. The CHSH value of
the settings Z and X and the two between them is sqrt2 (xx + zz): of Werner pairs it falls to
(1 - s) 2 sqrt2 w + s sqrt2, and the error rates of BBM92 rise to (1 - s)(1 - w)/2 + s/4.

In memories Eve may apply a Pauli operator drawn from all four to a share of the stored qubits: each cell so
attacked leaves 1 - s of every correlator.
"""

import math

import msgspec

from qstrata.physics.bell import BellDiagonal, BellState, qber
from qstrata.physics.monitors import FALSE_ALARM, Reading, divergence, power_of

CHSH_GAME, PAIR_QBER_Z, PAIR_QBER_X = "CHSH game", "pair error rate in Z", "pair error rate in X"
PAIR_ERRORS = "pair error rate on all axes"


class PairCounts(msgspec.Struct, frozen=True):
    """What both ends of a circuit compared: (trials, hits) of each test.

    `chsh` counts the pairs measured in settings of the test, and those whose product has the sign that the
    setting wants; `z`, `x` and `y` those measured along one axis at both ends, and those that differ.
    """

    chsh: tuple[float, float]
    z: tuple[float, float] = (0.0, 0.0)
    x: tuple[float, float] = (0.0, 0.0)
    y: tuple[float, float] = (0.0, 0.0)


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


def tampered(state: BellDiagonal, share: float, cells: int = 1) -> BellDiagonal:
    """Return the mean state of pairs with a share of the qubits attacked in each of so many cells."""
    kept = (1.0 - share) ** cells
    return BellDiagonal(kept * state.xx, kept * state.yy, kept * state.zz, state.frame)


def chsh_of_settings(state: BellDiagonal) -> float:
    """Return the CHSH value of the settings Z and X at one end, the two between them at the other."""
    return math.sqrt(2.0) * (state.xx + state.zz)


def pair_readings(counts: PairCounts, expected: BellDiagonal) -> tuple[Reading, ...]:
    """Return what every test says of pairs that should be `expected`; one without a trial says nothing.

    Of a test in uniformly drawn settings a share of 1/2 + S/8 has the sign that the setting wants (Clauser,
    Horne, Shimony, Holt, Phys. Rev. Lett. 23, 880 (1969), as a game). Where y is measured too, errors on all
    axes are read together: a share (3 - xx - yy - zz)/6 tells the fidelity if all are measured alike. The
    bound holds for trials with different shares (Hoeffding, J. Am. Stat. Assoc. 58, 13 (1963)).
    """
    found = []
    for name, share, (trials, hits) in _tests(counts, expected):
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


def is_worse(reading: Reading) -> bool:
    """Tell whether a reading is that of worse pairs than expected: fewer games won, or more errors."""
    fewer = reading.observed < reading.expected
    return fewer if reading.instrument == CHSH_GAME else not fewer


def pair_power(
    expected: BellDiagonal, share: float, counts: PairCounts, false_alarm: float = FALSE_ALARM
) -> dict[str, float]:
    """Return how probable it is that each test raises an alarm if that share of the pairs is substituted.

    Of `counts` the trials alone are used.
    """
    return power_between(expected, substituted(expected, share), counts, false_alarm)


def power_between(
    expected: BellDiagonal, attacked: BellDiagonal, counts: PairCounts, false_alarm: float = FALSE_ALARM
) -> dict[str, float]:
    """Return how probable it is that each test raises an alarm if pairs are `attacked`, not `expected`.

    Of `counts` the trials alone are used.
    """
    rows = zip(_tests(counts, expected), _tests(counts, attacked), strict=True)
    return {
        name: power_of(trials, honest, found, false_alarm)
        for (name, honest, (trials, _)), (_, found, _) in rows
        if trials
    }


def _tests(counts: PairCounts, state: BellDiagonal) -> tuple[tuple[str, float, tuple[float, float]], ...]:
    """Return every test with the share of hits in pairs of a state, its trials and its hits."""
    z, x = qber(state)
    axes = ((counts.z, z), (counts.x, x), (counts.y, (1.0 - state.yy) / 2.0))
    trials = math.fsum(tried for (tried, _), _ in axes) if counts.y[0] else 0.0
    hits = math.fsum(wrong for (_, wrong), _ in axes)
    mean = math.fsum(tried * share for (tried, _), share in axes) / trials if trials else 0.0
    return (
        (CHSH_GAME, 0.5 + chsh_of_settings(state) / 8.0, counts.chsh),
        (PAIR_QBER_Z, z, counts.z),
        (PAIR_QBER_X, x, counts.x),
        (PAIR_ERRORS, mean, (trials, hits)),
    )

"""What the instruments of a link say of attacks: tests of one block's counts.

Each instrument compares a number of clicks with what the commissioned link makes of it, as a share of trials:
of pulses, clicks or sifted bits. For k of n trials and the expected share p, P(as far off as k) is at most
2 e^-D with D = n KL(k/n || p), the Chernoff bound (T. M. Cover, J. A. Thomas, Elements of Information Theory,
2nd ed., chapter 11): an alarm above D = ln(2/alpha) is false with probability alpha at most, for every block
length. Powers are those of the normal approximation.
"""

import math
from collections.abc import Iterator

import msgspec

from qstrata.physics.attacks import unattacked
from qstrata.physics.counts import Counts, ExpectedCounts
from qstrata.physics.parameters import ClickLinkParameters

FALSE_ALARM = 1e-9
"""How often one instrument may raise a false alarm on one block; a link has 43,200 blocks of 60 s a month."""

QBER_Z, QBER_X = "error rate in Z", "error rate in X"
DECOY_RATIO = "share of weak decoys"
VACUUM_YIELD = "vacuum yield"
CLICK_RATE = "click rate"
BASIS_SHARE = "clicks in Z"
DOUBLE_CLICKS = "double clicks"
BIT_SHARE = "clicks of bit 1"
ARRIVALS = "clicks off centre"
INCOMING_LIGHT = "light into the transmitter"
INSTRUMENTS = (
    QBER_Z,
    QBER_X,
    DECOY_RATIO,
    VACUUM_YIELD,
    CLICK_RATE,
    BASIS_SHARE,
    DOUBLE_CLICKS,
    BIT_SHARE,
    ARRIVALS,
    INCOMING_LIGHT,
)
_RATE = INSTRUMENTS.index(CLICK_RATE)
_RATE_TOLD = 3.0
"""Above this deviance of the click rate the loss is taken from it."""


class Reading(msgspec.Struct, frozen=True):
    """What one instrument says of a block: `observed` and `expected` shares of `trials`, and D."""

    instrument: str
    trials: float
    observed: float
    expected: float
    deviance: float

    @property
    def false_alarm(self) -> float:
        """Return how probable so much is, at most, on a link without attacks."""
        return min(1.0, 2.0 * math.exp(-self.deviance))


class Instruments:
    """Judge the counts of one link, which is known as it was commissioned; attacks in it are ignored.

    The click rate is held against the commissioned link, all else against that link at the loss which the
    click rate tells of: light that is lost changes error rates, and is no attack by itself.
    """

    def __init__(self, commissioned: ClickLinkParameters) -> None:
        self.link = unattacked(commissioned)
        self._shares = _shares_of(self.link)

    def readings(self, counts: Counts | ExpectedCounts) -> tuple[Reading, ...]:
        """Return what every instrument says of a block; one that saw no trial says nothing."""
        trials = tuple(_trials(counts))
        shares = self._shares
        rate = self._reading(trials[_RATE], shares[_RATE])
        if rate.deviance > _RATE_TOLD:
            shares = _shares_of(self._at_the_loss_of(rate.observed))
        return tuple(
            rate if index == _RATE else self._reading(row, shares[index])
            for index, row in enumerate(trials)
            if row[1]
        )

    def findings(self, counts: Counts, false_alarm: float = FALSE_ALARM) -> tuple[Reading, ...]:
        """Return the readings that an honest link gives no more often than `false_alarm`, worst first."""
        limit = math.log(2.0 / false_alarm)
        found = [reading for reading in self.readings(counts) if reading.deviance >= limit]
        return tuple(sorted(found, key=lambda reading: -reading.deviance))

    @staticmethod
    def _reading(row: tuple[str, float, float], share: float) -> Reading:
        name, trials, hits = row
        observed = hits / trials if trials else 0.0
        return Reading(name, trials, observed, share, trials * divergence(observed, share))

    def _at_the_loss_of(self, rate: float) -> ClickLinkParameters:
        """Return the link at the loss at which it clicks so often: by halving; no light for the rarest."""
        low, high = -60.0, 200.0
        if rate <= _rate_of(msgspec.structs.replace(self.link, loss_db=math.inf)):
            return msgspec.structs.replace(self.link, loss_db=math.inf)
        for _ in range(30):
            middle = (low + high) / 2.0
            if _rate_of(msgspec.structs.replace(self.link, loss_db=middle)) > rate:
                low = middle
            else:
                high = middle
        return msgspec.structs.replace(self.link, loss_db=(low + high) / 2.0)


def readings(counts: Counts, commissioned: ClickLinkParameters) -> tuple[Reading, ...]:
    """Return what every instrument says of one block, as `Instruments` does."""
    return Instruments(commissioned).readings(counts)


def findings(
    counts: Counts, commissioned: ClickLinkParameters, false_alarm: float = FALSE_ALARM
) -> tuple[Reading, ...]:
    """Return the findings of one block, as `Instruments` does."""
    return Instruments(commissioned).findings(counts, false_alarm)


def power(
    commissioned: ClickLinkParameters,
    attacked: ClickLinkParameters,
    pulses: float,
    false_alarm: float = FALSE_ALARM,
) -> dict[str, float]:
    """Return how probable it is that each instrument raises an alarm on one block under an attack."""
    instruments = Instruments(commissioned)
    truth = attacked.protocol.expected_counts(attacked, pulses)
    expected = (reading.expected for reading in instruments.readings(truth))
    powers = {}
    for (name, trials, mean), share in zip((row for row in _trials(truth) if row[1]), expected, strict=True):
        powers[name] = power_of(trials, share, mean / trials, false_alarm)
    return powers


def power_of(trials: float, expected: float, attacked: float, false_alarm: float = FALSE_ALARM) -> float:
    """Return how probable an alarm is if hits are a share `attacked` of the trials in place of `expected`."""
    low, high = _limits(trials, expected, math.log(2.0 / false_alarm))
    mean = trials * attacked
    spread = math.sqrt(mean * (1.0 - attacked))
    return _tail(low + 0.5, mean, spread) + 1.0 - _tail(high - 0.5, mean, spread)


def _trials(counts: Counts | ExpectedCounts) -> Iterator[tuple[str, float, float]]:
    """Yield every instrument with its trials and its hits."""
    n, m = counts.n, counts.m
    signal, weak = n[0][0] + n[1][0], n[0][1] + n[1][1]
    yield QBER_Z, sum(n[0]), sum(m[0])
    yield QBER_X, sum(n[1]), sum(m[1])
    yield DECOY_RATIO, signal + weak if counts.sent[1] else 0, weak
    # Devices that have not compared bases yet know of no clicks by intensity.
    yield VACUUM_YIELD, counts.sent[2] if signal + weak else 0, n[0][2] + n[1][2]
    yield CLICK_RATE, sum(counts.sent), counts.detections
    yield BASIS_SHARE, counts.detections, counts.clicks_z
    yield DOUBLE_CLICKS, sum(counts.sent), counts.double_clicks
    yield BIT_SHARE, counts.detections, counts.clicks_one
    yield ARRIVALS, counts.detections, counts.clicks_outer
    yield INCOMING_LIGHT, sum(counts.sent), counts.watch_clicks


def _shares_of(link: ClickLinkParameters) -> tuple[float, ...]:
    expected = link.protocol.expected_counts(link, 1.0)
    return tuple(hits / trials if trials else 0.0 for _, trials, hits in _trials(expected))


def _rate_of(link: ClickLinkParameters) -> float:
    return float(link.protocol.outcome_probabilities(link)[:, :-1].sum())


def divergence(observed: float, expected: float) -> float:
    """Return KL(observed || expected) of two outcomes, in nats; infinite where the impossible was seen."""
    total = 0.0
    for q, p in ((observed, expected), (1.0 - observed, 1.0 - expected)):
        if q > 0.0:
            if p <= 0.0:
                return math.inf
            total += q * math.log(q / p)
    return max(0.0, total)


def _limits(trials: float, share: float, limit: float) -> tuple[float, float]:
    """Return the numbers of hits at and below which, and at and above which, an alarm is raised.

    -1 and infinity where no number is low or high enough.
    """
    low, high = -1.0, math.inf
    if trials * divergence(0.0, share) >= limit:
        below, above = 0.0, trials * share
        while above - below > 0.25:
            middle = (below + above) / 2.0
            if trials * divergence(middle / trials, share) >= limit:
                below = middle
            else:
                above = middle
        low = math.floor(below)
    if trials * divergence(1.0, share) >= limit:
        below, above = trials * share, trials
        while above - below > 0.25:
            middle = (below + above) / 2.0
            if trials * divergence(middle / trials, share) >= limit:
                above = middle
            else:
                below = middle
        high = math.ceil(above)
    return low, high


def _tail(value: float, mean: float, spread: float) -> float:
    """Return P(X <= value) of a normal variable; a step where it has no spread."""
    if spread <= 0.0:
        return 1.0 if value >= mean else 0.0
    return 0.5 * math.erfc((mean - value) / (spread * math.sqrt(2.0)))

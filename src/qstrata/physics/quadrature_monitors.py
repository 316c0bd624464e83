"""What disclosed quadratures say of attacks: tests of one block's sums against the commissioned link.

Light that is lost changes the gain, which is held against the commissioned link and is no attack by itself.
Noise is held against what the link has at the gain that was measured: Eve who measures what passes adds some.
For k values, noise as far off as r times what is expected has a probability of at most 2 e^-D with
D = k/2 (r - 1 - ln r) (Chernoff bound of chi-square); for the gain, D is half its squared standard errors.
"""

import math
from typing import Generic, TypeVar

import msgspec

from qstrata.physics.attacks import unattacked
from qstrata.physics.fibre import transmittance
from qstrata.physics.monitors import FALSE_ALARM, Reading
from qstrata.physics.parameters import KeyLinkParameters
from qstrata.physics.protocols.gaussian import QuadratureProtocol
from qstrata.physics.quadratures import PER_SHOT_NOISE, ExpectedQuadratures, Quadratures, estimate

TRANSMITTANCE = "transmittance"
NOISE = "noise"

P = TypeVar("P", bound=KeyLinkParameters)


class QuadratureInstruments(Generic[P]):
    """Judge the tallies of one link, which is known as it was commissioned; attacks in it are ignored."""

    def __init__(self, protocol: QuadratureProtocol[P], commissioned: P) -> None:
        self.link = unattacked(commissioned)
        self._protocol = protocol
        self._law = protocol.law(self.link)

    def readings(self, tally: Quadratures | ExpectedQuadratures) -> tuple[Reading, ...]:
        """Return what both instruments say of a block: nothing where too little was disclosed."""
        found = estimate(tally)
        if found is None:
            return ()
        law, freedom = self._law, tally.tested_values - 1.0
        spread = math.sqrt(law.noise * PER_SHOT_NOISE / tally.sent_squares)
        healthy = transmittance(self.link.loss_db)
        seen = healthy * (max(0.0, found.gain) / law.gain) ** 2
        noise, expected = found.noise * (freedom + 1.0) / freedom, self._noise_at(found.gain)
        return (
            Reading(TRANSMITTANCE, freedom, seen, healthy, ((found.gain - law.gain) / spread) ** 2 / 2.0),
            Reading(NOISE, freedom, noise, expected, _deviance(freedom, noise / expected)),
        )

    def findings(
        self, tally: Quadratures | ExpectedQuadratures, false_alarm: float = FALSE_ALARM
    ) -> tuple[Reading, ...]:
        """Return the readings that an honest link gives no more often than `false_alarm`, worst first."""
        limit = math.log(2.0 / false_alarm)
        found = [reading for reading in self.readings(tally) if reading.deviance >= limit]
        return tuple(sorted(found, key=lambda reading: -reading.deviance))

    def _noise_at(self, gain: float) -> float:
        loss_db = math.inf
        if gain > 0.0:
            loss_db = self.link.loss_db - 20.0 * math.log10(gain / self._law.gain)
        return self._protocol.law(msgspec.structs.replace(self.link, loss_db=loss_db)).noise


def step(before: Quadratures, sample: Quadratures) -> float:
    """Return how improbable it is that two tallies have the same gain, as a deviance."""
    earlier, later = estimate(before), estimate(sample)
    if earlier is None or later is None:
        return 0.0
    spread = earlier.gain_error**2 + later.gain_error**2
    return (earlier.gain - later.gain) ** 2 / spread / 2.0 if spread > 0.0 else 0.0


def _deviance(freedom: float, ratio: float) -> float:
    return freedom / 2.0 * (ratio - 1.0 - math.log(ratio)) if ratio > 0.0 else math.inf

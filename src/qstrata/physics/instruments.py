"""The instruments of a link, of whichever kind its protocol's tally is."""

from typing import Any, Protocol

from qstrata.physics.counts import Counts
from qstrata.physics.monitors import CLICK_RATE, FALSE_ALARM, Instruments, Reading, divergence
from qstrata.physics.parameters import KeyLinkParameters, clicking
from qstrata.physics.protocols.gaussian import QuadratureProtocol
from qstrata.physics.quadrature_monitors import TRANSMITTANCE, QuadratureInstruments, step
from qstrata.physics.quadratures import Quadratures
from qstrata.physics.tallies import Tally

LIGHT = (CLICK_RATE, TRANSMITTANCE)
"""The instruments that tell of light lost or added, which is no attack by itself."""


class LinkInstruments(Protocol):
    """Judge the tallies of one link as it was commissioned."""

    def findings(self, tally: Any, false_alarm: float = FALSE_ALARM) -> tuple[Reading, ...]:
        """Return the readings that an honest link gives no more often than `false_alarm`, worst first."""
        ...


def instruments_of(commissioned: KeyLinkParameters) -> LinkInstruments:
    """Return the instruments of a link."""
    protocol = commissioned.protocol
    if isinstance(protocol, QuadratureProtocol):
        return QuadratureInstruments(protocol, commissioned)
    return Instruments(clicking(commissioned))


def step_of_light(before: Tally, sample: Tally) -> float:
    """Return how improbable it is that the light has not changed between two tallies, as a deviance."""
    if isinstance(before, Quadratures) and isinstance(sample, Quadratures):
        return step(before, sample)
    if not before.pulses or not sample.pulses:
        return 0.0
    rate = sample.detections / sample.pulses
    return sample.pulses * divergence(rate, before.detections / before.pulses)


def is_compared(tally: Tally) -> bool:
    """Tell whether the ends have compared anything of it."""
    return any(map(any, tally.n)) if isinstance(tally, Counts) else tally.tested_values > 0

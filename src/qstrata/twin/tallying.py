"""What is drawn of a link at level `counts`, of whichever kind its protocol's tally is."""

from collections.abc import Callable, Sequence

import numpy as np

from qstrata.physics.parameters import KeyLinkParameters
from qstrata.physics.protocols.gaussian import QuadratureProtocol
from qstrata.physics.quadratures import draw_quadratures
from qstrata.physics.tallies import Tally
from qstrata.twin.sampling import draw_counts, odds

Sampler = Callable[[np.random.Generator, Sequence[int]], Sequence[Tally]]
"""Draws the tallies of adjacent stretches of so many pulses."""


def sampler(parameters: KeyLinkParameters) -> Sampler:
    """Return what draws the tallies of a link."""
    protocol = parameters.protocol
    if isinstance(protocol, QuadratureProtocol):
        law = protocol.law(parameters)
        return lambda generator, pulses: draw_quadratures(generator, law, pulses)
    drawn_from = odds(parameters)
    return lambda generator, pulses: draw_counts(generator, drawn_from, pulses)

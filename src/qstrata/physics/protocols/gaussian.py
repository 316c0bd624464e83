"""A key protocol whose ends compare quadratures: y = gain x + noise, all of it normal."""

from collections.abc import Callable
from typing import Generic, TypeVar

from qstrata.physics.parameters import KeyLinkParameters
from qstrata.physics.protocols.base import KeyProtocol
from qstrata.physics.quadratures import NO_QUADRATURES, ExpectedQuadratures, GaussianLaw, Quadratures
from qstrata.physics.quadratures import mean_quadratures as means

P = TypeVar("P", bound=KeyLinkParameters)


class QuadratureProtocol(KeyProtocol[P], Generic[P], frozen=True, kw_only=True):
    """Describe a protocol of coherent states; its blocks are `Quadratures`.

    `law` says how the quadratures of a link are distributed; its gain goes with the square root of the
    channel's transmittance.
    """

    law: Callable[[P], GaussianLaw]

    @property
    def nothing(self) -> Quadratures:
        """Return the tally of no pulse."""
        return NO_QUADRATURES

    def expected_counts(self, parameters: P, pulses: float) -> ExpectedQuadratures:
        """Return the mean tally of `pulses` >= 0 pulses, not rounded."""
        return means(self.law(parameters), pulses)

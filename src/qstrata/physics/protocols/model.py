"""A key protocol whose ends count clicks: pure functions from a link's parameters to what its ends count."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from qstrata.physics.counts import ZERO_COUNTS, Counts, ExpectedCounts, means
from qstrata.physics.parameters import ClickLinkParameters
from qstrata.physics.protocols.base import KeyProtocol
from qstrata.physics.side_channels import NOTHING_SEEN, DeviceOdds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

P = TypeVar("P", bound=ClickLinkParameters)


def nothing_seen(parameters: ClickLinkParameters) -> DeviceOdds:
    """Return that devices tell neither which detector clicked nor when, and watch no light that comes in."""
    return NOTHING_SEEN


class LinkProtocol(KeyProtocol[P], Generic[P], frozen=True, kw_only=True):
    """Describe a protocol of clicks; its blocks are `Counts`.

    `outcome_probabilities` has shape (k, 7) and sum 1: rows are the 1 to 3 intensities of the protocol,
    columns `counts.OUTCOMES`, where a click is what both ends keep: of a protocol with detectors at both
    ends, a coincidence. `double_click_probability` is that of a pulse, 0 where they are not counted.
    `device_odds` are those of what devices see besides, by default nothing.
    """

    outcome_probabilities: "Callable[[P], NDArray[np.float64]]"
    double_click_probability: Callable[[P], float]
    device_odds: Callable[[P], DeviceOdds] = nothing_seen

    @property
    def nothing(self) -> Counts:
        """Return the tally of no pulse."""
        return ZERO_COUNTS

    def expected_counts(self, parameters: P, pulses: float) -> ExpectedCounts:
        """Return the mean counts of `pulses` >= 0 pulses, not rounded."""
        doubles = self.double_click_probability(parameters)
        return means(self.outcome_probabilities(parameters), doubles, pulses, self.device_odds(parameters))

"""A key protocol of links: pure functions from a link's parameters to what its ends count, and to its key."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from qstrata.core.errors import InputError
from qstrata.physics.counts import Counts, ExpectedCounts, means
from qstrata.physics.finite_key import KeyEstimate
from qstrata.physics.parameters import KeyLinkParameters, Parameter
from qstrata.physics.profiles import Profile
from qstrata.physics.side_channels import NOTHING_SEEN, DeviceOdds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

P = TypeVar("P", bound=KeyLinkParameters)


def nothing_seen(parameters: KeyLinkParameters) -> DeviceOdds:
    """Return that devices tell neither which detector clicked nor when, and watch no light that comes in."""
    return NOTHING_SEEN


class LinkProtocol(msgspec.Struct, Generic[P], frozen=True, kw_only=True):
    """Describe a protocol: its parameters, and the closed forms of what they lead to.

    `table` says unit and range of every parameter, `profiles` (at least one, the default first) give values
    with their sources. `check` raises InputError for figures outside physics or that contradict each other.
    `outcome_probabilities` has shape (k, 7) and sum 1: rows are the 1 to 3 intensities of the protocol,
    columns `counts.OUTCOMES`, where a click is what both ends keep: of a protocol with detectors at both
    ends, a coincidence. `double_click_probability` is that of a pulse, 0 where they are not counted.
    `key_length` is what the counts of a block prove, `asymptotic_rate` the limit for a block without end, in
    secret bits per pulse, >= 0. `device_odds` are those of what devices see besides, by default nothing.
    Parameters are those of a healthy link or of one under faults: `loss_db` may
    be infinite. All functions are pure.
    """

    name: str
    summary: str
    source: str
    table: tuple[Parameter, ...]
    profiles: tuple[Profile[P], ...]
    check: Callable[[P], None]
    outcome_probabilities: "Callable[[P], NDArray[np.float64]]"
    double_click_probability: Callable[[P], float]
    key_length: Callable[[Counts | ExpectedCounts, P], KeyEstimate]
    asymptotic_rate: Callable[[P], float]
    device_odds: Callable[[P], DeviceOdds] = nothing_seen

    def expected_counts(self, parameters: P, pulses: float) -> ExpectedCounts:
        """Return the mean counts of `pulses` >= 0 pulses, not rounded."""
        doubles = self.double_click_probability(parameters)
        return means(self.outcome_probabilities(parameters), doubles, pulses, self.device_odds(parameters))

    def profile(self, name: str = "") -> Profile[P]:
        """Return one of its profiles, the default one for "". InputError names those there are."""
        for candidate in self.profiles:
            if name in ("", candidate.name):
                return candidate
        known = ", ".join(candidate.name for candidate in self.profiles)
        raise InputError(f"no device profile of {self.name} is called {name!r}: choose one of {known}")

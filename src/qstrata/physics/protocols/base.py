"""What all key protocols of links have in common: parameters, profiles, and the key that a block proves."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from qstrata.core.errors import InputError
from qstrata.physics.key_estimates import KeyEstimate
from qstrata.physics.parameters import KeyLinkParameters, Parameter
from qstrata.physics.profiles import Profile
from qstrata.physics.tallies import ExpectedTally, Tally

P = TypeVar("P", bound=KeyLinkParameters)


class KeyProtocol(msgspec.Struct, Generic[P], frozen=True, kw_only=True):
    """Describe a protocol: its parameters, and what the tally of a block proves.

    `table` says unit and range of every parameter, `profiles` (at least one, the default first) give values
    with their sources. `check` raises InputError for figures outside physics or that contradict each other.
    `key_length` is what the tally of a block, drawn or expected, proves; `asymptotic_rate` the limit for a
    block without end, in secret bits per pulse, >= 0. Parameters are those of a healthy link or of one under
    faults: `loss_db` may be infinite. All functions are pure. What the ends tally, a subclass says:
    `LinkProtocol` clicks, `QuadratureProtocol` sums of quadratures.
    """

    name: str
    summary: str
    source: str
    table: tuple[Parameter, ...]
    profiles: tuple[Profile[P], ...]
    check: Callable[[P], None]
    key_length: Callable[[Any, P], KeyEstimate]
    asymptotic_rate: Callable[[P], float]

    @property
    def nothing(self) -> Tally:
        """Return the tally of no pulse."""
        raise NotImplementedError

    def expected_counts(self, parameters: P, pulses: float) -> ExpectedTally:
        """Return the mean tally of `pulses` >= 0 pulses, not rounded."""
        raise NotImplementedError

    def profile(self, name: str = "") -> Profile[P]:
        """Return one of its profiles, the default one for "". InputError names those there are."""
        for candidate in self.profiles:
            if name in ("", candidate.name):
                return candidate
        known = ", ".join(candidate.name for candidate in self.profiles)
        raise InputError(f"no device profile of {self.name} is called {name!r}: choose one of {known}")

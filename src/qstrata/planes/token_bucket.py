"""A token bucket in whole numbers: keys come at a rate, up to a burst, and nothing drifts.

Over any time w it grants at most burst + rate * w keys (RFC 2697, 3, with keys for bytes).
"""

import msgspec

from qstrata.core.errors import InternalError
from qstrata.core.time import PS_PER_S

UKEYS_PER_KEY = 1_000_000
GRAINS_PER_KEY = UKEYS_PER_KEY * PS_PER_S
"""A bucket of one millionth of a key per second gains one grain in a picosecond."""


class OverdrawnError(InternalError):
    """More keys were taken from a bucket than it held."""


class TokenBucket(msgspec.Struct, frozen=True, gc=False):
    """What a bucket held at `refreshed_ps`: `grains`, below zero while charges are not made up.

    A clock that stands still or goes back adds nothing.
    """

    rate_ukeys_per_s: int
    burst_keys: int
    grains: int
    refreshed_ps: int

    @property
    def rate_keys_per_s(self) -> float:
        """Return the rate at which keys come."""
        return self.rate_ukeys_per_s / UKEYS_PER_KEY

    def available(self, now: int) -> int:
        """Return the whole keys that may be taken now, never below 0."""
        return max(0, self._grains(now) // GRAINS_PER_KEY)

    def take(self, keys: int, now: int) -> "TokenBucket":
        """Return the bucket without these keys; raises OverdrawnError when it does not hold them."""
        if not 0 <= keys <= self.available(now):
            raise OverdrawnError(f"{keys} keys were taken of {self.available(now)}")
        return self.charge(keys, now)

    def charge(self, keys: int, now: int) -> "TokenBucket":
        """Return the bucket without keys that were granted elsewhere: it owes them first."""
        grains = self._grains(now) - keys * GRAINS_PER_KEY
        return TokenBucket(self.rate_ukeys_per_s, self.burst_keys, grains, max(now, self.refreshed_ps))

    def wait_ps(self, keys: int, now: int) -> int | None:
        """Return how long it takes to earn what is missing of `keys`, as if no burst bounded them.

        None says never: the rate is 0.
        """
        missing = keys * GRAINS_PER_KEY - self._grains(now)
        if missing <= 0:
            return max(0, self.refreshed_ps - now)
        if not self.rate_ukeys_per_s:
            return None
        return max(0, self.refreshed_ps - now) + -(-missing // self.rate_ukeys_per_s)

    def _grains(self, now: int) -> int:
        earned = max(0, now - self.refreshed_ps) * self.rate_ukeys_per_s
        return min(self.grains + earned, self.burst_keys * GRAINS_PER_KEY)


def token_bucket(rate_keys_per_s: float, burst_keys: int, now: int, *, full: bool = True) -> TokenBucket:
    """Make a bucket, full or empty; the rate is rounded to millionths of a key per second."""
    grains = burst_keys * GRAINS_PER_KEY if full else 0
    return TokenBucket(round(rate_keys_per_s * UKEYS_PER_KEY), burst_keys, grains, now)

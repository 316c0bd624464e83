"""Heralding on one link: which attempt succeeds is drawn ahead, and drawn anew when the link changes."""

from collections import deque

import numpy as np

from qstrata.core.randomness import stream
from qstrata.physics import density
from qstrata.physics.bell import BellState
from qstrata.physics.heralding import attempts_until_success
from qstrata.physics.pair_attacks import substitute
from qstrata.physics.pair_link import PairLinkParameters, cycle_ps, herald_ps, heralded_state, heralding

HERALDS_AHEAD = 64
"""So many heralds are drawn at once."""

NEVER = 1e-12
"""A link whose attempts succeed more rarely is taken as dark."""


class Attempt:
    """A pair that is being attempted: since when, the emission that will be heralded, and as which state.

    `token` counts the choices of that emission: what was planned under an older one is void. The state is
    that of the link as it was then: `extra_loss_db`, and `substituted` with which probability.
    """

    __slots__ = ("emitted_ps", "extra_loss_db", "frame", "since_ps", "substituted", "token")

    def __init__(self, since_ps: int) -> None:
        self.since_ps = since_ps
        self.emitted_ps: int | None = None
        self.frame = BellState.PSI_PLUS
        self.extra_loss_db = self.substituted = 0.0
        self.token = 0


class LinkAttempts:
    """Decide when attempts of one link are heralded, by geometric skipping.

    Draws come from the stream (seed, "twin", "pairs", link, block, revision): a block is HERALDS_AHEAD
    heralds, the revision counts the changes of the link. With no light, nothing is heralded.
    """

    def __init__(self, link: str, parameters: PairLinkParameters, seed: int) -> None:
        self.link = link
        self.parameters = parameters
        self.herald_ps = herald_ps(parameters)
        self.cycle_ps = cycle_ps(parameters)
        self._seed = seed
        self._block = self._revision = 0
        self._ahead: deque[tuple[int, BellState]] = deque()
        self._extra_loss_db = self._substituted = 0.0
        self._probability = heralding(parameters).probability

    def change(self, extra_loss_db: float, cut: bool, substituted: float = 0.0) -> None:
        """Let the link behave differently; what was drawn ahead is discarded.

        `substituted` is the share of pairs in whose place an eavesdropper gives separable ones.
        """
        self._extra_loss_db, self._substituted = extra_loss_db, substituted
        self._probability = 0.0 if cut else heralding(self.parameters, extra_loss_db).probability
        self._revision += 1
        self._ahead.clear()

    def aim(self, attempt: Attempt, now: int) -> int | None:
        """Choose the emission that will be heralded and return the herald's instant; None without light.

        Attempts whose photons have passed the midpoint before now have failed.
        """
        attempt.token += 1
        attempt.emitted_ps = None
        if self._probability < NEVER:
            return None
        if not self._ahead:
            self._draw()
        drawn, attempt.frame = self._ahead.popleft()
        attempt.extra_loss_db, attempt.substituted = self._extra_loss_db, self._substituted
        passed_ps = now - self.herald_ps // 2 - attempt.since_ps
        failed = max(0, -(-passed_ps // self.cycle_ps))
        attempt.emitted_ps = attempt.since_ps + (failed + drawn - 1) * self.cycle_ps
        return attempt.emitted_ps + self.herald_ps

    def is_decided(self, attempt: Attempt, now: int) -> bool:
        """Tell whether the photons that will be heralded have met at the midpoint."""
        return attempt.emitted_ps is not None and now >= attempt.emitted_ps + self.herald_ps // 2

    def attempts(self, attempt: Attempt) -> int:
        """Return how many emissions an attempt has had, the one that is heralded included."""
        assert attempt.emitted_ps is not None
        return (attempt.emitted_ps - attempt.since_ps) // self.cycle_ps + 1

    def state(self, attempt: Attempt) -> density.Tensor:
        """Return the heralded pair as it was at its emission."""
        state = heralded_state(self.parameters, attempt.frame, attempt.extra_loss_db)
        if not attempt.substituted:
            return state
        eve: density.Tensor = attempt.substituted * density.pair(substitute(attempt.frame))
        return eve + (1.0 - attempt.substituted) * state

    def _draw(self) -> None:
        generator = stream(self._seed, "twin", "pairs", self.link, self._block, self._revision)
        attempts = attempts_until_success(generator, self._probability, HERALDS_AHEAD).tolist()
        frames = generator.integers(BellState.PSI_PLUS, 4, HERALDS_AHEAD, dtype=np.int64).tolist()
        self._ahead.extend(zip(attempts, map(BellState, frames), strict=True))
        self._block += 1

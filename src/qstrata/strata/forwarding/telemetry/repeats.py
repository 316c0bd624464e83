"""The watch over what relays refuse: batches that came before, or that spend bits out of turn.

Nobody sends a batch twice. After a reconnect the last one of each neighbour may come again; more than that is
somebody who repeats what he has recorded, or a neighbour that is out of order.
"""

from collections import deque

from qstrata.core.time import PS_PER_S

WINDOW_PS = 60 * PS_PER_S
EXPECTED = 4
"""So many may be refused within a window: reconnects of a site's neighbours."""


class RepeatWatch:
    """Watch one relay by its count of refused batches, which begins anew when it starts."""

    def __init__(self) -> None:
        self._counted: deque[tuple[int, int]] = deque()

    def take(self, refused: int, at_ps: int) -> str:
        """Take a sample in; return what is to be said of it, empty for nothing."""
        counted = self._counted
        if counted and refused < counted[-1][1]:
            counted.clear()
        counted.append((at_ps, refused))
        while counted[0][0] < at_ps - WINDOW_PS:
            counted.popleft()
        more = refused - counted[0][1]
        return f"{more} batches refused that came again or out of turn" if more > EXPECTED else ""

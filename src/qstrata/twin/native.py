"""The native engine: decoy-state BB84, at level `counts` by one multinomial draw for many windows."""

from qstrata.core.effects import WorkDone
from qstrata.core.randomness import RandomSource
from qstrata.core.time import PS_PER_S
from qstrata.twin.contract import Capabilities, LinkEngine, LinkTask, Window
from qstrata.twin.link import LinkRun

NATIVE = "native"
CLICKS = "clicks"
"""The level of detail at which devices give raw records."""

_SECONDS_PER_WINDOW = 20e-6


def native_engine(task: LinkTask) -> LinkEngine:
    """Make the engine of a link for its level of detail."""
    if task.level != CLICKS:
        return NativeEngine(task)
    # Its kernels take a while to import, and most networks do without.
    from qstrata.twin.click_link import ClickEngine

    return ClickEngine(task)


class NativeEngine(LinkRun):
    """Run one link in this process; counts are drawn, key bits come from the task's `key_bits`."""

    def __init__(self, task: LinkTask) -> None:
        super().__init__(
            task.link,
            task.parameters,
            seed=task.seed,
            block_ps=task.block_ps,
            period_ps=task.period_ps,
            first_block=task.first_block,
        )
        self._task = task

    def capabilities(self) -> Capabilities:
        """Return what the engine can do."""
        return Capabilities(name=NATIVE)

    def estimate(self) -> float:
        """Return the seconds of the clock for one of the link: a draw for each window."""
        return _SECONDS_PER_WINDOW * PS_PER_S / self._task.period_ps

    def work(self) -> None:
        """Return None: windows are drawn where they end."""

    def advance(self, now: int = 0, done: WorkDone | None = None) -> Window:
        """Close the window that ends at `next_ps` and open the next one."""
        return super().advance()

    def bits(self, block: int) -> RandomSource:
        """Return the stream of a block's key bits."""
        return self._task.key_bits(block)

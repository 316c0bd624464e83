"""Applications of virtual runs: SAEs that ask for keys at a rate, tell their peer the ids, and fetch."""

from collections.abc import Callable, Sequence

import msgspec

from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.interfaces.etsi014.virtual import ClientEntry, VirtualSae
from qstrata.kernel.queue import EventQueue

TELL_PS = 20 * PS_PER_MS
"""How long the asking application takes to tell the other the key ids, outside the network."""


class DemandSpec(msgspec.Struct, frozen=True):
    """What one SAE asks for, to share with another: `keys_per_s`, `number` keys a request."""

    sae: str
    peer: str
    keys_per_s: float
    number: int
    size_bits: int | None = None


class Demand:
    """Drive one direction of a pair: ask at a steady rate, tell the peer, let it fetch by id."""

    def __init__(
        self, queue: EventQueue, spec: DemandSpec, asking: VirtualSae, fetching: VirtualSae, phase_ps: int
    ) -> None:
        self._queue = queue
        self._spec = spec
        self._asking = asking
        self._fetching = fetching
        self._interval_ps = round(spec.number / spec.keys_per_s * PS_PER_S)
        self.delivered = 0
        self.fetched = 0
        self.unserved = 0
        self._over = False
        queue.push(queue.now + phase_ps, self._ask)

    def serves(self, spec: DemandSpec, asking: VirtualSae, fetching: VirtualSae) -> bool:
        """Tell whether it drives just this, between these."""
        same = (self._asking, self._fetching) == (asking, fetching)
        return same and self._spec == spec and not self._over

    def end(self) -> None:
        """Ask no more; what was asked is still fetched."""
        self._over = True

    def _ask(self) -> None:
        if self._over:
            return
        now = self._queue.now
        self._queue.push(now + self._interval_ps, self._ask)
        self._asking.get_keys(
            self._spec.peer, now, self._spec.number, self._spec.size_bits, then=self._answered
        )

    def _answered(self, entry: ClientEntry, now: int) -> None:
        if entry.outcome != 200:
            self.unserved += 1
            return
        self.delivered += len(entry.key_ids)
        self._queue.push(now + TELL_PS, self._fetch, entry.key_ids)

    def _fetch(self, key_ids: tuple[str, ...]) -> None:
        self._fetching.get_keys_by_id(self._spec.sae, key_ids, self._queue.now, then=self._counted)

    def _counted(self, entry: ClientEntry, now: int) -> None:
        if entry.outcome == 200:
            self.fetched += len(entry.key_ids)


Wire = Callable[[str], VirtualSae]
"""Return the virtual SAE of a name."""


def start_demands(
    queue: EventQueue, specs: tuple[DemandSpec, ...], wire: Wire, running: Sequence[Demand] = ()
) -> tuple[Demand, ...]:
    """Start all demands, each at its own phase; those that run already go on, and others of them end.

    Returns those that were running, then those that have started.
    """
    wanted = [(spec, wire(spec.sae), wire(spec.peer)) for spec in specs]
    for demand in running:
        if not any(demand.serves(*each) for each in wanted):
            demand.end()
    return (
        *running,
        *(
            Demand(queue, *each, (index + 1) * 37 * PS_PER_MS)
            for index, each in enumerate(wanted)
            if not any(demand.serves(*each) for demand in running)
        ),
    )

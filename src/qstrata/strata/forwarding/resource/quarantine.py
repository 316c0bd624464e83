"""Setting link blocks aside that an attack may have touched, and naming the transfers that they masked.

Bits of suspect blocks have no way back: nothing that is learnt later makes them secret. The owner of a block
destroys what is left of it, and its peer follows by the next mark, as for all that an owner decides. Blocks
of a window that come later, from devices or from the peer, are destroyed when they come.
"""

from collections.abc import Callable

from qstrata.core.address import Address
from qstrata.core.effects import Commit, Effect, Effects, Handle, Send
from qstrata.fabric.messages.forwarding_control import BlocksQuarantined, QuarantineBlocks
from qstrata.strata.forwarding.resource.carrier import Carrier
from qstrata.strata.forwarding.resource.station import Station


class Quarantine:
    """The quarantine of one relay; it answers `controller` with every suspect transfer that it knows."""

    def __init__(self, station: Station, carrier: Carrier, controller: Handle) -> None:
        self._station = station
        self._carrier = carrier
        self._controller = controller

    def impose(self, message: QuarantineBlocks, sender: Address, now: int) -> Effects:
        """Destroy what this end owns of the blocks, durably, then say which transfers they masked.

        The answer waits for a commit even where nothing is left, so that it comes after every mask that was
        under way.
        """
        pool = self._station.pools.get(message.link)
        if pool is None:
            return []
        pool.bar(message.first_block, message.last_block)
        gone = pool.forgo()
        return [Commit(pool.changes(gone), self._answer(message, sum(gone.values())))]

    def sweep(self, now: int) -> list[Effect]:
        """Destroy what has come since of blocks that are set aside."""
        late = ((pool, pool.forgo()) for pool in self._station.pools.values())
        return [Commit(pool.changes(gone)) for pool, gone in late if gone]

    def _answer(self, message: QuarantineBlocks, bits: int) -> Callable[[int], Effects]:
        def answer(now: int) -> Effects:
            suspects = self._carrier.masked_by(message.link, message.first_block, message.last_block)
            site = self._station.site
            said = BlocksQuarantined(message.serial, site, message.link, bits, suspects)
            return [Send(self._controller, said)]

        return answer

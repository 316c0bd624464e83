"""Networks whose links distil bit by bit, and what is told of their blocks."""

from itertools import pairwise
from typing import Any

from qstrata.core.address import Address
from qstrata.core.effects import Effects
from qstrata.core.time import PS_PER_S
from qstrata.fabric.memory import Mischief
from qstrata.fabric.messages.samples import BlockSample
from qstrata.network.description import checked
from qstrata.network.simulation import Simulation
from qstrata.planes import places
from qstrata.strata.forwarding.resource.relay import RelayElement
from qstrata.strata.forwarding.telemetry import ForwardingTelemetry
from qstrata.testing.checker import check
from qstrata.testing.history import calls_of

SITES = ("north", "east", "south", "west")
LOSSES_DB = (4.0, 5.0, 6.0)
ENDS = ["urn:qkd:row:north:sae", "urn:qkd:row:west:sae"]
LINKS = tuple(f"{a}-{b}" for a, b in pairwise(SITES))


def a_row(**link: Any) -> dict[str, Any]:
    """Return a network of three links in a row at level `clicks`, a block of 2e7 pulses each second."""
    figures = {
        "pulse-rate-hz": 20e6,
        "eta-bob": 0.2,
        "e-d": 0.01,
        "weak-intensity": 0.1,
        **link.pop("parameters", {}),
    }
    return {
        "name": "row",
        "domain": "row",
        "nodes": [{"name": site, "site": [0.1 * n, 0.0]} for n, site in enumerate(SITES)],
        "links": [
            {
                "ends": name.split("-"),
                "length-km": 20.0,
                "loss-db": loss_db,
                "channels": "default",
                "level": "clicks",
                "block-s": 1,
                "initial-key-bits": 20_000,
                "parameters": figures,
                **link,
            }
            for name, loss_db in zip(LINKS, LOSSES_DB, strict=True)
        ],
        "saes": [{"name": f"urn:qkd:row:{site}:sae", "node": site} for site in SITES],
        "sessions": [{"between": ENDS}],
        "demands": [{"between": ENDS, "keys-per-s": 5, "number": 4}],
    }


class RawLinks:
    """A simulated network of raw links, with every word that its telemetry hears of blocks."""

    def __init__(self, seed: int = 1, mischief: Mischief | None = None, **link: Any) -> None:
        self.log: list[bytes] = []
        network = checked(a_row(**link))
        self.sim = Simulation(network, seed=seed, log=self.log, mischief=mischief, checked=True)
        self.samples: dict[tuple[str, int, str], BlockSample] = {}
        elements = self.sim.assembly.host.elements(places.CONTROL_SITE)
        (telemetry,) = (element for element in elements if isinstance(element, ForwardingTelemetry))
        aggregate = telemetry._handlers[BlockSample]

        def hear(message: BlockSample, sender: Address, now: int) -> Effects:
            if not message.provisioned:
                self.samples[(message.link, message.block, message.site)] = message
            return aggregate(message, sender, now)

        telemetry._handlers[BlockSample] = hear

    def run(self, seconds: float) -> None:
        """Go on for a while."""
        self.sim.run_until(self.sim.queue.now + round(seconds * PS_PER_S))

    def relay(self, site: str) -> RelayElement:
        """Return the relay of a site."""
        elements = self.sim.assembly.host.elements(site)
        (relay,) = (element for element in elements if isinstance(element, RelayElement))
        return relay

    def violations(self) -> tuple[Any, ...]:
        """Return what the checker finds in the event log."""
        self.sim.recorder.flush()
        return check(self.log, calls_of(self.sim.history)).violations

    def equal_blocks(self, link: str) -> int:
        """Count the blocks that both ends of a link hold, and see that they are equal."""
        a, b = link.split("-")
        ours = self.relay(a).station.pools[link].blocks
        theirs = self.relay(b).station.pools[link].blocks
        common = [number for number in ours if number > 0 and number in theirs]
        for number in common:
            assert self.bits(link, number, a) == self.bits(link, number, b), (link, number)
        return len(common)

    def bits(self, link: str, block: int, site: str) -> bytes | None:
        """Return the bits of a block that a site holds."""
        held = self.relay(site).station.pools[link].blocks.get(block)
        return None if held is None or held.bits is None else held.bits.reveal()

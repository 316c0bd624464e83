"""Networks whose links distil bit by bit, and what is told of their blocks."""

from itertools import pairwise
from typing import Any

from qstrata.core.address import Address
from qstrata.core.effects import Effects
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.samples import BlockSample
from qstrata.network.description import checked
from qstrata.network.simulation import Simulation
from qstrata.planes import places
from qstrata.strata.forwarding.resource.relay import RelayElement
from qstrata.strata.forwarding.telemetry import ForwardingTelemetry

SITES = ("north", "east", "south", "west")
LOSSES_DB = (4.0, 5.0, 6.0)
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
    }


class RawLinks:
    """A simulated network of raw links, with every word that its telemetry hears of blocks."""

    def __init__(self, seed: int = 1, **link: Any) -> None:
        self.sim = Simulation(checked(a_row(**link)), seed=seed)
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

    def bits(self, link: str, block: int, site: str) -> bytes | None:
        """Return the bits of a block that a site holds."""
        held = self.relay(site).station.pools[link].blocks.get(block)
        return None if held is None or held.bits is None else held.bits.reveal()

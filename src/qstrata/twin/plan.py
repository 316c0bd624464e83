"""What the twin is told once, at its start: links, monitors, channels and its own figures."""

import msgspec

from qstrata.core.address import Address
from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.messages.base import Message
from qstrata.physics.parameters import KeyLinkParameters
from qstrata.twin.pairs_plan import MemoryPlan, PairLinkPlan, check_pairs, refuse_repeats


class LinkEnd(msgspec.Struct, frozen=True):
    """Name one end of a link: its site, the device's address and the agent that owns the device."""

    site: str
    device: Address
    agent: Address


class LinkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one link: its ends, its physics, the bearers it lies on, its blocks.

    `parameters` holds the loss of the healthy fibre; `length_km` sets the delay of results. A block ends
    after `block_ps` of running time. Where `initial_key_bits` > 0, block 0 is provisioned with so many bits
    at time 0. Blocks are numbered from `first_block` (>= 1): a network that comes up again goes on where its
    ledgers end, so that no number names two blocks. `engine` names what runs the link; one that makes keys
    of a given length makes `block_key_bits` a block, and its work on one may take `limit_s` of the clock. At
    level `clicks` the devices give their raw records, and the agents distil them.
    """

    name: str
    transmitter: LinkEnd
    receiver: LinkEnd
    parameters: KeyLinkParameters
    fibre: str
    distillation: str
    relay: str
    length_km: float
    block_ps: int
    initial_key_bits: int = 0
    first_block: int = 1
    engine: str = "native"
    block_key_bits: int = 256
    limit_s: float = 300.0
    level: str = "counts"

    @property
    def ends(self) -> tuple[LinkEnd, LinkEnd]:
        """Return transmitter and receiver, in the order in which the twin numbers them (0, 1)."""
        return self.transmitter, self.receiver

    @property
    def bearers(self) -> tuple[str, str, str]:
        """Return the ids of fibre, distillation channel and relay channel."""
        return self.fibre, self.distillation, self.relay


class MonitorPlan(msgspec.Struct, frozen=True):
    """Name the signal monitor of a site: the device's address and the termination that owns it."""

    site: str
    device: Address
    termination: Address


class Attempt(msgspec.Struct, frozen=True):
    """What an intruder sends, in whose name, to whom."""

    sender: Address
    to: Address
    message: Message


class IntruderPlan(msgspec.Struct, frozen=True):
    """Say what an intruder at a site attempts, every second while the lab lets him in."""

    site: str
    attempts: tuple[Attempt, ...]


class TwinPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Describe the world of one network.

    `seed`: None draws everything from the operating system. `lab`: the address that answers T8.
    `management`: ids of the management bearers that can be cut. `report_period_ps`: how often a device
    reports its counts. `processing_ps`: from the last pulse of a block to its announcement, propagation
    excluded. `memories` and `pair_links`: the devices with memory cells, and the links that entangle them.
    `intruders`: what somebody who comes in at a site would attempt; his ports come with the others.
    """

    seed: int | None
    links: tuple[LinkPlan, ...]
    monitors: tuple[MonitorPlan, ...]
    lab: Address
    management: tuple[str, ...] = ()
    report_period_ps: int = PS_PER_S
    processing_ps: int = 50 * PS_PER_MS
    memories: tuple[MemoryPlan, ...] = ()
    pair_links: tuple[PairLinkPlan, ...] = ()
    intruders: tuple[IntruderPlan, ...] = ()


def check_plan(plan: TwinPlan) -> None:
    """Refuse a plan that cannot run; InputError names the link and the figure."""
    if plan.report_period_ps < PS_PER_MS:
        raise InputError(f"report period of {plan.report_period_ps} ps: give at least 1 ms ({PS_PER_MS} ps)")
    owners = [monitor.termination for monitor in plan.monitors]
    for link in plan.links:
        link.parameters.protocol.check(link.parameters)
        if link.block_ps < plan.report_period_ps:
            raise InputError(
                f"link {link.name}: a block of {link.block_ps} ps is shorter than the report period: "
                f"give at least {plan.report_period_ps} ps"
            )
        if link.first_block < 1 or link.initial_key_bits < 0:
            raise InputError(f"link {link.name}: blocks count from 1 and provisioned bits from 0")
        owners += [end.agent for end in link.ends]
    check_pairs(plan.memories, plan.pair_links)
    owners += [memory.owner for memory in plan.memories]
    names = [(link.name, link.fibre) for link in plan.links]
    names += [(link.name, link.fibre) for link in plan.pair_links]
    refuse_repeats("link", [name for name, _ in names])
    refuse_repeats("fibre", [fibre for _, fibre in names])
    refuse_repeats("device owner", [str(owner) for owner in owners])

"""What the twin is told of memory devices and of the links that entangle them."""

from itertools import pairwise

import msgspec

from qstrata.core.address import Address
from qstrata.core.errors import InputError
from qstrata.physics.pair_link import DeviceParameters, PairLinkParameters, check_device, check_pair_link


class MemoryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one device with memory cells: where it stands, and the element that owns it."""

    site: str
    device: Address
    owner: Address
    parameters: DeviceParameters = DeviceParameters()


class PairLinkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one link that entangles two devices.

    `fibre` is the bearer that its light takes, `channel` the one of words about its pairs, empty for none.
    """

    name: str
    ends: tuple[Address, Address]
    parameters: PairLinkParameters
    fibre: str
    channel: str = ""

    @property
    def bearers(self) -> tuple[str, ...]:
        """Return the bearers that it lies on."""
        return (self.fibre, self.channel) if self.channel else (self.fibre,)


def check_pairs(memories: tuple[MemoryPlan, ...], links: tuple[PairLinkPlan, ...]) -> None:
    """Refuse devices and links that cannot run; InputError names the device or link and the figure."""
    devices = [memory.device for memory in memories]
    for memory in memories:
        try:
            check_device(memory.parameters)
        except InputError as error:
            raise InputError(f"memory device {memory.device}: {error}") from error
    for link in links:
        try:
            check_pair_link(link.parameters)
        except InputError as error:
            raise InputError(f"link {link.name}: {error}") from error
        if link.ends[0] == link.ends[1] or not set(link.ends) <= set(devices):
            raise InputError(f"link {link.name} must join two different memory devices of the plan")
    refuse_repeats("memory device", [str(device) for device in devices])


def refuse_repeats(what: str, names: list[str]) -> None:
    """Raise InputError where a name appears twice among `names`."""
    for one, next_one in pairwise(sorted(names)):
        if one == next_one:
            raise InputError(f"{what} {one} appears twice in the twin's plan: give each its own")

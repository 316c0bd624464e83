"""T6, X.res - world: the instruction set, and what devices report.

An agent speaks to the device of its own link end, a termination to its site's signal monitor.
Every instruction has an id; the same id again is answered again and done once.
"""

from typing import ClassVar

from qstrata.core.address import End
from qstrata.core.secrets import KeyMaterial
from qstrata.fabric.messages.base import Message
from qstrata.physics.counts import Triple
from qstrata.physics.tallies import Tally

_RES = (End.FORWARDING_RES, End.CONNECTIVITY_RES, End.SERVICE_RES)


class _Instruction(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T6"
    sent_by: ClassVar[tuple[End, ...]] = _RES
    sent_to: ClassVar[tuple[End, ...]] = (End.WORLD,)


class _Result(Message, frozen=True, gc=False):
    arrow: ClassVar[str] = "T6"
    sent_by: ClassVar[tuple[End, ...]] = (End.WORLD,)
    sent_to: ClassVar[tuple[End, ...]] = _RES


class PrepareAndSend(_Instruction, frozen=True, gc=False):
    """Make the transmitter of a link prepare and send pulses until discarded with block -1.

    Of a protocol with a source of pairs, the transmitter drives the source wherever it is, and measures too.

    Pre: the device is a transmitter. Post: blocks of pulses run while the receiver measures too;
    answered with Started.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction",)
    instruction: str


class Measure(_Instruction, frozen=True, gc=False):
    """Make the receiver of a link measure what arrives until discarded with block -1.

    Pre: the device is a receiver. Post: as for PrepareAndSend.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction",)
    instruction: str


class Tick(_Instruction, frozen=True, gc=False):
    """Ask a device to report what it counted every `period_ps`, or its signals when they change.

    Pre: none. Post: CountsReport while the link runs; from a monitor SignalReport, at once and at changes.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction",)
    instruction: str
    period_ps: int


class Read(_Instruction, frozen=True, gc=False):
    """Read the first `length_bits` distilled bits of a closed block.

    Pre: the block is closed and not discarded here. Post: answered with Bits, or NothingToRead;
    reading again gives the same bits. Of a raw block Records are read: `length_bits` is 0, and `positions`
    name the pulses that are asked of a transmitter, packed as `physics.postprocessing.sifting` does.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "block", "length_bits")
    instruction: str
    block: int
    length_bits: int
    positions: bytes = b""


class Discard(_Instruction, frozen=True, gc=False):
    """Let a device forget a block; block -1 stops sending or measuring.

    Pre: none. Post: the block cannot be read here any more; or no pulses run. Not answered.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "block")
    instruction: str
    block: int


class Started(_Result, frozen=True, gc=False):
    """Answer PrepareAndSend or Measure: the closed blocks that this device still holds."""

    logged: ClassVar[tuple[str, ...]] = ("instruction",)
    instruction: str


class CountsReport(_Result, frozen=True, gc=False):
    """Report what was counted since the last report; the reports of a block add up to the block."""

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "detections")
    link: str
    block: int
    counts: Tally

    @property
    def detections(self) -> int:
        """Return all detections of the report; coherent detection measures every pulse."""
        return self.counts.detections


class BlockClosed(_Result, frozen=True, gc=False):
    """Report that a block is complete; it can be read until discarded.

    A provisioned block has no counts: its `provisioned_bits` are given, not distilled. Devices that distil
    by themselves say how many bits of key the block has: `distilled_bits`, else 0. Of a `raw` block the
    device tells its own records alone, and the agents distil it; a provisioned one has their first key.
    Sent again for every held block after PrepareAndSend or Measure.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "block", "provisioned_bits")
    link: str
    block: int
    counts: Tally
    provisioned_bits: int
    distilled_bits: int = 0
    raw: bool = False


class DeviceFault(_Result, frozen=True, gc=False):
    """Report a fault of a link's devices that begins (`raised`), with the finding, or is over.

    `kind` is `failed` while blocks are lost, `late` while blocks come after their instant, `coarse` while
    less is told than was asked for.
    """

    logged: ClassVar[tuple[str, ...]] = ("link", "kind", "raised")
    link: str
    kind: str
    raised: bool
    finding: str


class Bits(_Result, frozen=True, gc=False):
    """Answer Read: the bits of a block, equal at both ends of the link."""

    logged: ClassVar[tuple[str, ...]] = ("instruction", "block")
    secret: ClassVar[bool] = True
    instruction: str
    block: int
    bits: KeyMaterial


class Records(_Result, frozen=True, gc=False):
    """Answer Read of a raw block: what this end recorded, one entry for each click.

    A receiver tells the `positions` of its clicks; a transmitter the pulses `sent` of each intensity, and the
    `intensities` of the pulses asked for. Packed as `physics.postprocessing.sifting` does.
    """

    logged: ClassVar[tuple[str, ...]] = ("instruction", "block", "clicks")
    secret: ClassVar[bool] = True
    instruction: str
    block: int
    clicks: int
    sent: Triple
    positions: bytes
    intensities: bytes
    bases: bytes
    bits: KeyMaterial


class NothingToRead(_Result, frozen=True, gc=False):
    """Answer Read: the device does not hold that block, or not that many bits."""

    logged: ClassVar[tuple[str, ...]] = ("instruction", "block")
    instruction: str
    block: int


class SignalReport(_Result, frozen=True, gc=False):
    """Report that the signal monitor of a site sees a bearer's signal, or lost it.

    `loss_db` is the loss it measures; meaningless while `up` is false.
    """

    logged: ClassVar[tuple[str, ...]] = ("bearer", "up")
    bearer: str
    up: bool
    loss_db: float

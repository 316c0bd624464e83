"""What the devices of a raw block give: each its own records, and nothing of the other's."""

import numpy as np

from qstrata.core.effects import Computation
from qstrata.core.errors import InputError
from qstrata.core.secrets import KeyMaterial
from qstrata.core.time import PS_PER_US
from qstrata.fabric.messages.device import NothingToRead, Read, Records
from qstrata.physics.click_records import Clicks
from qstrata.physics.counts import Triple
from qstrata.physics.postprocessing.sifting import (
    pack_bits,
    pack_intensities,
    pack_positions,
    unpack_positions,
)

READ_PS = 500 * PS_PER_US
READ_CLICK_PS = 120_000
"""Reading records takes a device READ_PS, and so much more for each click."""


class Reading:
    """What a device read of a raw block."""

    def __init__(self, answer: Records | NothingToRead) -> None:
        self.answer = answer

    def wipe(self) -> None:
        """Overwrite the bits: nobody wants them any more."""
        if isinstance(self.answer, Records):
            self.answer.bits.wipe()


def reading_ps(clicks: Clicks) -> int:
    """Return the time that a device takes to read the records of a block."""
    return READ_PS + len(clicks.records) * READ_CLICK_PS


def reading(end: int, link: str, read: Read, clicks: Clicks, sent: Triple) -> Computation:
    """Return the work of a device (0 transmitter, 1 receiver) that reads a raw block; it makes a Reading."""

    def read_out() -> Reading:
        records = transmitter_records if end == 0 else receiver_records
        return Reading(records(read, clicks, sent))

    return Computation(topic=f"records {link}", turn=read_out)


def receiver_records(read: Read, clicks: Clicks, sent: Triple) -> Records:
    """Return all clicks that the receiver saw: positions, its bases, its bits."""
    return Records(
        instruction=read.instruction,
        block=read.block,
        clicks=len(clicks.records),
        sent=(0, 0, 0),
        positions=pack_positions(clicks.positions),
        intensities=b"",
        bases=pack_bits(clicks.receiver_bases),
        bits=KeyMaterial(pack_bits(clicks.receiver_bits)),
    )


def transmitter_records(read: Read, clicks: Clicks, sent: Triple) -> Records | NothingToRead:
    """Return what was sent in the pulses asked for: intensities, bases, bits.

    A pulse that gave no click was sent too, but nobody has a use for it: asking for one gets nothing.
    """
    try:
        asked = unpack_positions(read.positions)
    except InputError:
        return NothingToRead(read.instruction, read.block)
    found = np.searchsorted(clicks.positions, asked)
    if not np.array_equal(clicks.positions[found[found < len(clicks.positions)]], asked):
        return NothingToRead(read.instruction, read.block)
    picked = Clicks(asked, clicks.records[found])
    return Records(
        instruction=read.instruction,
        block=read.block,
        clicks=len(asked),
        sent=sent,
        positions=b"",
        intensities=pack_intensities(picked.intensities),
        bases=pack_bits(picked.sender_bases),
        bits=KeyMaterial(pack_bits(picked.sender_bits)),
    )

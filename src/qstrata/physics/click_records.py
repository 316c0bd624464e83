"""Records of clicks: what both ends of a link would write down of each, and what counts they make."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstrata.physics.counts import Counts, Triple

SENDER_BIT, RECEIVER_BIT, SENDER_X, RECEIVER_X = 1, 2, 4, 8
INTENSITY_SHIFT = 4
"""A record is a byte: these four flags, and the intensity (0 signal, 1 weak, 2 vacuum) above them."""


class Clicks(msgspec.Struct, frozen=True):
    """Hold clicks in the order of their pulses: numbers of pulses, ascending, and a record byte for each."""

    positions: NDArray[np.int64]
    records: NDArray[np.uint8]

    @property
    def sender_bits(self) -> NDArray[np.uint8]:
        """The bits that the sender prepared."""
        return self._flag(SENDER_BIT)

    @property
    def receiver_bits(self) -> NDArray[np.uint8]:
        """The bits that the receiver measured."""
        return self._flag(RECEIVER_BIT)

    @property
    def sender_bases(self) -> NDArray[np.uint8]:
        """The bases of the sender: 0 for Z, 1 for X."""
        return self._flag(SENDER_X)

    @property
    def receiver_bases(self) -> NDArray[np.uint8]:
        """The bases of the receiver: 0 for Z, 1 for X."""
        return self._flag(RECEIVER_X)

    @property
    def intensities(self) -> NDArray[np.uint8]:
        """The intensities: 0 signal, 1 weak, 2 vacuum."""
        return (self.records >> INTENSITY_SHIFT).astype(np.uint8)

    def _flag(self, flag: int) -> NDArray[np.uint8]:
        flags: NDArray[np.uint8] = (self.records & flag != 0).astype(np.uint8)
        return flags


NO_CLICKS = Clicks(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8))


def joined(parts: list[Clicks]) -> Clicks:
    """Return the clicks of adjacent stretches as one, positions as they are."""
    if not parts:
        return NO_CLICKS
    return Clicks(
        np.concatenate([part.positions for part in parts]), np.concatenate([part.records for part in parts])
    )


def counts_of(clicks: Clicks, sent: Triple, double_clicks: int = 0) -> Counts:
    """Count clicks as level `counts` does: what a world that sees both ends knows of them.

    When a click came within its window no record says, nor what a transmitter's watch detector saw.
    """
    kinds = np.bincount(clicks.records, minlength=48)[:48].reshape(3, 2, 2, 2, 2)
    per_intensity = kinds.sum(axis=(3, 4))
    wrong = kinds[..., 0, 1] + kinds[..., 1, 0]
    return Counts(
        sent=sent,
        n=(triple(per_intensity[:, 0, 0]), triple(per_intensity[:, 1, 1])),
        m=(triple(wrong[:, 0, 0]), triple(wrong[:, 1, 1])),
        detections=len(clicks.records),
        clicks_z=int(per_intensity[:, 0, :].sum()),
        double_clicks=double_clicks,
        clicks_one=int(clicks.receiver_bits.sum()),
    )


def triple(values: NDArray[np.int64]) -> Triple:
    """Return three numbers of an array."""
    signal, weak, vacuum = values.tolist()
    return signal, weak, vacuum

"""What the suite of engines checks at level `clicks`: each device tells its own records, and they fit."""

import math
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstrata.core.address import Address
from qstrata.fabric.messages.device import BlockClosed, Discard, NothingToRead, Read, Records
from qstrata.physics.counts import Counts, expected_counts
from qstrata.physics.parameters import decoy
from qstrata.physics.postprocessing.sifting import (
    pack_positions,
    unpack_bits,
    unpack_intensities,
    unpack_positions,
)
from qstrata.testing.bench import Bench, require
from qstrata.twin.plan import LinkPlan

_STANDARD_ERRORS = 5.0
_READS_PER_BLOCK = 4
"""A read is answered within a quarter of a block: devices hold eight."""

Run = Callable[[int], Bench]
"""Runs the devices of a link at level `clicks` for some blocks, from a seed."""


class ClickSuite:
    """Check the devices of one link that give raw blocks; AssertionError says which promise was broken."""

    def __init__(self, run: Run, link: LinkPlan) -> None:
        self._run = run
        self._link = link
        self._alice, self._bob = link.transmitter.agent, link.receiver.agent

    def check(self) -> None:
        """Check all promises."""
        bench = self._run(1)
        block = self._first(bench)
        seen = self._read(bench, self._bob, block.block)
        sent = self._read(bench, self._alice, block.block, seen.positions)
        self._check_records(block, seen, sent)
        self._check_bits(block, seen, sent)
        self._check_reads(bench, block, seen)
        again, other = (self._read(each, self._bob, 1) for each in (self._run(1), self._run(2)))
        require(again.positions == seen.positions, "the same seed gives other clicks")
        require(other.positions != seen.positions, "another seed gives the same clicks")

    def _first(self, bench: Bench) -> BlockClosed:
        closed = bench.heard(self._alice, BlockClosed)
        require(bool(closed), "no block was closed in three and a half block times")
        require(closed == bench.heard(self._bob, BlockClosed), "the two ends are told of different blocks")
        for block in closed:
            require(block.raw, f"block {block.block} is not raw")
            require(isinstance(block.counts, Counts), f"block {block.block} has no counts of clicks")
            told = block.counts.n if isinstance(block.counts, Counts) else ()
            require(not any(map(any, told)), "devices tell what only a comparison of both can say")
        return closed[0]

    def _answer(
        self, bench: Bench, owner: Address, number: int, positions: bytes = b""
    ) -> Records | NothingToRead:
        known = len(bench.told)
        bench.tell(owner, Read(f"read {known}", number, 0, positions))
        bench.run(self._link.block_ps // _READS_PER_BLOCK)
        for _, to, message in bench.told[known:]:
            if to == owner and isinstance(message, Records | NothingToRead):
                return message
        raise AssertionError("a Read of a raw block is not answered")

    def _read(self, bench: Bench, owner: Address, number: int, positions: bytes = b"") -> Records:
        answer = self._answer(bench, owner, number, positions)
        require(isinstance(answer, Records), f"block {number} was closed and cannot be read")
        assert isinstance(answer, Records)
        return answer

    def _check_records(self, block: BlockClosed, seen: Records, sent: Records) -> None:
        counts = block.counts
        assert isinstance(counts, Counts)
        positions = unpack_positions(seen.positions)
        require(
            len(positions) == seen.clicks == counts.detections, "there are not as many records as detections"
        )
        require(
            len(positions) > 0 and int(positions[-1]) < counts.pulses,
            "a click is of a pulse that was not sent",
        )
        require(not seen.intensities and not any(seen.sent), "a receiver tells what the transmitter sent")
        require(sent.clicks == seen.clicks, "a transmitter does not tell of every pulse asked for")
        require(not sent.positions, "a transmitter tells where clicks were")
        require(sum(sent.sent) == counts.pulses, "the pulses sent are not those of the block")
        require(
            int((_bases(seen) == 0).sum()) == counts.clicks_z, "the clicks in Z are not those of the records"
        )

    def _check_bits(self, block: BlockClosed, seen: Records, sent: Records) -> None:
        """Compare both ends' records with what the closed forms expect of the link."""
        equal = _bases(seen) == _bases(sent)
        wrong = unpack_bits(seen.bits.reveal(), seen.clicks) != unpack_bits(sent.bits.reveal(), sent.clicks)
        intensities = unpack_intensities(sent.intensities, sent.clicks)
        expected = expected_counts(decoy(self._link.parameters), float(block.counts.pulses))
        for basis, name in enumerate("ZX"):
            sifted = equal & (_bases(seen) == basis)
            errors = int((sifted & wrong).sum())
            _near(int(sifted.sum()), sum(expected.n[basis]), f"sifted clicks in {name}")
            _near(errors, sum(expected.m[basis]), f"errors in {name}")
            for intensity in range(3):
                found = int((sifted & (intensities == intensity)).sum())
                _near(found, expected.n[basis][intensity], f"clicks of intensity {intensity} in {name}")

    def _check_reads(self, bench: Bench, block: BlockClosed, seen: Records) -> None:
        number = block.block
        again = self._read(bench, self._bob, number)
        require(
            (again.positions, again.bits.reveal()) == (seen.positions, seen.bits.reveal()),
            "a block read again gives other records",
        )
        clicks = unpack_positions(seen.positions)
        silent = np.setdiff1d(np.arange(len(clicks) + 1), clicks)[:1]
        refused = self._answer(bench, self._alice, number, pack_positions(silent))
        require(isinstance(refused, NothingToRead), "a pulse without a click can be asked for")
        require(
            isinstance(self._answer(bench, self._bob, 10_000), NothingToRead),
            "a block that never was can be read",
        )
        bench.tell(self._bob, Discard("discard", number))
        require(
            isinstance(self._answer(bench, self._bob, number), NothingToRead),
            "a discarded block can still be read",
        )
        require(
            isinstance(self._answer(bench, self._alice, number, seen.positions), Records),
            "a block discarded at one end is gone at the other",
        )


def at_clicks(link: LinkPlan) -> LinkPlan:
    """Return a link at level `clicks`."""
    return msgspec.structs.replace(link, level="clicks")


def _bases(records: Records) -> NDArray[np.uint8]:
    return unpack_bits(records.bases, records.clicks)


def _near(found: int, expected: float, what: str) -> None:
    spread = math.sqrt(max(1.0, expected))
    require(
        abs(found - expected) <= _STANDARD_ERRORS * spread,
        f"{found} {what} are in the records, {expected:.1f} are expected: more than 5 standard errors off",
    )

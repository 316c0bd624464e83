"""BB84 by the instruction set alone: start both devices, read what they counted or recorded, and sift it."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from qstrata.core.address import Address
from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.device import BlockClosed, CountsReport, Discard, Read, Records
from qstrata.physics.counts import Counts, add, zero
from qstrata.physics.parameters import KeyLinkParameters, LinkParameters
from qstrata.physics.postprocessing.sifting import unpack_bits, unpack_intensities
from qstrata.physics.profiles import profile
from qstrata.twin.native import CLICKS
from tests.unit.twin.harness import ALICE, BOB, World, inject, link_plan, switch_on, twin_plan

GYS_50_KM_DB = 10.5
"""50 km at 0.21 dB/km: the link of the worked values."""


def link(loss_db: float = GYS_50_KM_DB, **changes: float) -> LinkParameters:
    """Return the default devices on a channel, some figures changed."""
    return msgspec.structs.replace(profile().link_parameters(loss_db), **changes)


def _world(
    parameters: KeyLinkParameters, level: str, window_s: int, seed: int, faults: dict[str, float]
) -> World:
    window_ps = window_s * PS_PER_S
    plan = link_plan("a", "b", parameters=parameters, level=level, block_ps=window_ps)
    world = World(twin_plan(plan, seed=seed, report_period_ps=window_ps))
    for kind, amount in faults.items():
        answer = inject(world, kind, amount=amount)
        if answer.error:
            raise AssertionError(answer.error)
    switch_on(world)
    return world


def count(
    parameters: KeyLinkParameters, windows: int, window_s: int = 60, seed: int = 1, **faults: float
) -> list[Counts]:
    """Run a link at level `counts` and return what each window reported; `faults` are injected before."""
    named = {kind.replace("_", "-"): amount for kind, amount in faults.items()}
    world = _world(parameters, "counts", window_s, seed, named)
    # A link begins where its name says in the period of reports.
    world.run_until((windows + 1) * window_s * PS_PER_S + PS_PER_S)
    reports = [report.counts for report in world.received(BOB, CountsReport)]
    if len(reports) < windows:
        raise AssertionError(f"{len(reports)} reports of {windows} came")
    return reports[:windows]


def total(windows: list[Counts]) -> Counts:
    """Return the sum of windows."""
    summed = zero()
    for window in windows:
        summed = add(summed, window)
    return summed


def click(
    parameters: LinkParameters, blocks: int, block_s: int = 1, seed: int = 1, **faults: float
) -> Counts:
    """Run a link at level `clicks`, read the records of both ends, sift them, and return the counts."""
    named = {kind.replace("_", "-"): amount for kind, amount in faults.items()}
    world = _world(parameters, CLICKS, block_s, seed, named)
    summed = zero()
    for number in range(1, blocks + 1):
        while not any(closed.block == number for closed in world.received(BOB, BlockClosed)):
            world.run_until(world.now + PS_PER_S // 10)
        summed = add(summed, _sifted(world, number))
        world.sent[:] = [kept for kept in world.sent if isinstance(kept[3], BlockClosed)]
    return summed


def _sifted(world: World, number: int) -> Counts:
    detected = _records(world, BOB, Read(f"r{number}", number, 0))
    prepared = _records(world, ALICE, Read(f"t{number}", number, 0, detected.positions))
    clicks = detected.clicks
    bits = [unpack_bits(end.bits.reveal(), clicks) for end in (prepared, detected)]
    bases = [unpack_bits(end.bases, clicks) for end in (prepared, detected)]
    kinds = unpack_intensities(prepared.intensities, clicks)
    wrong = bits[0] != bits[1]
    equal = [(bases[0] == basis) & (bases[1] == basis) for basis in (0, 1)]
    counts = Counts(
        sent=prepared.sent,
        n=(_by_intensity(kinds[equal[0]]), _by_intensity(kinds[equal[1]])),
        m=(_by_intensity(kinds[equal[0] & wrong]), _by_intensity(kinds[equal[1] & wrong])),
        detections=clicks,
        clicks_z=int(np.count_nonzero(bases[1] == 0)),
        clicks_one=int(np.count_nonzero(bits[1])),
    )
    for owner in (ALICE, BOB):
        world.tell(owner, Discard(f"d{number}", number))
    return counts


def _by_intensity(kinds: NDArray[np.uint8]) -> tuple[int, int, int]:
    signal, weak, vacuum = np.bincount(kinds, minlength=3).tolist()
    return signal, weak, vacuum


def _records(world: World, owner: Address, asked: Read) -> Records:
    """Read raw records, which takes the device a while."""
    world.tell(owner, asked)
    while True:
        for told in world.received(owner, Records):
            if told.instruction == asked.instruction:
                return told
        world.run_until(world.now + PS_PER_S // 100)

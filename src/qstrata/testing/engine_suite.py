"""The conformance suite of engines: what agents rely on, checked on any engine or driver of devices.

The suite speaks the instruction set (T6) to the two devices of one link, in virtual time.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import msgspec

from qstrata.core.address import Address, End
from qstrata.core.effects import Work, WorkDone
from qstrata.core.randomness import stream
from qstrata.core.time import PS_PER_MS, PS_PER_S
from qstrata.fabric.messages.device import (
    Bits,
    BlockClosed,
    CountsReport,
    DeviceFault,
    Discard,
    Measure,
    NothingToRead,
    PrepareAndSend,
    Read,
    Started,
    Tick,
)
from qstrata.physics.parameters import LinkParameters
from qstrata.physics.profiles import profile
from qstrata.physics.tallies import add, raw_bits
from qstrata.testing.bench import Bench, BenchPort, DoWork, no_work, require
from qstrata.testing.click_suite import ClickSuite, at_clicks
from qstrata.twin.contract import EngineFactory, LinkTask, Part
from qstrata.twin.faults import LOSS, FaultBook
from qstrata.twin.key_link import Binder, KeyLink
from qstrata.twin.native import CLICKS
from qstrata.twin.plan import LinkEnd, LinkPlan

BLOCK_PS = PS_PER_S
PERIOD_PS = PS_PER_S // 2
KEY_BITS = 256
_SETTLE_PS = 100 * PS_PER_MS
_BLOCKS = 3

MakeDevices = Callable[[int, Mapping[Address, Binder]], Part]
"""Makes the devices of `SUITE_LINK`, stopped, from a seed and the ports of both by address."""


def _end(site: str, name: str) -> LinkEnd:
    agent = Address(End.FORWARDING_RES, "suite", site, f"agent.{name}")
    return LinkEnd(site, Address(End.WORLD, "suite", site, f"qkd.{name}"), agent)


def suite_parameters() -> LinkParameters:
    """Return a short, slow link whose blocks of one second any engine makes."""
    return msgspec.structs.replace(
        profile().link_parameters(1.0), pulse_rate_hz=10_000.0, eta_bob=0.9, signal_intensity=0.6, y0=1e-5
    )


SUITE_LINK = LinkPlan(
    name="a-b",
    transmitter=_end("a", "a-b"),
    receiver=_end("b", "a-b"),
    parameters=suite_parameters(),
    fibre="fibre/a-b",
    distillation="a-b/distillation",
    relay="a-b/relay",
    length_km=5.0,
    block_ps=BLOCK_PS,
    block_key_bits=KEY_BITS,
)
_NOTHING = SUITE_LINK.parameters.protocol.nothing
ALICE, BOB = SUITE_LINK.transmitter.agent, SUITE_LINK.receiver.agent


def check_engine(factory: EngineFactory, do: DoWork = no_work) -> None:
    """Check an engine against everything that agents rely on.

    `factory(task)` makes the engine of a link, `do(work)` does its work off the loop. Raises AssertionError
    that says which promise was broken.
    """
    is_off_loop = factory(suite_task(1)).capabilities().off_loop

    def make(seed: int, ports: Mapping[Address, Binder]) -> Part:
        return KeyLink(SUITE_LINK, factory(suite_task(seed)), ports, 0, PERIOD_PS)

    check_devices(make, do, fails=is_off_loop)
    if CLICKS in factory(suite_task(1, CLICKS)).capabilities().levels:
        link = at_clicks(SUITE_LINK)
        check_raw_devices(
            lambda seed, ports: KeyLink(link, factory(suite_task(seed, CLICKS)), ports, 0, PERIOD_PS), do
        )


def check_raw_devices(make: MakeDevices, do: DoWork = no_work) -> None:
    """Check the two devices of a link at level `clicks`, which give raw blocks, as `check_devices`."""

    def run(seed: int) -> Bench:
        return _run(lambda seed: Bench(make(seed, _PORTS), do), seed)

    ClickSuite(run, at_clicks(SUITE_LINK)).check()


def check_devices(make: MakeDevices, do: DoWork = no_work, *, fails: bool = False) -> None:
    """Check the two devices of a link, of an engine or a driver, against everything that agents rely on.

    `fails`: their blocks are work off the loop, whose failures they must tell. Raises AssertionError that
    says which promise was broken.
    """
    for check in _CHECKS:
        check(lambda seed: Bench(make(seed, _PORTS), do))
    if fails:
        _check_failures(make, do)


_PORTS = {end.device: BenchPort() for end in SUITE_LINK.ends}


def suite_task(seed: int, level: str = "counts") -> LinkTask:
    """Return what an engine of the suite's link is made for, at a level of detail."""
    return LinkTask(
        link=SUITE_LINK.name,
        parameters=SUITE_LINK.parameters,
        length_km=SUITE_LINK.length_km,
        block_ps=BLOCK_PS,
        period_ps=PERIOD_PS,
        first_block=1,
        seed=seed,
        key_bits=lambda block: stream(seed, "suite", block),
        block_key_bits=KEY_BITS,
        level=level,
    )


Make = Callable[[int], Bench]


def _start(bench: Bench) -> None:
    for owner, go in ((ALICE, PrepareAndSend("start")), (BOB, Measure("start"))):
        bench.tell(owner, Tick("tick", PERIOD_PS))
        require(Started("start") in bench.tell(owner, go), f"{go} is not answered with Started")


def _run(make: Make, seed: int = 1, blocks: int = _BLOCKS) -> Bench:
    bench = make(seed)
    _start(bench)
    bench.run(blocks * BLOCK_PS + BLOCK_PS // 2 + _SETTLE_PS)
    return bench


def _closed(bench: Bench, owner: Address = ALICE) -> list[BlockClosed]:
    closed = bench.heard(owner, BlockClosed)
    require(bool(closed), "no block was closed in three and a half block times")
    return closed


def _length(block: BlockClosed) -> int:
    return block.distilled_bits or raw_bits(block.counts)


def _read(bench: Bench, owner: Address, number: int, length_bits: int) -> bytes | None:
    (answer,) = bench.tell(owner, Read(f"read {number}", number, length_bits))
    require(isinstance(answer, Bits | NothingToRead), f"Read is answered with {type(answer).__name__}")
    return answer.bits.reveal() if isinstance(answer, Bits) else None


def _check_start(make: Make) -> None:
    bench = make(1)
    bench.tell(ALICE, Tick("tick", PERIOD_PS))
    bench.tell(ALICE, PrepareAndSend("start"))
    bench.run(2 * BLOCK_PS)
    require(not bench.heard(ALICE, BlockClosed), "a block was made while the receiver was off")


def _check_blocks(make: Make) -> None:
    bench = _run(make)
    closed = _closed(bench)
    numbers = [block.block for block in closed]
    require(numbers == list(range(1, len(numbers) + 1)), f"blocks are numbered {numbers}, not from 1 on")
    require(closed == _closed(bench, BOB), "the two ends are told of different blocks")
    for block in closed:
        parts = [report.counts for report in bench.heard(BOB, CountsReport) if report.block == block.block]
        require(
            reduce(add, parts, _NOTHING) == block.counts,
            f"the reports of block {block.block} do not add up to it",
        )
        require(_length(block) >= 64, f"block {block.block} of a good link has {_length(block)} bits")


def _check_due(make: Make) -> None:
    bench = _run(make)
    for at_ps, _, message in bench.told:
        if isinstance(message, BlockClosed):
            least = message.block * BLOCK_PS
            require(at_ps >= least, f"block {message.block} was told at {at_ps} ps, before {least} ps")


def _check_bits(make: Make) -> None:
    bench = _run(make)
    block = _closed(bench)[0]
    number, length = block.block, _length(block)
    both = [_read(bench, owner, number, length) for owner in (ALICE, BOB)]
    require(both[0] is not None and both[0] == both[1], "the two ends read different bits of one block")
    require(_read(bench, ALICE, number, length) == both[0], "a block read again gives other bits")
    require(
        (both[0] or b"").startswith(_read(bench, BOB, number, 32) or b"?"), "a shorter read begins otherwise"
    )
    require(_read(bench, ALICE, number, length + 1) is None, "more bits can be read than the block has")
    require(_read(bench, ALICE, 10_000, 8) is None, "a block that never was can be read")
    bench.tell(ALICE, Discard("discard", number))
    require(_read(bench, ALICE, number, 8) is None, "a discarded block can still be read")
    require(_read(bench, BOB, number, 8) is not None, "a block discarded at one end is gone at the other")


def _check_repeats(make: Make) -> None:
    once, twice = _run(make), make(1)
    _start(twice)
    twice.run(BLOCK_PS + BLOCK_PS // 4)
    answer = twice.tell(BOB, Measure("start"))
    require(Started("start") in answer, "an instruction that comes twice is not answered twice")
    twice.run(once.now - twice.now)
    first = [block for block in twice.heard(ALICE, BlockClosed) if block.block == 1]
    require(first == _closed(once)[:1], "an instruction that comes twice is done twice")
    require(_closed(once) == _closed(twice), "an instruction that comes twice is done twice")


def _check_stop(make: Make) -> None:
    bench = make(1)
    _start(bench)
    bench.run(BLOCK_PS + BLOCK_PS // 2)
    bench.tell(ALICE, Discard("stop", -1))
    bench.run(_SETTLE_PS)
    told = len(bench.told)
    bench.run(3 * BLOCK_PS)
    require(len(bench.told) == told, "stopped devices go on telling")
    bench.tell(ALICE, PrepareAndSend("again"))
    bench.run(3 * BLOCK_PS)
    numbers = [block.block for block in _closed(bench, BOB)]
    require(len(numbers) == len(set(numbers)) > 1, f"devices that start again close blocks {numbers}")


def _check_seeds(make: Make) -> None:
    one, same, other = (_run(make, seed, 1) for seed in (1, 1, 2))
    bits = [_read(bench, ALICE, 1, _length(_closed(bench)[0])) for bench in (one, same, other)]
    require(_closed(one) == _closed(same) and bits[0] == bits[1], "the same seed gives other blocks")
    require((bits[0] or b"")[:8] != (bits[2] or b"")[:8], "another seed gives the same bits")


def _check_change(make: Make) -> None:
    bench = make(1)
    _start(bench)
    bench.run(BLOCK_PS // 2)
    faults = FaultBook({SUITE_LINK.name: SUITE_LINK.fibre}, ())
    faults.inject(LOSS, SUITE_LINK.name, 1.0, bench.now)
    bench.perform(bench.devices.follow(SUITE_LINK.fibre, faults, bench.now))
    bench.run(3 * BLOCK_PS)
    _closed(bench)
    _check_sums(bench)


def _check_sums(bench: Bench) -> None:
    for block in _closed(bench):
        parts = [report.counts for report in bench.heard(BOB, CountsReport) if report.block == block.block]
        require(
            reduce(add, parts, _NOTHING) == block.counts, "reports across a change do not add up to the block"
        )


def _check_failures(make: MakeDevices, do: DoWork) -> None:
    failing = True

    def sometimes(work: Work) -> WorkDone:
        return WorkDone(failure="it crashed") if failing else do(work)

    bench = Bench(make(1, _PORTS), sometimes)
    _start(bench)
    bench.run(BLOCK_PS + BLOCK_PS // 2)
    require(not bench.heard(ALICE, BlockClosed), "a block whose work failed is told as closed")
    for owner in (ALICE, BOB):
        faults = [
            fault for fault in bench.heard(owner, DeviceFault) if fault.kind == "failed" and fault.raised
        ]
        require(bool(faults), "work that fails is told to nobody")
        require("it crashed" in faults[-1].finding, "the fault of work that failed does not say why")
    failing = False
    bench.run(3 * BLOCK_PS)
    _closed(bench)
    require(not bench.heard(ALICE, DeviceFault)[-1].raised, "a fault that is over is not told")


_CHECKS: Sequence[Callable[[Make], None]] = (
    _check_start,
    _check_blocks,
    _check_due,
    _check_bits,
    _check_repeats,
    _check_stop,
    _check_seeds,
    _check_change,
)

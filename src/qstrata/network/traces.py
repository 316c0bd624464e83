"""Files of recorded blocks for the engine `trace:FILE`: JSON Lines, read and written.

The first line is a `TraceHead`, every other line a `TraceLine`: a block, with figures of one of three kinds.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.network.protocols import find_protocol
from qstrata.physics.counts import ZERO_COUNTS, Counts
from qstrata.physics.quadratures import Quadratures
from qstrata.physics.tallies import Tally
from qstrata.twin.trace import RecordedBlock, Trace

MAX_TRACE_BYTES = 64 * 1024 * 1024
MAX_PULSES = 2**53
"""No figure of a block is larger: programs that read JSON by floating point read it right."""

MAX_KEY_BITS = 8_000_000
"""A block brings no more key, a quarter of what a link pool holds."""

T = TypeVar("T")

Figure = Annotated[int, Meta(ge=0, le=MAX_PULSES)]


class TraceHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line: version of the format, protocol, pulses a second, what comes after the last block."""

    trace: Literal[1]
    protocol: str
    pulse_rate_hz: Annotated[float, Meta(gt=0.0, le=1e11)]
    at_end: Literal["repeat", "stop"] = "stop"


class KeyFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What devices that distil by themselves tell of a block: bits sifted, their error rate, bits of key."""

    sifted_bits: Figure
    qber: Annotated[float, Meta(ge=0.0, le=1.0)]
    secret_bits: Annotated[int, Meta(ge=8, le=MAX_KEY_BITS)]


class TraceLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A block: how long it took, and `counts` of clicks, sums of `quadratures`, or its `key`."""

    seconds: Annotated[float, Meta(ge=0.1, le=86_400.0)]
    counts: Counts | None = None
    quadratures: Quadratures | None = None
    key: KeyFigures | None = None


class TraceError(InputError):
    """Say what is wrong with a trace, and where: `file:line:column`."""


def read_trace(path: Path) -> Trace:
    """Read a trace; InputError for one that is not there, TraceError for what is wrong in it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TRACE_BYTES + 1)
    except OSError as fault:
        raise InputError(f"the trace {path} cannot be read: {fault.strerror}") from fault
    if len(data) > MAX_TRACE_BYTES:
        raise InputError(
            f"the trace {path} is larger than {MAX_TRACE_BYTES} bytes: leave out its first blocks"
        )
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    if len(lines) < 2:
        raise TraceError(
            f"{path}:1:1: a trace has a first line that says what it is, and a line for each block"
        )
    head = _decoded(path, *lines[0], TraceHead)
    try:
        nothing = find_protocol(head.protocol).nothing
    except InputError as fault:
        raise _fault(path, *lines[0], "protocol", str(fault)) from fault
    blocks = tuple(_block(path, number, line, head, nothing) for number, line in lines[1:])
    return Trace(
        name=path.name,
        protocol=head.protocol,
        pulse_rate_hz=head.pulse_rate_hz,
        at_end=head.at_end,
        blocks=blocks,
    )


def write_trace(head: TraceHead, blocks: Iterable[tuple[float, Tally]]) -> Iterator[str]:
    """Yield the lines of a trace of blocks: seconds, and what was tallied."""
    yield msgspec.json.encode(head).decode()
    for seconds, tally in blocks:
        if isinstance(tally, Counts):
            line = TraceLine(seconds=seconds, counts=tally)
        else:
            line = TraceLine(seconds=seconds, quadratures=tally)
        yield msgspec.json.encode(line).decode()


def _block(path: Path, number: int, line: bytes, head: TraceHead, nothing: Tally) -> RecordedBlock:
    read = _decoded(path, number, line, TraceLine)
    given = [name for name in ("counts", "quadratures", "key") if getattr(read, name) is not None]
    wanted = "counts" if isinstance(nothing, Counts) else "quadratures"
    if len(given) != 1 or given[0] not in (wanted, "key"):
        told = (
            f"a block of {head.protocol} has `{wanted}` or `key`, this one {' and '.join(given) or 'neither'}"
        )
        raise _fault(path, number, line, given[0] if given else "", told)
    duration_ps = round(read.seconds * PS_PER_S)
    if read.key is not None:
        return _distilled(path, number, line, head, read.key, duration_ps, nothing)
    tally: Tally = read.counts or read.quadratures or nothing
    if told := _contradiction(tally):
        raise _fault(path, number, line, wanted, told)
    pulses = head.pulse_rate_hz * read.seconds
    if abs(tally.pulses - pulses) > 0.01 * pulses + 1.0:
        rate = f"`pulse_rate_hz` {head.pulse_rate_hz:g}"
        told = f"{tally.pulses} pulses in {read.seconds:g} s are not those of {rate}"
        raise _fault(path, number, line, "seconds", told)
    return RecordedBlock(duration_ps=duration_ps, tally=tally)


def _distilled(
    path: Path, number: int, line: bytes, head: TraceHead, key: KeyFigures, duration_ps: int, nothing: Tally
) -> RecordedBlock:
    if key.secret_bits > key.sifted_bits:
        raise _fault(path, number, line, "secret_bits", "a block has no more secret bits than sifted ones")
    pulses = round(head.pulse_rate_hz * duration_ps / PS_PER_S)
    if key.sifted_bits > (pulses if isinstance(nothing, Counts) else 2 * pulses):
        told = f"so many sifted bits do not come of {pulses} pulses"
        raise _fault(path, number, line, "sifted_bits", told)
    if not isinstance(nothing, Counts):
        return RecordedBlock(
            duration_ps=duration_ps,
            tally=Quadratures(symbols=pulses),
            distilled_bits=key.secret_bits // 8 * 8,
        )
    errors = round(key.qber * key.sifted_bits)
    tally = msgspec.structs.replace(
        ZERO_COUNTS,
        sent=(pulses, 0, 0),
        n=((key.sifted_bits, 0, 0), (0, 0, 0)),
        m=((errors, 0, 0), (0, 0, 0)),
        detections=key.sifted_bits,
    )
    return RecordedBlock(duration_ps=duration_ps, tally=tally, distilled_bits=key.secret_bits // 8 * 8)


def _contradiction(tally: Tally) -> str:
    """Return what no devices can have counted, empty if nothing."""
    if not isinstance(tally, Counts):
        if min(tally.symbols, tally.key_values, tally.tested_values) < 0:
            return "a number of symbols or values is negative"
        if not tally.symbols <= tally.key_values + tally.tested_values <= 2 * tally.symbols:
            return "a symbol has one value or two"
        if min(tally.sent_squares, tally.measured_squares) < 0:
            return "a sum of squares is negative"
        fits = tally.products**2 <= tally.sent_squares * tally.measured_squares
        return "" if fits else "products are too large"
    if min(tally.sent) < 0:
        return "a number of pulses is negative"
    for n, m in zip(tally.n, tally.m, strict=True):
        if any(not 0 <= errors <= clicks for clicks, errors in zip(n, m, strict=True)):
            return "there are more errors than clicks, or fewer than none"
    if sum(map(sum, tally.n)) > tally.detections:
        return "there are more clicks in equal bases than `detections`"
    return "" if tally.detections <= tally.pulses else "there are more `detections` than pulses"


def _decoded(path: Path, number: int, line: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.ValidationError as fault:
        told, _, at = str(fault).partition(" - at `")
        keys = re.findall(r"[A-Za-z_]+", at)
        raise _fault(path, number, line, keys[-1] if keys else "", told) from fault
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        place = re.search(r"byte (\d+)", str(fault))
        column = int(place[1]) + 1 if place else 1
        raise TraceError(f"{path}:{number}:{column}: {fault}") from fault


def _fault(path: Path, number: int, line: bytes, key: str, told: str) -> TraceError:
    """Return a fault at a key of a line."""
    column = max(0, line.find(f'"{key}"'.encode())) + 1
    return TraceError(f"{path}:{number}:{column}: {told}")

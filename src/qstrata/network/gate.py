"""The clock gate: a program outside drives virtual time, one JSON object a line each way.

`{"advance_to_s": 12.5}` runs everything that is due until then and is answered `{"reached_s": 12.5}`;
`"stop"` ends the run and is answered with its report, as the end of input is. What cannot be done is answered
`{"error": "..."}`, and time stays.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from qstrata.core.time import PS_PER_S, to_seconds
from qstrata.network.simulation import Simulation, SimulationReport

STEP_MAX_S = 366 * 86_400
"""The gate opens at most so far at once."""


class _Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    advance_to_s: Decimal


class _Reached(msgspec.Struct, frozen=True):
    reached_s: float


class _Refused(msgspec.Struct, frozen=True):
    error: str


class Stopped(msgspec.Struct, frozen=True):
    """The last answer: where time stopped, and what the run did."""

    stopped_s: float
    report: SimulationReport


def drive(simulation: Simulation, lines: Iterable[bytes | str]) -> Iterator[_Reached | _Refused | Stopped]:
    """Follow the lines of a program, and yield the answer to each; the last one is Stopped."""
    for line in lines:
        if not line.strip():
            continue
        try:
            asked = msgspec.json.decode(line, type=_Advance | str)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            yield _Refused(f'{fault}: send {{"advance_to_s": SECONDS}} or "stop"')
            continue
        if isinstance(asked, str):
            if asked == "stop":
                break
            yield _Refused(f'{asked!r} is not known: send {{"advance_to_s": SECONDS}} or "stop"')
            continue
        yield _advance(simulation, asked.advance_to_s)
    yield Stopped(to_seconds(simulation.queue.now), simulation.report())


def _advance(simulation: Simulation, to_s: Decimal) -> _Reached | _Refused:
    now = simulation.queue.now
    reached_s = to_seconds(now)
    if not to_s.is_finite() or abs(to_s) > Decimal(10) ** 12:
        return _Refused(f"{to_s:g} s is no instant: time stands at {reached_s:g} s")
    time_ps = int(to_s * PS_PER_S)
    if time_ps < now:
        return _Refused(f"{to_s} s is past: time stands at {reached_s:g} s and never goes back")
    if time_ps - now > STEP_MAX_S * PS_PER_S:
        return _Refused(
            f"{to_s} s is too far: at most {STEP_MAX_S} s at once, time stands at {reached_s:g} s"
        )
    simulation.run_until(time_ps)
    return _Reached(to_seconds(simulation.queue.now))

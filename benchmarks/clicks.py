"""Measure decoy BB84 click by click against real time."""

import time

import msgspec

from benchmarks.measures import Figure
from qstrata.core.randomness import stream
from qstrata.physics.clicks import ClickSampler
from qstrata.physics.fibre import loss_db
from qstrata.physics.profiles import profile

PULSES = 10**9
STRETCHES = 10
ATTENUATION_DB_PER_KM = 0.2


def clicks() -> list[Figure]:
    """Sample a second of a source of 1 GHz at both ends, by length of the fibre, on one core."""
    return [_second(length_km) for length_km in (50, 100, 150)]


def _second(length_km: int) -> Figure:
    link = profile().link_parameters(loss_db(length_km, ATTENUATION_DB_PER_KM))
    sampler = ClickSampler(msgspec.structs.replace(link, pulse_rate_hz=1e9))
    generator = stream(1, "benchmark", "clicks", length_km)
    sampler.sample(generator, PULSES // STRETCHES)
    began_s = time.process_time()
    for _ in range(STRETCHES):
        drawn = sampler.sample(generator, PULSES // STRETCHES)
        sampler.sent(generator, drawn, PULSES // STRETCHES)
    spent_s = time.process_time() - began_s
    return Figure(
        "decoy BB84 by clicks, 1 GHz", f"{length_km} km", 1.0 / spent_s, "times real time", "at least 1"
    )

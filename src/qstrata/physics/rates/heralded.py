"""Pairs heralded at midpoint stations, over one hop or a chain of repeaters, as planners see them."""

import math
from collections.abc import Callable
from functools import partial

from qstrata.core.errors import InputError
from qstrata.core.time import PS_PER_S
from qstrata.physics import bell
from qstrata.physics.decoy_bb84 import binary_entropy
from qstrata.physics.fibre import propagation_delay_ps, transmittance
from qstrata.physics.heralding import Heralding, barrett_kok, single_click
from qstrata.physics.memories import MemoryParameters, age
from qstrata.physics.rates.model import (
    ATTENUATION_DB_PER_KM,
    FIBRE,
    FIXED_LOSS_DB,
    Column,
    Figure,
    Figures,
    RateModel,
)
from qstrata.physics.waiting import LINKS_MAX, mean_attempts_of_all

_OURS = "chosen by qstrata: the figures by which simulators of repeater chains are compared"

_HOPS = Figure(
    "hops", "elementary links of equal length; repeaters stand between them", "1", 1.0, LINKS_MAX, 1.0, _OURS
)
_COMMON = (
    *FIBRE,
    Figure("memory_efficiency", "a photon leaves the memory into the fibre", "1", 1e-4, 1.0, 0.9, _OURS),
    Figure("detector_efficiency", "efficiency of the midpoint's detectors", "1", 1e-4, 1.0, 0.8, _OURS),
    Figure(
        "attempt_rate_hz", "attempts a second, if no answer had to be awaited", "Hz", 1.0, 1e9, 1e6, _OURS
    ),
    Figure("depolarising_s", "time in which a stored pair depolarises to 1/e", "s", 1e-9, 1e6, 1.0, _OURS),
    _HOPS,
)
_FIDELITY = Figure("fidelity", "fidelity of a heralded pair", "1", 0.25, 1.0, 0.98, _OURS)
_BRIGHT = Figure("bright_population", "population of the emitting state", "1", 1e-6, 0.999, 0.05, _OURS)

_COLUMNS = (
    Column("hop_length", "km", "length of one hop"),
    Column("eta", "1", "transmittance of one arm: memory, half a hop, detector"),
    Column("herald_probability", "1", "an attempt is heralded"),
    Column(
        "attempt", "s", "time of one attempt: the longer of the memory's and light to the midpoint and back"
    ),
    Column("link_rate", "pairs/s", "heralded pairs of one hop"),
    Column("rate", "pairs/s", "end-to-end pairs where all hops wait for the slowest"),
    Column("fresh_fidelity", "1", "fidelity of an end-to-end pair without waiting"),
    Column("fidelity", "1", "fidelity where every hop waited as long as the average of all does"),
    Column("chsh", "1", "CHSH value of such pairs"),
    Column("qber", "1", "their error rate in BBM92"),
    Column("teleportation", "1", "mean fidelity of a teleported qubit"),
    Column("key_rate", "bit/s", "BBM92 key for blocks without end, perfect error correction"),
)


def _evaluate(
    herald: Callable[[Figures, float], Heralding], figures: Figures, length_km: float
) -> tuple[float, ...]:
    hops = round(figures["hops"])
    hop_km = length_km / hops
    loss = figures[ATTENUATION_DB_PER_KM] * hop_km / 2.0 + figures[FIXED_LOSS_DB]
    eta = figures["memory_efficiency"] * figures["detector_efficiency"] * transmittance(loss)
    heralded = herald(figures, eta)
    attempt_s = max(1.0 / figures["attempt_rate_hz"], propagation_delay_ps(hop_km) / PS_PER_S)
    attempts = mean_attempts_of_all(hops, heralded.probability)
    fresh = bell.chain_fidelity(heralded.fidelity, hops)
    waited_ps = round((attempts - 1.0 / heralded.probability) * attempt_s * PS_PER_S)
    memory = MemoryParameters(depolarising_s=figures["depolarising_s"])
    waiting = bell.fidelity(age(bell.werner(heralded.fidelity), memory, 2 * waited_ps))
    pair = bell.werner(bell.chain_fidelity(waiting, hops))
    error = max(bell.qber(pair))
    rate = 1.0 / (attempts * attempt_s)
    return (
        hop_km,
        eta,
        heralded.probability,
        attempt_s,
        heralded.probability / attempt_s,
        rate,
        fresh,
        bell.fidelity(pair),
        bell.chsh(pair),
        error,
        bell.teleportation_fidelity(bell.fidelity(pair)),
        rate * max(0.0, 1.0 - 2.0 * binary_entropy(error)),
    )


def _by_two_clicks(figures: Figures, eta: float) -> Heralding:
    return barrett_kok(eta, eta, figures["fidelity"])


def _by_one_click(figures: Figures, eta: float) -> Heralding:
    return single_click(figures["bright_population"], eta)


def _check(figures: Figures) -> None:
    """Refuse hops that are no whole number."""
    if not math.isclose(figures["hops"], round(figures["hops"])):
        raise InputError(f"hops is {figures['hops']:g}: give a whole number")


_model = partial(RateModel, columns=_COLUMNS, check=_check)

BARRETT_KOK = _model(
    "barrett-kok",
    "Pairs heralded by two clicks at midpoints, and swapped by repeaters where there are several hops",
    "Barrett, Kok 2005; Collins et al. 2007 (waiting); Briegel et al. 1998 (swapping)",
    figures=(*_COMMON, _FIDELITY),
    evaluate=partial(_evaluate, _by_two_clicks),
)

SINGLE_CLICK = _model(
    "single-click",
    "Pairs heralded by one click at midpoints, and swapped by repeaters where there are several hops",
    "Cabrillo et al. 1999; Collins et al. 2007 (waiting); Briegel et al. 1998 (swapping)",
    figures=(*_COMMON, _BRIGHT),
    evaluate=partial(_evaluate, _by_one_click),
)

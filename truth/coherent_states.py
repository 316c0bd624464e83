"""CV-QKD by the instruction set: gain, noise and key of what both ends disclosed, for both receivers."""

import math
from collections.abc import Callable
from functools import reduce

from qstrata.core.time import PS_PER_S
from qstrata.fabric.messages.device import CountsReport
from qstrata.physics.cv_qkd import devetak_winter
from qstrata.physics.protocols.cv import PROFILE, CoherentStateParameters
from qstrata.physics.quadratures import PER_SHOT_NOISE, Quadratures, joined
from tests.unit.physics.test_cv_qkd import by_covariance
from tests.unit.twin.harness import BOB, World, inject, link_plan, switch_on, twin_plan
from truth.row import Row, at_least

LOSS_DB, VARIANCE, EXCESS, ETA, V_EL, BETA = 5.0, 4.0, 0.01, 0.6, 0.05, 0.95
"""The worked example: 25 km at 0.2 dB/km."""
WINDOW_S = 60
FOSSIER, LODEWYCK = "Fossier et al. 2009", "Lodewyck et al. 2007: two units of shot noise"


def _measured(quadratures: int, windows: int, seed: int, **faults: float) -> Quadratures:
    """Run the devices and return the sums of what they disclosed."""
    parameters = PROFILE.link_parameters(LOSS_DB, quadratures=float(quadratures))
    window_ps = WINDOW_S * PS_PER_S
    plan = link_plan("a", "b", parameters=parameters, block_ps=window_ps)
    world = World(twin_plan(plan, seed=seed, report_period_ps=window_ps))
    for kind, amount in faults.items():
        answer = inject(world, kind.replace("_", "-"), amount=amount)
        if answer.error:
            raise AssertionError(answer.error)
    switch_on(world)
    world.run_until((windows + 1) * window_ps + PS_PER_S)
    reports = [report.counts for report in world.received(BOB, CountsReport)]
    told = [counts for counts in reports if isinstance(counts, Quadratures)][:windows]
    return reduce(joined, told)


def _gain_and_noise(sums: Quadratures) -> tuple[float, float, float]:
    """Return the regression of what was measured on what was sent, and the power that was sent."""
    gain = sums.products / sums.sent_squares
    left = sums.measured_squares - gain * sums.products
    values = sums.tested_values * PER_SHOT_NOISE
    return gain, left / values, sums.sent_squares / values


def channels(share: float) -> list[Row]:
    """Hold gain, noise and modulation of both receivers against the model of the channel."""
    rows = []
    t, windows = 10 ** (-LOSS_DB / 10), at_least(4, 100, share)
    for quadratures, name in ((1, "homodyne"), (2, "heterodyne")):
        for eve in (0.0, 0.2):
            seed = 2 * quadratures + bool(eve)
            sums = _measured(quadratures, windows, seed, **({"intercept_resend": eve} if eve else {}))
            gain, noise, power = _gain_and_noise(sums)
            values = sums.tested_values
            expected = 1 + V_EL + ETA * t * (EXCESS + 2 * eve) / quadratures
            title = f"CV-QKD, {name}{', a fifth intercepted and re-sent' if eve else ''}"
            sample, source = f"{sums.symbols:.1e} symbols, seed {seed}", LODEWYCK if eve else FOSSIER
            spread = math.sqrt(expected / (values * VARIANCE))
            of_noise, of_power = (figure * math.sqrt(2 / values) for figure in (expected, VARIANCE))
            rows += [
                Row(f"{title}: gain", gain, spread, math.sqrt(ETA * t / quadratures), source, sample),
                Row(f"{title}: noise", noise, of_noise, expected, source, sample),
                Row(f"{title}: modulation", power, of_power, VARIANCE, source, sample),
            ]
    return rows


def secret_fraction(share: float) -> list[Row]:
    """Hold beta I - chi of what both ends estimated against covariance matrices of the true channel."""
    rows = []
    windows = at_least(4, 100, share)
    for quadratures, name in ((1, "homodyne"), (2, "heterodyne")):
        link = PROFILE.link_parameters(LOSS_DB, quadratures=float(quadratures))
        sums = _measured(quadratures, windows, quadratures)
        gain, noise, _ = _gain_and_noise(sums)
        values = sums.tested_values
        key = _key_of(link)
        common, known = by_covariance(VARIANCE, 10 ** (-LOSS_DB / 10), EXCESS, link.receiver)
        spreads = math.sqrt(noise / (values * VARIANCE)), noise * math.sqrt(2 / values)
        moved = key(gain + spreads[0], noise), key(gain, noise + spreads[1])
        steps = (each - key(gain, noise) for each in moved)
        expected = BETA * common - known
        text = f"CV-QKD, {name}: beta I - chi at 25 km"
        sample = f"{sums.symbols:.1e} symbols, seed {quadratures}"
        source = "spectra of covariance matrices"
        error = math.hypot(*steps)
        rows.append(Row(text, key(gain, noise), error, expected, source, sample))
        if quadratures == 2:
            of_digits = math.hypot(error, 5e-5)
            rows.append(Row(f"{text}, worked value", key(gain, noise), of_digits, 0.0893, FOSSIER, sample))
    return rows


def _key_of(link: CoherentStateParameters) -> Callable[[float, float], float]:
    def key(gain: float, noise: float) -> float:
        channel = link.receiver.channel(gain, noise)
        return devetak_winter(VARIANCE, *channel, link.receiver, BETA)

    return key
